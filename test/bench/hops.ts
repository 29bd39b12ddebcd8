/** One hop alone, and all of them together: rows a second, and the CPU of each part a row. */
import { randomUUID } from 'node:crypto'
import { countCpu, type CpuPerRow } from './cpu.ts'
import { difference } from './edge-difference.ts'
import { countDocuments, documentSpan } from './elasticsearch.ts'
import type { BenchStack } from './stack.ts'
import { consumed, perSecond, rateOf, type Span } from './throughput-rows.ts'
import { until } from './wait.ts'
import type { Workload } from './workload.ts'

/** Ten million rows that wait take a sink some seven minutes. */
const LONGEST_MS = 1_200_000
export const consumers = ['postgres', 'elasticsearch'] as const
/** One whose name has an underscore is a further one of its kind. */
export type Consumer = (typeof consumers)[number] | `${(typeof consumers)[number]}_${string}`

function isOfPostgres(consumer: Consumer): boolean {
  return consumer.startsWith('postgres')
}

export interface Moved {
  readonly [name: string]: unknown
  readonly rows: number
  readonly ms: number
  readonly rowsPerSecond: number
  /** Null where the kernel's counts can't be read. */
  readonly cpuPerRow: CpuPerRow | null
}

export interface Hops {
  readonly source: Moved
  readonly capture: Moved & Pace
  readonly sink: Moved
}

/** The source, capture and a sink, one after the other, each with nothing else at work: so capture finds all rows waiting, and the sink too. */
export async function eachHop(stack: BenchStack, workload: Workload, rows: number, consumer: Consumer = 'postgres'): Promise<Hops> {
  const mark = `bench ${randomUUID()}`
  // Stopped while it holds its lease, the next one would have to wait until that has run out.
  const resting = async () => (await stack.source.query('select from afluente.shards where leased_until > clock_timestamp()')).rowCount === 0
  await until('capture to rest', resting, 50, LONGEST_MS)
  await stack.part('edge', 'stop')
  await stack.consumer(consumer, 'stop')
  const cpu = await countCpu(stack)
  const ms = await workload.insert(stack.source, mark, rows)
  const source = { rows, ms: Math.round(ms), rowsPerSecond: perSecond(rows, ms), cpuPerRow: (await cpu?.(rows)) ?? null }
  const capture = await captureAlone(stack, workload, rows)
  const span = () =>
    isOfPostgres(consumer) ? workload.span(stack.analytics, 'silver', mark) : documentSpan(stack.info.elasticsearch.url, workload.documents, mark)
  const sink = await sinkAlone(stack, consumer, span)
  await stack.consumer(consumer, 'resume')
  return { source, capture, sink }
}

/** Outbox to Kafka. The rows are in the outbox and the functions' host is stopped: the time runs from the function's answer to the ring after its start. */
export async function captureAlone(stack: BenchStack, { topics }: Pick<Workload, 'topics'>, rows: number): Promise<Moved & Pace> {
  const admin = stack.kafka.admin()
  await admin.connect()
  try {
    const end = async (): Promise<number> => {
      const ends = await Promise.all(topics.map((topic) => admin.fetchTopicOffsets(topic)))
      return ends.flat().reduce((sum, { high }) => sum + Number(high), 0)
    }
    const base = await end()
    await stack.part('edge', 'start')
    const before = await stack.edgeStats()
    const cpu = await countCpu(stack)
    const looks: Look[] = []
    const rungAt = performance.now()
    await stack.ring()
    const began = performance.now()
    const look = async (): Promise<boolean> => {
      const published = (await end()) - base
      looks.push({ ms: performance.now() - began, published })
      return published >= rows
    }
    await until('events in Kafka', look, 20, LONGEST_MS)
    const { ms } = looks.at(-1) ?? { ms: 0 }
    const cpuPerRow = (await cpu?.(rows)) ?? null
    const edge = difference(before, await stack.edgeStats())
    return { rows, ms: Math.round(ms), rowsPerSecond: perSecond(rows, ms), ...paceOf(looks, began - rungAt), cpuPerRow, edge }
  } finally {
    await admin.disconnect()
  }
}

interface Look {
  readonly ms: number
  readonly published: number
}

