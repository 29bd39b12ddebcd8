/** What the parts take without this project: the ceiling, measured in the same run with the same rows. */
import { randomUUID } from 'node:crypto'
import { elasticsearchClient } from '../../shared/adapters/elasticsearch/client.ts'
import { actionLineOf, documentLineOf } from '../../shared/mappings/document.ts'
import { indexNameOf, templateOf } from '../../shared/mappings/index-mapping.ts'
import { pipeline } from '../../shared/pipeline.ts'
import { leads } from '../../shared/tables/leads.ts'
import { insertOf } from './event.ts'
import type { Report } from './report.ts'
import type { BenchStack } from './stack.ts'
import { perSecond } from './throughput-rows.ts'

const BATCH = 1_000

/** `mark`: the rows of the source that are used. */
export async function limits(stack: BenchStack, report: Report, mark: string): Promise<void> {
  const { rows } = await stack.source.query<{ id: string; text: string }>(
    'select id::text as id, row_to_json(l)::text as text from public.leads l where company = $1',
    [mark],
  )
  const batches = Array.from({ length: Math.ceil(rows.length / BATCH) }, (_, at) => rows.slice(at * BATCH, (at + 1) * BATCH))
  const timed = async (work: () => Promise<void>): Promise<Record<string, unknown>> => {
    const began = performance.now()
    await work()
    const ms = performance.now() - began
    return { rows: rows.length, ms: Math.round(ms), rowsPerSecond: perSecond(rows.length, ms) }
  }
  await report.measure('limit: COPY into a table like silver.leads', () => copy(stack, mark, timed))
  await report.measure('limit: INSERT … ON CONFLICT from json, one connection', async () => {
    await freshTable(stack)
    return timed(async () => {
      const text = `insert into bench.leads select * from json_populate_recordset(null::bench.leads, $1::json) on conflict (id) do update set name = excluded.name where excluded._version > bench.leads._version`
      for (const batch of batches)
        await stack.analytics.query({ name: 'bench-upsert', text, values: [`[${batch.map((row) => `${row.text.slice(0, -1)},"_version":1}`).join(',')}]`] })
    })
  })
  await report.measure('limit: _bulk of the same documents, four at once', () => bulk(stack, batches, timed))
  await report.measure('kafkajs as it is, without headers, acks of all', () => produce(stack, batches, timed))
  await stack.analytics.query('drop schema if exists bench cascade')
}

type Timed = (work: () => Promise<void>) => Promise<Record<string, unknown>>
type Batches = readonly (readonly { readonly id: string; readonly text: string }[])[]

async function freshTable({ analytics }: BenchStack): Promise<void> {
  await analytics.query('drop schema if exists bench cascade; create schema bench; create table bench.leads (like silver.leads including all)')
}

async function copy(stack: BenchStack, mark: string, timed: Timed): Promise<Record<string, unknown>> {
  await freshTable(stack)
  const { rows } = await stack.source.query<{ path: string }>(`select current_setting('data_directory') || '/bench-' || $1 || '.copy' as path`, [randomUUID()])
  const path = rows[0]?.path ?? ''
  await stack.source.query(
    `copy (select id, name, email, phone, company, job_title, source, status, score, estimated_value, tags, metadata, 1 from public.leads where company = '${mark}') to '${path}'`,
  )
  return timed(
    async () =>
      void (await stack.analytics.query(
        `copy bench.leads (id, name, email, phone, company, job_title, source, status, score, estimated_value, tags, metadata, _version) from '${path}'`,
      )),
  )
}

async function bulk(stack: BenchStack, batches: Batches, timed: Timed): Promise<Record<string, unknown>> {
  const client = elasticsearchClient({ url: stack.info.elasticsearch.url })
  const version = 9_999
  const index = indexNameOf(leads, version)
  const syncedAt = new Date().toISOString()
  await client.indices.delete({ index, ignore_unavailable: true })
  await client.indices.create({ index, ...templateOf(leads, { ...productIndex(), version }).template })
  // As the sink writes them, with what it adds to a row.
  const waiting = batches.map((batch) =>
    batch.flatMap(({ id, text }, nth) => {
      const event = insertOf(id, nth + 1, text)
      return [actionLineOf(event), documentLineOf(event, syncedAt)]
    }),
  )
  const found = await timed(async () => {
    const work = async (): Promise<void> => {
      for (let operations = waiting.shift(); operations !== undefined; operations = waiting.shift()) {
        await client.bulk({ index, operations, filter_path: 'errors' })
      }
    }
    await Promise.all([work(), work(), work(), work()])
  })
  await client.indices.delete({ index })
  return found
}

/** The index as the product defines it. */
function productIndex(): { readonly fields?: Readonly<Record<string, string | undefined>> } {
  const sinks = Object.values(pipeline.consumers).map(({ sink }) => sink)
  return sinks.flatMap((sink) => (sink.kind === 'elasticsearch' ? (sink.indices.leads ?? []) : []))[0] ?? {}
}

async function produce(stack: BenchStack, batches: Batches, timed: Timed): Promise<Record<string, unknown>> {
  const topic = `bench.${randomUUID()}`
  const admin = stack.kafka.admin()
  await admin.connect()
  await admin.createTopics({ topics: [{ topic, numPartitions: 4 }] })
  const producer = stack.kafka.producer({ idempotent: true, maxInFlightRequests: 1 })
  await producer.connect()
  try {
    return await timed(async () => {
      for (const batch of batches) await producer.send({ topic, acks: -1, messages: batch.map(({ id, text }) => ({ key: `["${id}"]`, value: text })) })
    })
  } finally {
    await producer.disconnect()
    await admin.deleteTopics({ topics: [topic] })
    await admin.disconnect()
  }
}
