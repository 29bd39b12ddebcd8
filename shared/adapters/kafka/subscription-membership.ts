/** The partitions a group gave this member in one generation, and which fetched batches count under it. */
import type { Batch, Consumer } from 'kafkajs'
import type { Clock } from '../../ports/clock.ts'
import type { HandleBatch } from '../../ports/subscription.ts'
import type { PartitionOffset } from './subscription-commits.ts'
import { createHeldPartition, type HeldPartition } from './subscription-partition.ts'
import { type Position, positionKey } from './subscription-positions.ts'

export interface Membership {
  /** Takes a fetched batch into its partition's queue; resolves when the next may be fetched. */
  accept(batch: Batch): Promise<void>
  /** The broker gave records nobody may see (transaction markers): reading goes on behind them. */
  skipped(topic: string, partition: number, next: bigint): void
  /** Every partition held has been handled up to where the run began to end. */
  atEnd(): boolean
  /** Ends the generation: what waits is dropped, what is under way is told to end. Resolves when it has. */
  close(): Promise<void>
  /** Drops what waits and lets what is under way end by itself. */
  drain(): Promise<void>
}

export interface MembershipDeps {
  readonly generation: string
  readonly assignment: Readonly<Record<string, readonly number[]>>
  /** Where the group stands, and where an available-now run ends. */
  readonly positions: Promise<{ readonly starts: ReadonlyMap<string, Position>; readonly ends: ReadonlyMap<string, Position> }>
  /** Where to go on in a partition whose next fetch came from somewhere else: `at`, or the earliest record when that is gone. */
  readonly locate: (topic: string, partition: number, at: bigint) => Promise<bigint>
  /** Resolves when every batch of the generation before has ended. */
  readonly before: Promise<void>
  readonly handle: HandleBatch
  readonly cutOff: AbortSignal
  readonly consumer: Pick<Consumer, 'seek' | 'pause' | 'resume'>
  readonly clock: Clock
  /** How long a full queue may hold up the fetch of the other partitions before it is paused instead. */
  readonly roomWaitMs: number
  readonly onSettled: (offset: PartitionOffset) => void
  readonly onIdle: () => void
  readonly onFailure: (error: unknown) => void
}

/** A Worker has 128 MB for all its partitions, and a sink needs a batch several times over. */
const LIMITS = { batchRecords: 2_000, batchBytes: 1024 * 1024, fullRecords: 4_000, fullBytes: 2 * 1024 * 1024 } as const
/** Of all partitions together. A fetch more may come on top, of up to 10 MB. */
const CROWDED_BYTES = 24 * 1024 * 1024
/** Below this fetching goes on. More than one partition alone can hold, so that none holds up the others for good. */
const ROOMY_BYTES = 12 * 1024 * 1024

export function createMembership(deps: MembershipDeps): Membership {
  const { consumer, clock } = deps
  const ended = new AbortController()
  const signal = AbortSignal.any([ended.signal, deps.cutOff])
  const held = new Map<string, HeldPartition>()
  const paused = new Set<HeldPartition>()

  const bytes = () => [...held.values()].reduce((sum, partition) => sum + partition.bytes, 0)
  const pause = (partition: HeldPartition) => {
    if (paused.has(partition)) return
    paused.add(partition)
    consumer.pause([{ topic: partition.topic, partitions: [partition.partition] }])
  }
  const resume = (partition: HeldPartition) => {
    if (paused.delete(partition)) consumer.resume([{ topic: partition.topic, partitions: [partition.partition] }])
  }

  for (const [topic, partitions] of Object.entries(deps.assignment)) {
    for (const partition of partitions) {
      const one = createHeldPartition({
        topic,
        partition,
        generation: deps.generation,
        limits: LIMITS,
        handle: deps.handle,
        signal,
        after: deps.before,
        onSettled: (offset) => deps.onSettled({ topic, partition, offset }),
        onRoom: () => {
          if (paused.size > 0 && bytes() <= ROOMY_BYTES) for (const each of paused) if (!each.full) resume(each)
        },
        onIdle: deps.onIdle,
        onFailure: (error) => {
          if (!ended.signal.aborted) deps.onFailure(error)
        },
      })
      held.set(positionKey(topic, partition), one)
    }
  }

  const ready = deps.positions.then(
    ({ starts, ends }) => {
      for (const [key, partition] of held) {
        partition.expected = starts.get(key)?.start ?? 0n
        partition.end = ends.get(key)?.end ?? 0n
      }
      deps.onIdle()
    },
    (error: unknown) => {
      if (!ended.signal.aborted) deps.onFailure(error)
    },
  )

  const drain = async () => {
    await Promise.all([...held.values()].map((partition) => partition.close()))
    await deps.before
  }

  return {
    accept: async (batch) => {
      const partition = held.get(positionKey(batch.topic, batch.partition))
      await ready
      if (partition === undefined || partition.expected === null || signal.aborted) return
      if (fetchedFrom(batch) !== partition.expected) {
        partition.expected = await deps.locate(batch.topic, batch.partition, partition.expected)
        if (!signal.aborted) consumer.seek({ topic: batch.topic, partition: batch.partition, offset: String(partition.expected) })
        return
      }
      partition.expected = BigInt(batch.lastOffset()) + 1n
      partition.push(batch.messages, batch.highWatermark)
      if (bytes() >= CROWDED_BYTES) for (const each of held.values()) pause(each)
      if (!partition.full) return
      const enough = new AbortController()
      await Promise.race([partition.room(), clock.sleep(deps.roomWaitMs, { signal: AbortSignal.any([enough.signal, signal]) })])
      enough.abort()
      if (partition.full && !signal.aborted) pause(partition)
    },
    skipped: (topic, partition, next) => {
      const one = held.get(positionKey(topic, partition))
      if (one !== undefined && one.expected !== null && next > one.expected) one.expected = next
      deps.onIdle()
    },
    atEnd: () => [...held.values()].every((partition) => partition.idle && partition.expected !== null && partition.expected >= partition.end),
    drain,
    close: async () => {
      ended.abort()
      for (const partition of paused) resume(partition)
      await drain()
    },
  }
}

/** Where the fetch of a batch began, which kafkajs keeps on the batch and leaves out of its types. */
function fetchedFrom(batch: Batch): bigint {
  return BigInt('fetchedOffset' in batch && typeof batch.fetchedOffset === 'string' ? batch.fetchedOffset : (batch.firstOffset() ?? batch.lastOffset()))
}
