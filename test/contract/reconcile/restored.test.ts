/** A source that is restored to a moment before what its sinks hold: real files, real SQL, real sinks; only Kafka is left out. */
import { join } from 'node:path'
import { afterAll, beforeAll, expect, test } from 'vitest'
import { rebaseSource } from '../../../infra/deploy/rebase.ts'
import { elasticsearchContents } from '../../../shared/adapters/elasticsearch/index-contents.ts'
import { elasticsearchSink } from '../../../shared/adapters/elasticsearch/sink.ts'
import { systemClock } from '../../../shared/adapters/clock.ts'
import { postgresControl } from '../../../shared/adapters/postgres/control.ts'
import { postgresReconciliations } from '../../../shared/adapters/postgres/reconciliations.ts'
import { silverContents } from '../../../shared/adapters/postgres/silver-contents.ts'
import { postgresSink } from '../../../shared/adapters/postgres/sink.ts'
import { sourceContents } from '../../../shared/adapters/postgres/source-contents.ts'
import { sourceDb } from '../../../shared/adapters/postgres/source-db.ts'
import { supabaseOutbox } from '../../../shared/adapters/supabase/outbox.ts'
import { supabaseReconcileSource } from '../../../shared/adapters/supabase/reconcile-source.ts'
import { runReconcile } from '../../../shared/engine/reconcile.ts'
import { decode, encode, type Event } from '../../../shared/events/envelope.ts'
import type { Change } from '../../../shared/events/change.ts'
import { recordOf } from '../../support/arbitraries.ts'
import { type Clusters, makeSource, openClusters, type Server, using } from '../../support/cluster.ts'
import { tableState } from '../../support/source.ts'
import { sqlClient } from '../capture/sql-outbox.ts'
import { living, realElasticsearch, tableWithIndex } from '../sink/elasticsearch-server.ts'
import { realPostgres } from '../sink/postgres-server.ts'

const DATABASE = 'supabase'
const options = { signal: new AbortController().signal }
const log = { info: () => {}, warn: () => {}, error: () => {} }
const postgres = realPostgres()
const elasticsearch = realElasticsearch()

let clusters: Clusters
beforeAll(() => {
  clusters = openClusters()
})
afterAll(() => clusters.close())

function eventOf(change: Change, offset: number): Event {
  const decoded = decode(recordOf(encode(change, { ref: 'local', claimedAt: '2026-11-22T18:00:00.200Z', traceparent: '' })))
  if (!decoded.ok) throw new Error(decoded.why.message)
  return { ...decoded.event, record: { ...decoded.event.record, offset: String(offset) } }
}