export interface Pace {
  /** From the ring to the first look that saw an event: the function's cold start, its boot included. */
  readonly firstEventMs: number | null
  /** From then on. Null where the same look saw them all. */
  readonly steadyRowsPerSecond: number | null
}

/** `ringMs`: how long the ring took, before the looks began. */
export function paceOf(looks: readonly Look[], ringMs = 0): Pace {
  const first = looks.find(({ published }) => published > 0)
  const last = looks.at(-1)
  if (first === undefined || last === undefined) return { firstEventMs: null, steadyRowsPerSecond: null }
  const steady = first === last ? null : perSecond(last.published - first.published, last.ms - first.ms)
  return { firstEventMs: Math.round(ringMs + first.ms), steadyRowsPerSecond: steady }
}

/** Kafka to a sink: the time to join the group doesn't count, from the first commit to the last. */
export async function sinkAlone(stack: BenchStack, consumer: Consumer, span: () => Promise<Span>): Promise<Moved> {
  const cpu = await countCpu(stack)
  await stack.consumer(consumer, 'resume')
  await caughtUp(stack, [consumer])
  const found = await span()
  const cpuPerRow = (await cpu?.(found.rows)) ?? null
  await stack.consumer(consumer, 'stop')
  return { rows: found.rows, ms: Math.round(found.lastMs - found.firstMs), rowsPerSecond: rateOf(found), cpuPerRow }
}

/** From the first commit in the source to the last row in each sink. */
export async function endToEnd(stack: BenchStack, workload: Workload, rows: number, into: readonly Consumer[]): Promise<Moved> {
  const mark = `bench ${randomUUID()}`
  const before = await stack.edgeStats()
  const cpu = await countCpu(stack)
  const base = new Map(await Promise.all(into.map(async (consumer) => [consumer, await consumed(stack, consumer)] as const)))
  const arrived = async (consumer: Consumer): Promise<number> => {
    await until(`rows in ${consumer}`, async () => (await consumed(stack, consumer)) >= (base.get(consumer) ?? 0) + rows, 50, LONGEST_MS)
    const inSight = async () => countDocuments(stack.info.elasticsearch.url, workload.documents, mark)
    if (!isOfPostgres(consumer)) await until('documents in sight', async () => (await inSight()) >= rows, 20, LONGEST_MS)
    return Date.now()
  }
  const [insertMs, ...ends] = await Promise.all([workload.insert(stack.source, mark, rows), ...into.map(arrived)])
  const cpuPerRow = (await cpu?.(rows)) ?? null
  const { firstMs } = await workload.span(stack.source, 'public', mark)
  const sinks = await Promise.all(
    into.map(async (consumer, at) => {
      const lastMs = consumer === 'postgres' ? (await workload.span(stack.analytics, 'silver', mark)).lastMs : (ends[at] ?? 0)
      return [consumer, { ms: Math.round(lastMs - firstMs), rowsPerSecond: perSecond(rows, lastMs - firstMs) }] as const
    }),
  )
  return {
    rows,
    ms: Math.max(...sinks.map(([, { ms }]) => ms)),
    rowsPerSecond: Math.min(...sinks.map(([, { rowsPerSecond }]) => rowsPerSecond)),
    insertMs: Math.round(insertMs),
    sinks: Object.fromEntries(sinks),
    cpuPerRow,
    edge: difference(before, await stack.edgeStats()),
  }
}

export async function caughtUp(stack: BenchStack, which: readonly Consumer[] = consumers): Promise<void> {
  const behind = async (): Promise<string | true> => {
    const response = await fetch(`${stack.info.worker.url}/api/consumers`, { headers: { authorization: `Bearer ${stack.info.worker.token}` } })
    const { consumers } = (await response.json()) as { consumers: readonly { readonly name: string; readonly lag: number | null; readonly state: string }[] }
    const late = consumers.filter(({ name, lag }) => which.some((one) => one === name) && lag !== 0)
    return late.length === 0 ? true : late.map(({ name, lag, state }) => `${name} is ${state}, ${lag ?? 'unknown'} behind`).join(', ')
  }
  await until('the consumers to catch up', behind, 200, LONGEST_MS)
}
