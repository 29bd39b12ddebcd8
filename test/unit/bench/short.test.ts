import { describe, expect, test } from 'vitest'
import { benchCounts } from '../../steps.ts'
import { readShort } from '../../bench/short-lines.ts'

const latency = {
  measure: 'latency at 50 rows/s',
  rows: 250,
  missing: 0,
  postgres: { p50Ms: 8.3, p99Ms: 22.6 },
  elasticsearch: { p50Ms: 40.3, p99Ms: null },
  load: { end: [1.5, 1, 1] },
}
const endToEnd = {
  measure: 'end to end, silver and bronze',
  rows: 20_000,
  rowsPerSecond: 14_000,
  cpuPerRow: { edge: 20.4, kafka: 31.5 },
  load: { end: [3, 2, 1] },
}
const output = (...found: readonly object[]) => ['  postgres ready after 1.5 s', ...found.map((one) => JSON.stringify(one)), ''].join('\n')

describe('the short measurement of CI', () => {
  test('is told in plain lines, the dearest part first', () => {
    expect(readShort(output(latency, endToEnd)).lines).toEqual([
      'latency at 50 rows/s, 250 rows, 0 missing, load 1.5:',
      '  Postgres: p50 8.3 ms, p99 22.6 ms; Elasticsearch: p50 40.3 ms, p99 ? ms',
      'end to end, silver and bronze, 20000 rows: 14000 rows/s, load 3',
      '  CPU 52 µs a row: kafka 32, edge 20',
    ])
  })

  test('passes however slow it was', () => {
    expect(benchCounts(0, output({ ...latency, postgres: { p50Ms: 29_000, p99Ms: 30_000 } }, { ...endToEnd, rowsPerSecond: 1 }))).toEqual({
      passed: 1,
      failed: 0,
    })
    expect(benchCounts(0, output(latency, { ...endToEnd, cpuPerRow: null }))).toEqual({ passed: 1, failed: 0 })
  })

  test.each([
    ['a row that did not arrive', 0, output({ ...latency, missing: 1 }, endToEnd)],
    ['no rows end to end', 0, output(latency)],
    ['no latency', 0, output(endToEnd)],
    ['nothing written', 0, output({ ...latency, rows: 0 }, endToEnd)],
    ['nothing printed', 0, ''],
    ['a run that broke off', 1, output(latency, endToEnd)],
  ])('fails for %s', (_, code, printed) => {
    expect(benchCounts(code, printed)).toEqual({ passed: 0, failed: 1 })
  })
})
