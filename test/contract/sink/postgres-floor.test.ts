/** What a large TRUNCATE leaves in Postgres, and how it gets there: step by step, beside batches that go on. */
import { randomUUID } from 'node:crypto'
import { describe, expect, test } from 'vitest'
import { postgresControl } from '../../../shared/adapters/postgres/control.ts'
import { postgresSink } from '../../../shared/adapters/postgres/sink.ts'
import { leads } from '../../../shared/tables/leads.ts'
import { type SourceTable, table } from '../../../shared/tables/table.ts'
import { realPostgres } from './postgres-server.ts'
import { hold, leadEvent, nextVersion, signal, truncateEvent } from './subject.ts'

const postgres = realPostgres()

async function open({ of = leads, silver = true, sweptAtOnce }: { of?: SourceTable; silver?: boolean; sweptAtOnce?: number } = {}) {
  const url = await postgres.analytics(of === leads ? [] : [of])
  const db = postgres.pool(url)
  const client = await postgres.client(url)
  const control = postgresControl({ db })
  const sink = postgresSink({ db, tables: [of], bronze: true, silver, ...(sweptAtOnce === undefined ? {} : { sweptAtOnce }) })
  return { sink, control, client, url, hold: () => hold({ sink, control, row: async () => undefined, poison: {}, refusal: 'batch' }) }
}

/** Rows of leads that came before any truncate of this file. */
const fill = `insert into silver.leads (id, name, tags, _version, _event_id) select gen_random_uuid(), 'lead ' || n, '{a}', n, 'public.leads:' || n from generate_series(1, $1::int) n`

describe('below a floor', () => {
  test('a row keeps its key, has the floor’s version, time and event, and nothing else; bi shows none, bronze has the truncate', async () => {
    const { hold, client } = await open()
    const held = await hold()
    const event = leadEvent({ columns: { tags: ['a'], metadata: { a: 1 }, score: 5 } })
    await held.write(event)
    const truncate = truncateEvent()
    await held.raise(truncate)
    await held.write(truncate)
    const { rows } = await client.query(
      `select *, _version::text as v, to_char(_deleted_at at time zone 'UTC', 'YYYY-MM-DD"T"HH24:MI:SS.USZ') as gone from silver.leads`,
    )
    expect(rows).toHaveLength(1)
    const { id, v, gone, _version, _deleted_at, _event_id, _synced_at, ...rest } = rows[0] as Record<string, unknown>
    expect({ id, v, gone, _event_id }).toEqual({
      id: (JSON.parse(event.key) as string[])[0],
      v: String(truncate.version),
      gone: truncate.occurredAt,
      _event_id: truncate.id,
    })
    expect([_version, _deleted_at, _synced_at]).not.toContain(null)
    expect(new Set(Object.values(rest))).toEqual(new Set([null]))
    expect((await client.query('select from bi.leads')).rowCount).toBe(0)
    const bronze = await client.query(`select key, op, before, after, version::text from bronze.events where event_id = $1`, [truncate.id])
    expect(bronze.rows).toEqual([{ key: '[]', op: 'truncate', before: null, after: null, version: String(truncate.version) }])
  })

  test('a table whose key is all it has, of several columns, is swept too', async () => {
    const pairs = table({ schema: 'sales "x"', name: 'pairs o’', key: ['b', 'a'], columns: { a: 'text', b: 'timestamptz' } })
    const { sink, control, client } = await open({ of: pairs })
    await client.query(`insert into silver."pairs o’" (a, b, _version) values ('x', now(), 1), ('x', 'infinity', 2), ('y', 'infinity', 9)`)
    const fence = { consumer: 'c', topic: 't', partition: 0, epoch: await control.take({ consumer: 'c', topic: 't', partition: 0, owner: 'o' }, { signal }) }
    const floor = await control.raiseFloor({ table: 'sales "x".pairs o’', version: 5, occurredAt: '2026-11-22T18:00:00Z' }, fence, { signal })
    expect(await sink.sweepBelow({ table: pairs, floor, fence, from: null }, { signal })).toEqual({ rows: 2, next: null })
    expect((await client.query(`select a, _version::int as v from silver."pairs o’" order by b, a`)).rows.map(({ a, v }) => [a, v])).toEqual([
      ['x', 5],
      ['x', 5],
      ['y', 9],
    ])
  })

  test('a sink without silver keeps the event in bronze and has nothing to sweep', async () => {
    const { hold, client } = await open({ silver: false })
    await client.query(fill, [3])
    const held = await hold()
    const truncate = truncateEvent()
    expect(await held.raise(truncate)).toBe(1)
    expect(await held.write(truncate, leadEvent())).toMatchObject({ accepted: 2 })
    expect((await client.query('select from silver.leads where _deleted_at is null')).rowCount).toBe(3)
    expect((await client.query('select from bronze.events')).rowCount).toBe(2)
  })

  test('a table without a row to lock takes no batch, and the error says what to do', async () => {
    const { hold, client } = await open()
    await client.query('delete from ops.floor')
    const held = await hold()
    await expect(held.write(leadEvent())).rejects.toMatchObject({ kind: 'misconfigured', code: 'no-floor', message: expect.stringContaining('npm run deploy') })
    expect((await client.query('select from bronze.events')).rowCount).toBe(0)
    expect(await held.progress()).toMatchObject({ consumed: 0 })
  })
})

