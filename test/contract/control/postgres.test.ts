import { describe, expect, test } from 'vitest'
import { postgresControl } from '../../../shared/adapters/postgres/control.ts'
import { generatedFiles } from '../../../shared/mappings/silver-ddl.ts'
import { pipeline } from '../../../shared/pipeline.ts'
import { realPostgres } from '../sink/postgres-server.ts'
import { controlContract, letter, signal, take } from './suite.ts'

const postgres = realPostgres()

controlContract('postgres', {
  make: async () => {
    const db = postgres.pool(await postgres.analytics())
    return {
      subject: {
        control: postgresControl({ db }),
        letters: async (consumer) => {
          const { rows } = await db.query(
            { text: 'select "offset", error_class, attempts from ops.dead_letter where consumer = $1', values: [consumer] },
            { signal },
          )
          return rows.map((row) => ({ offset: String(row['offset']), code: String(row['error_class']), attempts: Number(row['attempts']) }))
        },
      },
      close: async () => {},
    }
  },
})

describe('dead letters in Postgres', () => {
  const open = async () => {
    const db = postgres.pool(await postgres.analytics())
    return {
      control: postgresControl({ db }),
      rows: async () => (await db.query({ text: 'select * from ops.dead_letter order by "offset"', values: [] }, { signal })).rows,
    }
  }

  test('a record that Postgres could not hold as text is stored with its NULs and broken characters written out', async () => {
    const { control, rows } = await open()
    const fence = await take(control)
    const strange = letter('1', {
      key: 'k\0',
      value: '{"a\0":"\ud800"}',
      headers: { 'x\0': { toString: () => 'v\0\udfff' } },
      code: 'not-json',
      message: 'm\0',
    })
    await control.bury([strange], fence, '2', { signal })
    expect(await rows()).toMatchObject([
      { key: String.raw`k\u0000`, payload: `{"a\\u0000":"\ufffd"}`, headers: String.raw`{"x\\u0000": "v\\u0000` + '\ufffd"}', state: 'open' },
    ])
  })

  test('letters that fail alike have one fingerprint, whatever numbers and values their messages hold', async () => {
    const { control, rows } = await open()
    const fence = await take(control)
    const letters = [
      letter('1', { message: 'value "12" at 77' }),
      letter('2', { message: 'value "a b" at 3' }),
      letter('3', { message: 'another' }),
      letter('4', { code: '22003', message: 'another' }),
    ]
    await control.bury(letters, fence, '5', { signal })
    const fingerprints = (await rows()).map((row) => row['fingerprint'])
    expect(fingerprints[0]).toBe(fingerprints[1])
    expect(new Set(fingerprints).size).toBe(3)
  })

  test('the same record twice in one burial is one letter', async () => {
    const { control, rows } = await open()
    const fence = await take(control)
    await control.bury([letter('1'), letter('1')], fence, '2', { signal })
    expect(await rows()).toHaveLength(1)
  })

  test('counts that do not add up are refused as a fault of the program, not of the data', async () => {
    const { control } = await open()
    const fence = await take(control)
    await expect(control.advance(fence, '1', 5, { accepted: 1, duplicate: 0, late: 0, rejected: [] }, { signal })).rejects.toMatchObject({
      kind: 'misconfigured',
      code: '23514',
    })
  })
})

describe('floors in Postgres', () => {
  test('one whose time is none is refused, so that it can be buried; nothing is raised', async () => {
    const db = postgres.pool(await postgres.analytics())
    const control = postgresControl({ db })
    const fence = await take(control)
    await expect(control.raiseFloor({ table: 'public.leads', version: 5, occurredAt: 'yesterday-ish' }, fence, { signal })).rejects.toMatchObject({
      kind: 'refused',
      code: '22007',
    })
    expect(await control.floors({ signal })).toEqual([])
  })

  test('a deploy that is done again keeps them', async () => {
    const url = await postgres.analytics()
    const control = postgresControl({ db: postgres.pool(url) })
    const floor = { table: 'public.leads', version: 5, occurredAt: '2026-11-22T18:00:00.000000Z' }
    await control.raiseFloor(floor, await take(control), { signal })
    const client = await postgres.client(url)
    for (const { text } of generatedFiles(pipeline)) await client.query(text)
    expect(await control.floors({ signal })).toEqual([floor])
  })
})
