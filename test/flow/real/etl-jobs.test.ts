/** Jobs of other kinds than the product's own, through the real Worker: a query as source, a topic for what changes, two at once. */
import { mkdtemp, rm } from 'node:fs/promises'
import { join } from 'node:path'
import { tmpdir } from 'node:os'
import pg from 'pg'
import { afterAll, beforeAll, expect, test } from 'vitest'
import { workerRoot } from '../../bench/stack.ts'
import { type OwnWorker, startOwnWorker } from '../../support/own-worker.ts'
import { eventually } from '../../support/poll.ts'
import { openStack, type StackAccess } from '../../support/stack-access.ts'

const TOPIC = 'afluente.etl.orders'

/** What somebody would write into shared/pipeline.ts. */
const JOBS = `etl: {
    orders: etlJob({
      source: {
        database: 'chatwoot',
        query: 'select o.id, o.item, p.paid, o.updated_at from demo.orders as o cross join lateral (select coalesce(sum(amount), 0) as paid from demo.payments where order_id = o.id) as p -- paid so far',
      },
      key: ['id'], cursor: 'updated_at', into: 'demo_orders', deletes: 'mark', overlap: '10s', margin: '0s', pageRows: 20, topic: '${TOPIC}',
      columns: { id: { type: 'bigint' }, item: { type: 'text', clean: ['trim'] }, paid: { type: 'numeric' }, updated_at: { type: 'timestamptz' } },
    }),
    payments: etlJob({
      source: { database: 'chatwoot', relation: 'demo.payments' },
      key: ['order_id', 'nth'], cursor: 'paid_at', into: 'demo_payments', deletes: 'remove', overlap: '10s', margin: '0s', pageRows: 50,
      columns: { order_id: { type: 'bigint' }, nth: { type: 'integer' }, amount: { type: 'numeric' }, paid_at: { type: 'timestamptz' } },
    }),
  },`

const SOURCE = `create schema demo;
  create table demo.orders (id bigint primary key, item text, updated_at timestamptz not null default clock_timestamp());
  create table demo.payments (order_id bigint, nth integer, amount numeric, paid_at timestamptz not null default clock_timestamp(), primary key (order_id, nth));
  create index on demo.orders (updated_at, id); create index on demo.payments (paid_at, order_id, nth);
  insert into demo.orders select i, ' item ' || i || ' ', now() - interval '1 hour' from generate_series(1, 70) as i;
  insert into demo.payments (order_id, nth, amount) select i, n, 12345678901234567890.10 from generate_series(1, 70) as i, generate_series(1, 2) as n;
  grant usage on schema demo to public; grant select on all tables in schema demo to public`

const SILVER = `create table silver.demo_orders (id bigint primary key, item text, paid numeric, updated_at timestamptz, _deleted_at timestamptz, _hash bigint, _synced_at timestamptz);
  create table silver.demo_payments (order_id bigint, nth integer, amount numeric, paid_at timestamptz, _deleted_at timestamptz, _hash bigint, _synced_at timestamptz, primary key (order_id, nth))`

interface Run {
  readonly id: string
  readonly status: string
  readonly error: string | null
}

let stack: StackAccess
let chatwoot: pg.Pool
let worker: OwnWorker
/** What was begun, also when something after it failed. */
const closing: (() => Promise<unknown>)[] = []
beforeAll(async () => {
  stack = openStack()
  closing.push(() => stack.close())
  chatwoot = new pg.Pool({ connectionString: stack.info.chatwoot.url, max: 1 })
  closing.push(() => chatwoot.end())
  await chatwoot.query(SOURCE)
  closing.push(() => chatwoot.query('drop schema demo cascade'))
  await stack.analytics.query(SILVER)
  closing.push(() => stack.analytics.query('drop table silver.demo_orders, silver.demo_payments'))
  const admin = stack.kafka.admin()
  await admin.connect()
  await admin.createTopics({ topics: [{ topic: TOPIC, numPartitions: 2 }], waitForLeaders: true }).finally(() => admin.disconnect())
  const folder = await mkdtemp(join(tmpdir(), 'afluente-jobs-'))
  closing.push(() => rm(folder, { recursive: true, force: true }))
  const root = await workerRoot(folder, (text) => `import { etlJob } from './tables/etl-job.ts'\n${text.replace('etl: { conversations },', JOBS)}`)
  const { analytics, chatwoot: from, kafka } = stack.info
  const env = { ANALYTICS_DATABASE_URL: analytics.url, CHATWOOT_DATABASE_URL: from.reader, KAFKA_BROKERS: kafka.brokers.join() }
  worker = await startOwnWorker({ root, env })
  closing.push(() => worker.close())
})
afterAll(async () => {
  for (const close of closing.toReversed()) await close()
})