describe('a sweep', () => {
  test('goes step by step, each of bounded size, until none is left', async () => {
    const { client, sink, control } = await open({ sweptAtOnce: 300 })
    await client.query(fill, [1_000])
    const fence = { consumer: 'c', topic: 't', partition: 0, epoch: await control.take({ consumer: 'c', topic: 't', partition: 0, owner: 'o' }, { signal }) }
    const floor = await control.raiseFloor({ table: 'public.leads', version: nextVersion(), occurredAt: '2026-11-22T18:00:00Z' }, fence, { signal })
    const steps: number[] = []
    for (let from: string | null = null, over = false; !over;) {
      const { rows, next }: { rows: number; next: string | null } = await sink.sweepBelow({ table: leads, floor, fence, from }, { signal })
      steps.push(rows)
      from = next
      over = next === null
    }
    expect(steps).toEqual([300, 300, 300, 100])
    expect((await client.query('select from silver.leads where _deleted_at is null')).rowCount).toBe(0)
    expect((await client.query('select from silver.leads')).rowCount).toBe(1_000)
  })

  test('never waits for a row that somebody holds: it does the others, and comes back', async () => {
    const { client, sink, control, url } = await open()
    await client.query(fill, [10])
    const holder = await postgres.client(url)
    await holder.query('begin')
    await holder.query('select from silver.leads where _version = 4 for update')
    const fence = { consumer: 'c', topic: 't', partition: 0, epoch: await control.take({ consumer: 'c', topic: 't', partition: 0, owner: 'o' }, { signal }) }
    const floor = await control.raiseFloor({ table: 'public.leads', version: nextVersion(), occurredAt: '2026-11-22T18:00:00Z' }, fence, { signal })
    const step = (from: string | null) => sink.sweepBelow({ table: leads, floor, fence, from }, { signal })
    const first = await step(null)
    expect(first).toEqual({ rows: 9, next: '(0,0)' })
    expect(await step(first.next)).toEqual({ rows: 0, next: '(0,0)' })
    await holder.query('commit')
    expect(await step(first.next)).toEqual({ rows: 1, next: null })
  })

  test('beside batches that write the same keys in any order meets no deadlock, and leaves what is above the floor', async () => {
    const { client, hold } = await open({ sweptAtOnce: 40 })
    const ids = Array.from({ length: 400 }, () => randomUUID())
    const first = await hold()
    await first.write(...ids.map((id) => leadEvent({ id, name: 'before' })))
    const truncate = truncateEvent()
    const shuffled = (list: readonly string[]) => list.toSorted(() => Math.random() - 0.5)
    const rewritten = ids.slice(0, 200)
    const writers = await Promise.all(Array.from({ length: 4 }, () => hold()))
    const sweepers = await Promise.all(Array.from({ length: 2 }, () => hold()))
    const patient = async (work: () => Promise<unknown>) => {
      for (;;) if (await work().then(() => true, (error: { code?: string }) => { if (error.code !== '40P01') throw error; return false })) return // prettier-ignore
    }
    await Promise.all([
      ...sweepers.map((sweeper) => sweeper.raise(truncate)),
      ...writers.map(async (writer, n) => {
        const own = rewritten.filter((_, at) => at % writers.length === n)
        for (let round = 0; round < 10; round += 1)
          await patient(() => writer.write(...shuffled(own).map((id) => leadEvent({ id, op: 'update', name: 'after' }))))
      }),
    ])
    const { rows } = await client.query<{ name: string | null; n: string }>('select name, count(*) as n from silver.leads group by name order by name')
    expect(rows).toEqual([{ name: 'after', n: '200' }, { name: null, n: '200' }]) // prettier-ignore
    expect((await client.query('select deadlocks::int from pg_stat_database where datname = current_database()')).rows).toEqual([{ deadlocks: 0 }])
  })
})
