/** How many rows a second each hop moves alone, and all of them together. */
import { randomUUID } from 'node:crypto'
import { topicOf } from '../../shared/engine/define.ts'
import { leads } from '../../shared/tables/leads.ts'
import { countCpu } from './cpu.ts'
import { countLeads } from './elasticsearch.ts'
import { difference } from './edge-difference.ts'
import type { Report } from './report.ts'
import type { BenchStack } from './stack.ts'
import { limits } from './throughput-limits.ts'
import { commitSpan, consumed, insertLeads, perSecond, rateOf } from './throughput-rows.ts'
import { until } from './wait.ts'

export interface ThroughputOptions {
  readonly rows: number
  /** Leaves each hop alone, and what the parts take without this project, out. */
  readonly endToEndOnly: boolean
}

const LONGEST_MS = 300_000
const consumers = ['postgres', 'elasticsearch'] as const
type Consumer = (typeof consumers)[number]

export async function throughput(stack: BenchStack, report: Report, { rows, endToEndOnly }: ThroughputOptions): Promise<void> {
  if (stack.own && !endToEndOnly) await hops(stack, report, rows)
  await stack.consumer('elasticsearch', 'stop')
  await stack.consumer('postgres', 'resume')
  await report.measure('end to end, silver and bronze', () => endToEnd(stack, rows, ['postgres']))
  await stack.consumer('elasticsearch', 'resume')
  await caughtUp(stack)
  await report.measure('end to end, silver, bronze and Elasticsearch', () => endToEnd(stack, rows, consumers))
}

/** For a stack whose definition keeps no bronze. */
export async function silverOnly(stack: BenchStack, report: Report, { rows }: ThroughputOptions): Promise<void> {
  await stack.consumer('elasticsearch', 'stop')
  await endToEnd(stack, Math.min(rows, 5_000), ['postgres'])
  await report.measure('end to end, silver alone', () => endToEnd(stack, rows, ['postgres']))
}

async function hops(stack: BenchStack, report: Report, rows: number): Promise<void> {
  const mark = `bench ${randomUUID()}`
  await stack.part('edge', 'stop')
  for (const consumer of consumers) await stack.consumer(consumer, 'stop')
  await report.measure('source: inserts without a trigger', async () => {
    await stack.source.query('create schema bench; create table bench.leads (like public.leads including all)')
    const ms = await insertLeads(stack.source, 'bench.leads', mark, rows)
    await stack.source.query('drop schema bench cascade')
    return { rows, ms: Math.round(ms), rowsPerSecond: perSecond(rows, ms) }
  })
  await report.measure('source: inserts with the trigger', async () => {
    const ms = await insertLeads(stack.source, 'public.leads', mark, rows)
    return { rows, ms: Math.round(ms), rowsPerSecond: perSecond(rows, ms) }
  })
  await limits(stack, report, mark)
  await report.measure('capture alone: outbox to Kafka', () => captureAlone(stack, rows))
  for (const consumer of consumers) await report.measure(`${consumer} alone: Kafka to the sink`, () => sinkAlone(stack, consumer, mark))
}

async function captureAlone(stack: BenchStack, rows: number): Promise<Record<string, unknown>> {
  const admin = stack.kafka.admin()
  await admin.connect()
  try {
    const end = async (): Promise<number> => (await admin.fetchTopicOffsets(topicOf(leads))).reduce((sum, { high }) => sum + Number(high), 0)
    const base = await end()
    await stack.part('edge', 'start')
    const before = await stack.edgeStats()
    await stack.ring()
    const began = performance.now()
    await until('events in Kafka', async () => (await end()) >= base + rows, 20, LONGEST_MS)
    const ms = performance.now() - began
    return { rows, ms: Math.round(ms), rowsPerSecond: perSecond(rows, ms), edge: difference(before, await stack.edgeStats()) }
  } finally {
    await admin.disconnect()
  }
}