test('capture refuses and says why, a rebase lifts it, and a reconcile brings both sinks to what was restored', async () => {
  const client = elasticsearch.client()
  const { indices, table } = await tableWithIndex(client, { id: 'integer', name: 'text' })
  const name = `public.${table.name}`
  const topic = `afluente.${name}`
  const db = postgres.pool(await postgres.analytics([table]))
  const control = postgresControl({ db })
  const sinks = {
    postgres: postgresSink({ db, tables: [table], bronze: true, silver: true }),
    elasticsearch: elasticsearchSink({ client, control, clock: systemClock(), random: Math.random, indices }),
  }
  let server: Server = await clusters.start(clusters.initialise())
  let published = 0

  /** Moves what the outbox holds into both sinks, in place of capture, Kafka and deliver. */
  const pump = async (url: string): Promise<string> => {
    const { client: rpc, close } = sqlClient(url, 1)
    try {
      const outbox = supabaseOutbox({ client: rpc })
      const claim = await outbox.claim({ shard: 0, owner: 'pump', leaseMs: 3_000, floor: 0, beside: [], maxRows: 1_000, maxBytes: 1e6, waitMs: 0 }, options)
      if (claim.status !== 'held') return claim.status === 'refused' ? claim.reason : claim.status
      const events = claim.changes.map((change, nth) => eventOf(change, published + nth))
      published += events.length
      for (const consumer of ['postgres', 'elasticsearch'] as const) {
        if (events.length === 0) continue
        const epoch = await control.take({ consumer, topic, partition: 0, owner: 'pump' }, options)
        await sinks[consumer].write({ table, events, fence: { consumer, topic, partition: 0, epoch }, nextOffset: String(published) }, options)
      }
      await outbox.acknowledge(0, claim.epoch, claim.changes.map(({ version }) => version), options) // prettier-ignore
      return 'held'
    } finally {
      await close()
    }
  }
  const write = (sql: string) => using(server.url(DATABASE, 'project_owner'), (session) => session.run(sql.replaceAll('things', name)))
  const reconcile = async () => {
    const url = server.url(DATABASE)
    const { client: rpc, close } = sqlClient(url, 1)
    const source = sourceDb({ connectionString: url })
    let over = false
    const pumping = (async () => {
      while (!over) await pump(url)
    })()
    const deps = {
      source: sourceContents({ db: source }),
      silver: silverContents({ db }),
      index: elasticsearchContents({ client, indices }),
      outbox: supabaseReconcileSource({ client: rpc }),
      watermarks: { read: async () => [{ topic, partition: 0, low: 0n, high: BigInt(published) }] },
      control,
      reconciliations: postgresReconciliations({ db }),
      clock: systemClock(),
      log,
      random: Math.random,
    }
    const of = { table, topic, consumers: ['postgres', 'elasticsearch'] }
    const most = { rows: 10_000, parts: 1 }
    try {
      return await runReconcile({ of, actor: 'operator', owner: 'test', repair: true, anew: true, watched: true, untilMs: null, most, ...options }, deps)
    } finally {
      over = true
      await pumping
      await Promise.all([close(), source.close()])
    }
  }

  await makeSource(server, DATABASE)
  await write(
    `create table things (id int primary key, name text); select afluente.capture_table('things'); insert into things select n, 'before ' || n from generate_series(1, 20) n`,
  )
  expect(await pump(server.url(DATABASE))).toBe('held')
  await server.stop()
  const backup = join(clusters.folder, 'backup')
  clusters.run('cp', ['-a', server.data, backup])

  server = await clusters.start(server.data)
  await write(
    `insert into things select n, 'after ' || n from generate_series(21, 25) n; update things set name = 'after' where id = 1; delete from things where id = 2`,
  )
  expect(await pump(server.url(DATABASE))).toBe('held')
  await server.stop()

  // Replayed from its log to its end, and then a life of its own.
  clusters.run('touch', [join(backup, 'recovery.signal')])
  server = await clusters.start(backup, { restore_command: 'false', recovery_target_action: 'promote' })
  await write(`update things set name = 'restored' where id = 3`)
  expect(await pump(server.url(DATABASE))).toMatch(/restored to a point in time.*npx afluente rebase/s)
  expect(await reconcile()).toMatchObject({ ending: 'refused', reason: expect.stringContaining('npx afluente rebase') as unknown })

  await rebaseSource(server.url(DATABASE))
  const end = await reconcile()
  if (end.ending !== 'done') throw new Error(end.ending)
  const found = end.found.map(({ key, sink, what }) => `${key} ${what} in ${sink}`).toSorted()
  const newer = [21, 22, 23, 24, 25].flatMap((id) => [`[${id}] extra in index`, `[${id}] extra in silver`])
  expect(found).toEqual([...newer, '[1] different in silver', '[2] missing in index', '[2] missing in silver'].toSorted())
  expect(end.outcome).toMatchObject({ rows: 20, mended: found.length, moving: 0 })

  const truth = await using(server.url(DATABASE), (session) => tableState(session, name, 'id'))
  const images = [...truth.values()].toSorted()
  expect(images).toHaveLength(20)
  const silver = await db.query({ text: `select row_to_json(s)::text as image from (select id, name from bi.${table.name}) s`, values: [] }, options)
  expect(silver.rows.map(({ image }) => String(image)).toSorted()).toEqual(images)
  const documents = await living(client, table.name)
  expect(documents.map(({ id, name: text }) => JSON.stringify({ id, name: text })).toSorted()).toEqual(images)
})
