/** One partition this member holds: what was fetched waits in its queue, and a pump hands it over batch by batch. */
import type { KafkaMessage } from 'kafkajs'
import type { LogRecord } from '../../events/envelope.ts'
import type { HandleBatch } from '../../ports/subscription.ts'
import { bytesOf, createQueue, type QueueLimits } from './subscription-queue.ts'

export interface HeldPartition {
  readonly topic: string
  readonly partition: number
  /** The offset the next fetch must begin at; null until the group's position is known. Fetches that begin elsewhere belong to an older assignment. */
  expected: bigint | null
  /** Where an available-now run ends. */
  end: bigint
  readonly full: boolean
  /** Of what waits and what is being handled. */
  readonly bytes: number
  push(messages: readonly KafkaMessage[], highWatermark: string): void
  /** Resolves when there is room for more. */
  room(): Promise<void>
  /** Nothing waits and nothing is being handled. */
  readonly idle: boolean
  /** Drops what waits; resolves when the batch under way has ended. */
  close(): Promise<void>
}

export interface HeldPartitionDeps {
  readonly topic: string
  readonly partition: number
  readonly generation: string
  readonly limits: QueueLimits
  readonly handle: HandleBatch
  readonly signal: AbortSignal
  /** The same partition under the assignment before: its last batch must have ended first. */
  readonly after: Promise<void>
  readonly onSettled: (nextOffset: string) => void
  readonly onRoom: () => void
  readonly onIdle: () => void
  readonly onFailure: (error: unknown) => void
}

export function createHeldPartition(deps: HeldPartitionDeps): HeldPartition {
  const { topic, partition, generation, signal } = deps
  const queue = createQueue(deps.limits)
  let pumping: Promise<void> | null = null
  let closed = false
  let highWatermark = '0'
  let handling = 0
  let waiters: (() => void)[] = []

  const makeRoom = () => {
    const waiting = waiters
    waiters = []
    for (const resume of waiting) resume()
    deps.onRoom()
  }

  const heartbeat = async () => signal.throwIfAborted()

  const pump = async () => {
    await deps.after
    while (queue.length > 0 && !closed && !signal.aborted) {
      const taken = queue.take()
      const records = taken.map((message) => recordOf(topic, partition, message))
      handling = bytesOf(taken)
      if (queue.roomy) makeRoom()
      await deps.handle({ topic, partition, records, highWatermark, generation }, { signal, heartbeat })
      const last = records.at(-1)
      if (last !== undefined && !signal.aborted) deps.onSettled(String(BigInt(last.offset) + 1n))
      handling = 0
      if (queue.roomy) makeRoom()
    }
  }

  const start = () => {
    pumping ??= pump()
      .catch((error: unknown) => {
        closed = true
        deps.onFailure(error)
      })
      .finally(() => {
        pumping = null
        if (queue.length > 0 && !closed && !signal.aborted) start()
        else deps.onIdle()
      })
  }

  return {
    topic,
    partition,
    expected: null,
    end: 0n,
    get full() {
      return queue.full
    },
    get bytes() {
      return queue.bytes + handling
    },
    get idle() {
      return pumping === null && queue.length === 0
    },
    push: (messages, high) => {
      highWatermark = high
      queue.push(messages)
      start()
    },
    room: () => (queue.roomy || closed || signal.aborted ? Promise.resolve() : new Promise((resolve) => waiters.push(resolve))),
    close: async () => {
      closed = true
      makeRoom()
      await pumping
    },
  }
}

function recordOf(topic: string, partition: number, message: KafkaMessage): LogRecord {
  return {
    topic,
    partition,
    offset: message.offset,
    timestampMs: Number(message.timestamp),
    key: message.key?.toString() ?? null,
    value: message.value?.toString() ?? null,
    headers: message.headers ?? {},
  }
}