/** The time to join the group doesn't count: from the first commit to the last. */
async function sinkAlone(stack: BenchStack, consumer: Consumer, mark: string): Promise<Record<string, unknown>> {
  await stack.consumer(consumer, 'resume')
  await caughtUp(stack, [consumer])
  const found = consumer === 'postgres' ? await commitSpan(stack.analytics, 'silver.leads', mark) : await documentSpan(stack, mark)
  await stack.consumer(consumer, 'stop')
  return { rows: found.rows, ms: Math.round(found.lastMs - found.firstMs), rowsPerSecond: rateOf(found) }
}

/** By the moments at which the sink made the documents: one a batch. */
async function documentSpan({ info }: BenchStack, mark: string): ReturnType<typeof commitSpan> {
  const query = { term: { 'company.raw': mark } }
  await fetch(`${info.elasticsearch.url}/leads/_refresh`, { method: 'POST' })
  const at = { field: 'afluente.synced_at' }
  const body = { size: 0, query, aggs: { first: { min: at }, last: { max: at }, n: { value_count: { field: 'afluente.version' } } } }
  const response = await fetch(`${info.elasticsearch.url}/leads/_search`, {
    method: 'POST',
    headers: { 'content-type': 'application/json' },
    body: JSON.stringify(body),
  })
  const { aggregations } = (await response.json()) as Aggregated
  return { rows: aggregations?.n?.value ?? 0, firstMs: aggregations?.first?.value ?? 0, lastMs: aggregations?.last?.value ?? 0, withFirst: 0 }
}

interface Aggregated {
  readonly aggregations?: Readonly<Record<'first' | 'last' | 'n', { readonly value: number } | undefined>>
}

/** From the first commit in the source to the last row in each sink. */
async function endToEnd(stack: BenchStack, rows: number, into: readonly Consumer[]): Promise<Record<string, unknown>> {
  const mark = `bench ${randomUUID()}`
  const before = await stack.edgeStats()
  const cpu = await countCpu(stack)
  const base = new Map(await Promise.all(into.map(async (consumer) => [consumer, await consumed(stack, consumer)] as const)))
  const arrived = async (consumer: Consumer): Promise<number> => {
    await until(`rows in ${consumer}`, async () => (await consumed(stack, consumer)) >= (base.get(consumer) ?? 0) + rows, 50, LONGEST_MS)
    if (consumer === 'elasticsearch')
      await until('documents in sight', async () => (await countLeads(stack.info.elasticsearch.url, mark)) >= rows, 20, LONGEST_MS)
    return Date.now()
  }
  const [insertMs, ...ends] = await Promise.all([insertLeads(stack.source, 'public.leads', mark, rows), ...into.map(arrived)])
  const cpuPerRow = (await cpu?.(rows)) ?? null
  const { firstMs } = await commitSpan(stack.source, 'public.leads', mark)
  const sinks = await Promise.all(
    into.map(async (consumer, at) => {
      const lastMs = consumer === 'postgres' ? (await commitSpan(stack.analytics, 'silver.leads', mark)).lastMs : (ends[at] ?? 0)
      return [consumer, { ms: Math.round(lastMs - firstMs), rowsPerSecond: perSecond(rows, lastMs - firstMs) }] as const
    }),
  )
  const slowest = Math.min(...sinks.map(([, { rowsPerSecond }]) => rowsPerSecond))
  return {
    rows,
    rowsPerSecond: slowest,
    insertMs: Math.round(insertMs),
    sinks: Object.fromEntries(sinks),
    cpuPerRow,
    edge: difference(before, await stack.edgeStats()),
  }
}

async function caughtUp(stack: BenchStack, which: readonly Consumer[] = consumers): Promise<void> {
  const behind = async (): Promise<string | true> => {
    const response = await fetch(`${stack.info.worker.url}/api/consumers`, { headers: { authorization: `Bearer ${stack.info.worker.token}` } })
    const { consumers } = (await response.json()) as { consumers: readonly { readonly name: string; readonly lag: number | null; readonly state: string }[] }
    const late = consumers.filter(({ name, lag }) => which.some((one) => one === name) && lag !== 0)
    return late.length === 0 ? true : late.map(({ name, lag, state }) => `${name} is ${state}, ${lag ?? 'unknown'} behind`).join(', ')
  }
  await until('the consumers to catch up', behind, 200, LONGEST_MS)
}
