/**
 * A member of a Kafka consumer group over kafkajs. What kafkajs does badly stays in here: the next fetch would wait for
 * every batch of the last one, so fetched records go into queues of their own; offsets that are gone would be jumped over
 * in silence; a batch of an older assignment could be handed over under the new one; it may go on after a stop.
 */
import type { Admin, Consumer, Kafka } from 'kafkajs'
import type { Clock } from '../../ports/clock.ts'
import type { Log } from '../../ports/log.ts'
import type { HandleBatch, Subscription, SubscriptionRun } from '../../ports/subscription.ts'
import { installFetchDecoding } from './fetch-decoding.ts'
import { createCommits } from './subscription-commits.ts'
import { createMembership, type Membership } from './subscription-membership.ts'
import { type Position, readPositions } from './subscription-positions.ts'

export interface KafkaSubscriptionDeps {
  /** A new client a run: its connections belong to whoever runs it. */
  readonly kafka: () => Kafka
  readonly groupId: string
  readonly topics: readonly string[]
  /** The largest message the topics take: a fetch must hold one. */
  readonly maxMessageBytes: number
  readonly clock: Clock
  readonly log: Log
  /** Turns kafkajs's errors into this project's own. */
  readonly faultOf: (error: unknown) => Error
}

/** A member that dies without a word holds its partitions for so long; brokers take no less than six seconds. */
const SESSION_TIMEOUT_MS = 10_000
const HEARTBEAT_MS = 2_000
/** How long the broker holds an empty fetch; records end it at once. */
const MAX_WAIT_MS = 400
const FETCH_BYTES = 10 * 1024 * 1024
const COMMIT_GATHER_MS = 100
/** How long a full queue may hold up the fetch of the other partitions before it is paused instead. */
const ROOM_WAIT_MS = 500
/** How long handlers may go on after a stop before they are cut off. */
const STOP_GRACE_MS = 5_000

export function kafkaSubscription(deps: KafkaSubscriptionDeps): Subscription {
  installFetchDecoding()
  return {
    run: async (handle, options) => {
      const kafka = deps.kafka()
      const retry = { retries: 5, restartOnFailure: async () => false }
      const consumer = kafka.consumer({
        groupId: deps.groupId,
        sessionTimeout: SESSION_TIMEOUT_MS,
        rebalanceTimeout: SESSION_TIMEOUT_MS,
        heartbeatInterval: HEARTBEAT_MS,
        maxWaitTimeInMs: MAX_WAIT_MS,
        minBytes: 1,
        maxBytes: Math.max(FETCH_BYTES, deps.maxMessageBytes),
        maxBytesPerPartition: deps.maxMessageBytes,
        retry,
      })
      const admin = kafka.admin({ retry })
      try {
        await consume(deps, consumer, admin, handle, options)
      } catch (error) {
        throw deps.faultOf(error)
      } finally {
        await Promise.allSettled([consumer.disconnect(), admin.disconnect()])
      }
    },
  }
}

async function consume(
  deps: KafkaSubscriptionDeps,
  consumer: Consumer,
  admin: Admin,
  handle: HandleBatch,
  { signal, untilEnd, onReady }: SubscriptionRun,
): Promise<void> {
  const { clock, log, groupId } = deps
  const over = Promise.withResolvers<void>()
  const cutOff = new AbortController()
  const stop = () => over.resolve()
  if (signal.aborted) return
  signal.addEventListener('abort', stop, { once: true })

  const commits = createCommits({
    clock,
    gatherMs: COMMIT_GATHER_MS,
    commit: (offsets) => consumer.commitOffsets([...offsets]),
    onFailure: (error) => log.warn('consumer.commit-failed', { group: groupId, code: error instanceof Error ? error.name : 'unknown' }),
  })

  let ends: ReadonlyMap<string, Position> | null = null
  const positionsNow = async () => {
    const starts = await readPositions(admin, groupId, deps.topics)
    ends ??= starts
    for (const { topic, partition, gone, start } of starts.values()) {
      if (gone !== null) reportGone(topic, partition, gone, start)
    }
    return { starts, ends }
  }
  const reported = new Set<string>()
  const reportGone = (topic: string, partition: number, wanted: bigint, earliest: bigint) => {
    const gap = `${topic}:${partition}:${earliest}`
    if (reported.has(gap)) return
    reported.add(gap)
    log.error('offsets.gone', { group: groupId, topic, partition, wanted: wanted < 0n ? 'unknown' : String(wanted), earliest: String(earliest) })
  }
  const locate = async (topic: string, partition: number, at: bigint) => {
    const range = (await admin.fetchTopicOffsets(topic)).find((one) => one.partition === partition)
    if (range === undefined || (at >= BigInt(range.low) && at <= BigInt(range.high))) return at
    reportGone(topic, partition, at, BigInt(range.low))
    return BigInt(range.low)
  }

  const group: { present: Membership | null; joins: number } = { present: null, joins: 0 }
  const endIfDone = () => {
    if (untilEnd && group.present?.atEnd() === true) over.resolve()
  }

  consumer.on(consumer.events.GROUP_JOIN, ({ payload }) => {
    const before = group.present?.close()
    commits.clear()
    group.joins += 1
    group.present = createMembership({
      generation: `${payload.memberId}/${group.joins}`,
      assignment: payload.memberAssignment,
      positions: admitted.then(positionsNow),
      locate,
      before: before ?? Promise.resolve(),
      handle,
      cutOff: cutOff.signal,
      consumer,
      clock,
      roomWaitMs: ROOM_WAIT_MS,
      onSettled: (offset) => commits.mark(offset),
      onIdle: endIfDone,
      onFailure: over.reject,
    })
    onReady?.()
    log.info('consumer.joined', { group: groupId, partitions: Object.values(payload.memberAssignment).flat().length })
  })
  consumer.on(consumer.events.START_BATCH_PROCESS, ({ payload }) => {
    if (payload.batchSize === 0) group.present?.skipped(payload.topic, payload.partition, BigInt(payload.lastOffset) + 1n)
  })
  consumer.on(consumer.events.CRASH, ({ payload }) => over.reject(payload.error))

  const admitted = admin.connect()
  const start = async () => {
    // Looked at before the consumer runs: once it fetches, kafkajs forgets offsets that are gone and goes to the earliest.
    await Promise.all([admitted.then(positionsNow), consumer.connect()])
    if (signal.aborted) return
    await consumer.subscribe({ topics: [...deps.topics], fromBeginning: true })
    if (signal.aborted) return
    await consumer.run({ autoCommit: false, partitionsConsumedConcurrently: 64, eachBatch: async ({ batch }) => group.present?.accept(batch) })
  }
  const starting = start().catch(over.reject)
  try {
    await over.promise
  } finally {
    signal.removeEventListener('abort', stop)
    const graceEnds = new AbortController()
    await Promise.race([Promise.all([starting, group.present?.drain()]), clock.sleep(STOP_GRACE_MS, { signal: graceEnds.signal })])
    graceEnds.abort()
    cutOff.abort()
    await commits.flush()
    await group.present?.close()
  }
}
