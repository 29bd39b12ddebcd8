/** Records of one partition that were fetched and are not handled yet: joins small fetches, bounds what waits. */
import type { KafkaMessage } from 'kafkajs'

export interface QueueLimits {
  /** What one batch holds at most; a single larger record still comes, alone. */
  readonly batchRecords: number
  readonly batchBytes: number
  /** Above these the queue is full, and fetching the partition pauses. */
  readonly fullRecords: number
  readonly fullBytes: number
}

/** A Worker has 128 MB for all its partitions, and a sink needs a batch several times over. */
const OF_ALL = { records: 48_000, bytes: 24 * 1024 * 1024 } as const
const OF_ONE = { records: 4_000, bytes: 2 * 1024 * 1024 } as const

/** The limits of each of so many partitions that one member holds: what waits in all of them together is bounded. */
export function limitsFor(partitions: number): QueueLimits {
  const fullRecords = Math.max(2, Math.min(OF_ONE.records, Math.floor(OF_ALL.records / partitions)))
  const fullBytes = Math.min(OF_ONE.bytes, Math.floor(OF_ALL.bytes / partitions))
  return { batchRecords: fullRecords / 2, batchBytes: fullBytes / 2, fullRecords, fullBytes }
}

export interface Queue {
  push(messages: readonly KafkaMessage[]): void
  /** The next batch, in offset order; empty when nothing waits. */
  take(): readonly KafkaMessage[]
  readonly length: number
  readonly full: boolean
  /** Half empty again: the time to fetch more. */
  readonly roomy: boolean
}

export function createQueue(limits: QueueLimits): Queue {
  let waiting: KafkaMessage[] = []
  let taken = 0
  let bytes = 0
  const length = () => waiting.length - taken
  return {
    push: (messages) => {
      for (const message of messages) {
        waiting.push(message)
        bytes += bytesOf(message)
      }
    },
    take: () => {
      const from = taken
      let size = 0
      while (taken < waiting.length && taken - from < limits.batchRecords) {
        const message = waiting[taken]
        const next = message === undefined ? 0 : bytesOf(message)
        if (taken > from && size + next > limits.batchBytes) break
        size += next
        taken += 1
      }
      const batch = waiting.slice(from, taken)
      bytes -= size
      if (taken === waiting.length || taken > limits.fullRecords) {
        waiting = waiting.slice(taken)
        taken = 0
      }
      return batch
    },
    get length() {
      return length()
    },
    get full() {
      return length() >= limits.fullRecords || bytes >= limits.fullBytes
    },
    get roomy() {
      return length() <= limits.fullRecords / 2 && bytes <= limits.fullBytes / 2
    },
  }
}

function bytesOf(message: KafkaMessage): number {
  return (message.key?.length ?? 0) + (message.value?.length ?? 0)
}
