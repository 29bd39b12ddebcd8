import { describe, expect, test } from 'vitest'
import { readOptions } from '../../bench/options.ts'
import { byDefinition, casesOf, migrationText, pipelineText, tableNames } from '../../bench/scale-cases.ts'
import { statementRows } from '../../bench/scale-rows.ts'
import { type HopFigures, scaleTable } from '../../bench/scale-table.ts'

const all = { only: ['rows', 'tables', 'partitions', 'consumers', 'elasticsearch', 'backlog'], rows: 10_000, backlog: 1_000_000 } as const

describe('the cases of scale', () => {
  test('differ from the base in one thing each', () => {
    const [base, ...others] = casesOf(all)
    const thing = ({ definition, rowBytes, rows, measured }: ReturnType<typeof casesOf>[number]) => ({
      ...definition,
      rowBytes,
      backlog: measured === 'each hop' ? rows : null,
    })
    expect(base).toMatchObject({ definition: { consumers: 'postgres', tables: 1, partitions: 4, instances: 1 }, rowBytes: 200, rows: 10_000 })
    const differences = others.map((other) =>
      Object.entries(thing(other)).filter(([name, value]) => base && Object.entries(thing(base)).every(([of, its]) => of !== name || its !== value)),
    )
    expect(differences).toEqual([
      [['rowBytes', 2_000]],
      [['rowBytes', 20_000]],
      [['backlog', 100_000]],
      [['backlog', 1_000_000]],
      [['tables', 20]],
      [['partitions', 1]],
      [['partitions', 16]],
      [['instances', 4]],
      [['consumers', 'four']],
      [['consumers', 'elasticsearch']],
      ...[
        ['rowBytes', 2_000],
        ['rowBytes', 20_000],
        ['tables', 20],
        ['partitions', 16],
        ['instances', 4],
      ].map((and) => expect.arrayContaining([['consumers', 'elasticsearch'], and])),
    ])
  })

  test('that were not asked for are left out, the base never', () => {
    expect(casesOf({ ...all, only: ['tables'] }).map(({ definition }) => definition.tables)).toEqual([1, 20])
  })

  test('that want the same stack share it', () => {
    const groups = byDefinition(casesOf(all))
    expect(groups.map((cases) => cases.length)).toEqual([5, 1, 1, 1, 1, 1, 3, 1, 1, 1])
    expect(groups.flat()).toHaveLength(casesOf(all).length)
  })

  test('put no more than some megabytes into one statement', () => {
    expect(statementRows(200, 100_000)).toBe(10_000)
    expect(statementRows(20_000, 100_000)).toBe(400)
    expect(statementRows(200, 5_000)).toBe(5_000)
    expect(statementRows(20_000_000, 5)).toBe(1)
  })
})

describe('the definition of a case', () => {
  const definition = { consumers: 'postgres', tables: 2, partitions: 16, instances: 4 } as const

  test('builds on the product’s and reads every table of its own', () => {
    const text = pipelineText(definition)
    for (const name of tableNames(2)) expect(text).toContain(`'afluente.public.${name}'`)
    expect(text).toContain("import { pipeline as product } from './product.ts'")
    expect(text).toContain('partitions: 16')
    expect(text).toContain('instances: 4')
  })

  test('of four consumers has bronze in one of its own', () => {
    const text = pipelineText({ ...definition, consumers: 'four' })
    expect(text).toMatch(/ postgres: .* bronze: false \}/)
    expect(text).toMatch(/ postgres_bronze: .* silver: false \}/)
    expect(text.match(/kind: 'elasticsearch'/g)).toHaveLength(2)
  })

  test('comes with tables that are captured', () => {
    expect(migrationText(definition).match(/capture_table\('public\.scale_0[12]'\)/g)).toHaveLength(2)
  })
})

test('what was measured is a table in Markdown', () => {
  const figures: HopFigures = { rows: 10, ms: 1, rowsPerSecond: 14_000, mbPerSecond: 2.8, cpuMicroseconds: 90, cpuPerRow: null }
  const measured = [
    {
      name: 'base',
      source: figures,
      capture: figures,
      sink: { ...figures, rowsPerSecond: 999, cpuMicroseconds: null },
      peakMb: { deno: 60, workerd: 110 },
    },
  ]
  expect(scaleTable(measured)).toEqual([
    '|  | the source alone | capture alone: rows once warm, CPU with its start | the sink alone | end to end | memory of Deno, workerd |',
    '| --- | --- | --- | --- | --- | --- |',
    '| base | 14 000 rows/s, 2.8 MB/s, 90 µs | 14 000 rows/s, 2.8 MB/s, 90 µs | 999 rows/s, 2.8 MB/s |  | 60, 110 MB |',
  ])
})

test('its options have their defaults', () => {
  expect(readOptions(['scale'])).toMatchObject({ rows: 100_000, backlog: 1_000_000, claims: 1_000_000, only: all.only })
  expect(readOptions(['scale', '--only', 'tables,rows', '--backlog', '10000000'])).toMatchObject({ only: ['tables', 'rows'], backlog: 10_000_000 })
  expect(() => readOptions(['scale', '--backlog', '10000001'])).toThrow(RangeError)
})