const begin = async (job: string, asked: object = {}): Promise<Run> => (await worker.ask<{ run: Run }>(`/api/etl/${job}/runs`, asked)).run
const ended = (job: string, { id }: Run): Promise<Run> =>
  eventually(`run ${id} of ${job} has ended`, async () => {
    const run = await worker.ask<Run>(`/api/etl/${job}/runs/${id}`)
    return run.status === 'running' ? null : run
  })
const run = async (job: string, asked?: object): Promise<Run> => ended(job, await begin(job, asked))

/** All that the topic has, to its end: a key's changes in their order. */
async function published(reader: string): Promise<readonly { readonly key: string; readonly type: string; readonly value: string }[]> {
  const found: { key: string; type: string; value: string }[] = []
  const read = new Map<number, bigint>()
  const admin = stack.kafka.admin()
  await admin.connect()
  const ends = await admin.fetchTopicOffsets(TOPIC).finally(() => admin.disconnect())
  const consumer = stack.kafka.consumer({ groupId: `etl-jobs-${reader}` })
  await consumer.connect()
  try {
    await consumer.subscribe({ topic: TOPIC, fromBeginning: true })
    await consumer.run({
      eachMessage: async ({ message: { headers, key, offset, value }, partition }) => {
        found.push({ key: String(key), type: String(headers?.['ce_type']), value: String(value) })
        read.set(partition, BigInt(offset) + 1n)
      },
    })
    await eventually(`${TOPIC} is read to its end`, async () => ends.every(({ high, partition }) => (read.get(partition) ?? 0n) >= BigInt(high)))
  } finally {
    await consumer.disconnect()
  }
  return found
}

test('two jobs run at once, one from a query into silver and its topic, one from a table; numbers keep every digit', async () => {
  const [orders, payments] = await Promise.all([begin('orders'), begin('payments')])
  expect(await ended('orders', orders)).toMatchObject({ status: 'success', inserted: 70, rejected: 0, error: null })
  expect(await ended('payments', payments)).toMatchObject({ status: 'success', inserted: 140, rejected: 0, error: null })
  const { rows } = await stack.analytics.query('select item, paid::text from silver.demo_orders where id = 7')
  expect(rows).toEqual([{ item: 'item 7', paid: '24691357802469135780.20' }])
  expect((await stack.analytics.query('select sum(amount)::text as sum from silver.demo_payments')).rows).toEqual([{ sum: '1728395046172839504614.00' }])
  const events = await published('of-the-loads')
  expect(events.map(({ key }) => key).toSorted()).toEqual(Array.from({ length: 70 }, (_, at) => `[${at + 1}]`).toSorted())
  const seventh = events.find(({ key }) => key === '[7]')
  expect(seventh?.type).toBe('afluente.row.inserted')
  expect(seventh?.value).toContain('"paid":24691357802469135780.20')
})

test('what changes afterwards is published in the order of its key, a delete as its key alone; what does not change is not', async () => {
  await chatwoot.query(`update demo.orders set item = 'new', updated_at = clock_timestamp() where id = 3`)
  await chatwoot.query('delete from demo.orders where id = 4; delete from demo.payments where order_id = 4')
  // Past the cursor: nothing at the order says so.
  await chatwoot.query('update demo.payments set amount = 1 where order_id = 5')
  expect(await run('orders')).toMatchObject({ status: 'success', updated: 1, inserted: 0, deleted: 0 })
  expect(await run('orders', { reconcile: true })).toMatchObject({ status: 'success', updated: 1, deleted: 1, caughtByReconcile: 2 })
  expect(await run('payments', { reconcile: true })).toMatchObject({ status: 'success', updated: 2, deleted: 2 })
  expect(await run('orders', { full: true })).toMatchObject({ status: 'success', inserted: 0, updated: 0, deleted: 0, unchanged: 69 })
  const events = await published('of-the-changes')
  const of = (key: string) => events.filter((event) => event.key === key).map(({ type, value }) => [type.replace('afluente.row.', ''), value])
  expect(of('[3]')).toEqual([
    ['inserted', expect.any(String)],
    ['updated', expect.stringContaining('"item":"new"')],
  ])
  expect(of('[4]')).toEqual([
    ['inserted', expect.any(String)],
    ['deleted', expect.stringContaining('"before":{"id":4}')],
  ])
  expect(of('[5]')).toEqual([
    ['inserted', expect.any(String)],
    ['updated', expect.stringContaining('"paid":2,')],
  ])
  expect(events).toHaveLength(73)
})
