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

/** What an event's headers take, about. */
const HEADER_BYTES = 512

export interface Queue {
  push(messages: readonly KafkaMessage[]): void
  /** The next batch, in offset order; empty when nothing waits. */
  take(): readonly KafkaMessage[]
  readonly length: number
  /** Of what waits, headers by a guess. */
  readonly bytes: number
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
        bytes += sizeOf(message)
      }
    },
    take: () => {
      const from = taken
      let size = 0
      while (taken < waiting.length && taken - from < limits.batchRecords) {
        const message = waiting[taken]
        const next = message === undefined ? 0 : sizeOf(message)
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
    get bytes() {
      return bytes + length() * HEADER_BYTES
    },
    get full() {
      return length() >= limits.fullRecords || bytes >= limits.fullBytes
    },
    get roomy() {
      return length() <= limits.fullRecords / 2 && bytes <= limits.fullBytes / 2
    },
  }
}

/** Of messages with their headers, by a guess. */
export function bytesOf(messages: readonly KafkaMessage[]): number {
  return messages.reduce((sum, message) => sum + sizeOf(message) + HEADER_BYTES, 0)
}

function sizeOf(message: KafkaMessage): number {
  return (message.key?.length ?? 0) + (message.value?.length ?? 0)
}
