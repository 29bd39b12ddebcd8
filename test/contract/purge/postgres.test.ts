/** Tombstones of silver, on a real Postgres. */
import { describe, expect, test } from 'vitest'
import { postgresPurges } from '../../../shared/adapters/postgres/purges.ts'
import { postgresTombstones, type TombstonesDeps } from '../../../shared/adapters/postgres/tombstones.ts'
import { definePipeline } from '../../../shared/engine/define.ts'
import { leads } from '../../../shared/tables/leads.ts'
import { realPostgres } from '../sink/postgres-server.ts'
import { ago, forget, options, purgeOnce, purgeSuite, type Subject } from './suite.ts'

const postgres = realPostgres()
const put = `insert into silver.leads (id, name, _version, _deleted_at, _synced_at) select gen_random_uuid(), $1, 1, case when $3 then null else now() end, $2`

const connect = async () => {
  const url = await postgres.analytics()
  return { url, db: postgres.pool(url), client: await postgres.client(url) }
}
let opened: ReturnType<typeof connect> | undefined

async function open(limits: Omit<TombstonesDeps, 'db'> = {}): Promise<Subject & { readonly url: string }> {
  const { url, db, client } = await (opened ??= connect())
  await forget(client)
  return {
    consumer: 'postgres',
    pipeline: definePipeline({
      tables: [leads],
      topics: { partitions: 1, maxMessageBytes: 65_536, retention: '7d' },
      consumers: { postgres: { reads: ['afluente.public.leads'], sink: { kind: 'postgres', bronze: true, silver: true }, mode: 'continuous', instances: 1 } },
    }),
    table: leads,
    url,
    db,
    client,
    tombstones: () => postgresTombstones({ db, ...limits }),
    put: async (key, days, { living = false } = {}) => void (await client.query(put, [key, ago(days), living])),
    keys: async () => (await client.query<{ name: string }>('select name from silver.leads order by name')).rows.map(({ name }) => name),
  }
}

purgeSuite('silver', () => open())

describe('a pass over silver', () => {
  const fill = (rows: number) =>
    `insert into silver.leads (id, name, _version, _deleted_at, _synced_at) select gen_random_uuid(), repeat('x', 200), n, now(), '${ago(9)}' from generate_series(1, ${rows}) n`

  test('goes stretch by stretch, no step beyond its rows or pages, and ends with the table', async () => {
    const { client, db, tombstones, table, consumer } = await open({ rowsAtOnce: 100, pagesAtOnce: 4 })
    await client.query(fill(1_000))
    const purges = postgresPurges({ db })
    const [hold] = await purges.take({ consumer, tables: ['public.leads'], owner: 'me', leaseMs: 60_000 }, options)
    if (hold === undefined) throw new Error('not taken')
    const steps: { rows: number; next: number | null }[] = []
    for (let from: number | null = null, over = false; !over;) {
      const step: { rows: number; next: number | null } = await tombstones(purges).purge({ table, hold, from, before: ago(8) }, options)
      steps.push(step)
      from = step.next
      over = from === null
      expect((await client.query(`select "position"::int as at, purged::int from ops.purge`)).rows).toEqual([
        { at: from, purged: steps.reduce((sum, { rows }) => sum + rows, 0) },
      ])
    }
    expect(steps.every(({ rows }) => rows <= 100)).toBe(true)
    expect(steps.length).toBeGreaterThan(9)
    expect((await client.query('select from silver.leads')).rowCount).toBe(0)
  })

  test('goes on at its position with the next run, when one run was not enough', async () => {
    const subject = await open({ rowsAtOnce: 100, pagesAtOnce: 4 })
    await subject.client.query(fill(1_000))
    let steps = 0
    const few = postgresTombstones({ db: subject.db, rowsAtOnce: 100, pagesAtOnce: 4 })
    const now = { value: Date.parse('2026-11-29T12:00:00Z') }
    const clock = { now: () => now.value, sleep: async () => {} }
    const slow = { purge: async (...of: Parameters<typeof few.purge>) => { now.value += 4_000; steps += 1; return few.purge(...of) } } // prettier-ignore
    await purgeOnce(subject, { tombstonesOf: () => slow, clock })
    expect(steps).toBe(3)
    for (let runs = 0; (await subject.keys()).length > 0 && runs < 20; runs += 1) await purgeOnce(subject, { tombstonesOf: () => slow, clock })
    expect(await subject.keys()).toEqual([])
    expect((await subject.client.query(`select sum((details ->> 'rows')::int)::int as rows from ops.audit`)).rows).toEqual([{ rows: 1_000 }])
  })

  test('whoever has lost the table purges nothing, and takes no position from whoever has it', async () => {
    const { client, db, tombstones, table, consumer, put, keys } = await open()
    const purges = postgresPurges({ db })
    const of = { consumer, tables: ['public.leads'], leaseMs: 60_000 }
    const [lost] = await purges.take({ ...of, owner: 'paused' }, options)
    await client.query(`update ops.purge set leased_until = clock_timestamp(), "position" = 7`)
    await purges.take({ ...of, owner: 'next' }, options)
    if (lost === undefined) throw new Error('not taken')
    await put('dead', 9)
    await expect(tombstones(purges).purge({ table, hold: lost, from: null, before: ago(8) }, options)).rejects.toMatchObject({ kind: 'fenced' })
    await expect(purges.count(lost, { rows: 3, next: null, before: ago(8) }, options)).rejects.toMatchObject({ kind: 'fenced' })
    await expect(purges.look(lost, { before: ago(1), heldBack: [] }, options)).rejects.toMatchObject({ kind: 'fenced' })
    await expect(purges.release(lost, 0, options)).rejects.toMatchObject({ kind: 'fenced' })
    expect(await keys()).toEqual(['dead'])
    expect((await client.query(`select purged::int, "position"::int as at, horizon from ops.purge`)).rows).toEqual([{ purged: 0, at: 7, horizon: null }])
    expect((await client.query('select from ops.audit')).rowCount).toBe(0)
  })

  test('a key that comes back while its tombstone is looked at stays; one that somebody holds is left for the next pass', async () => {
    const subject = await open()
    for (const key of ['back', 'gone', 'held']) await subject.put(key, 9)
    const other = await postgres.client(subject.url)
    await other.query('begin')
    await other.query(`update silver.leads set _deleted_at = null, _version = 2 where name in ('back', 'held')`)
    await purgeOnce(subject)
    await other.query('commit')
    expect(await subject.keys()).toEqual(['back', 'held'])
  })
})
