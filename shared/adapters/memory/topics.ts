/** Topics in memory: partitions of records with offsets, and where each group stands. */
import type { LogRecord, OutboundMessage } from '../../events/envelope.ts'
import type { Clock } from '../../ports/clock.ts'
import { hashOf } from './hash.ts'

export interface MemoryTopics {
  readonly partitions: number
  readonly maxMessageBytes: number
  /** Adds a record to the partition of its key. */
  append(message: OutboundMessage): LogRecord
  /** Adds a record that nobody encoded: what a stranger may write to a topic. */
  appendRaw(
    topic: string,
    record: { readonly key: string | null; readonly value: string | null; readonly headers?: Readonly<Record<string, string>> },
  ): LogRecord
  /** Up to `limit` records from `offset` on. */
  read(topic: string, partition: number, offset: number, limit: number): readonly LogRecord[]
  /** The offset the next record of the partition will have. */
  end(topic: string, partition: number): number
  /** Everything that stands on a topic, partition by partition. */
  all(topic: string): readonly LogRecord[]
  /** Resolves at the next append, or when the signal aborts. */
  appended(signal: AbortSignal): Promise<void>
}

export interface MemoryTopicsOptions {
  readonly clock: Clock
  readonly partitions?: number
  readonly maxMessageBytes?: number
}

export function memoryTopics({ clock, partitions = 4, maxMessageBytes = 8 * 1024 * 1024 }: MemoryTopicsOptions): MemoryTopics {
  const topics = new Map<string, LogRecord[][]>()
  const waiting = new Set<() => void>()

  const topicOf = (name: string) => {
    const found = topics.get(name) ?? Array.from({ length: partitions }, () => [])
    topics.set(name, found)
    return found
  }
  const partitionOf = (topic: string, partition: number) => topicOf(topic)[partition] ?? []

  const appendRaw: MemoryTopics['appendRaw'] = (topic, { key, value, headers = {} }) => {
    const partition = hashOf(key ?? '') % partitions
    const records = partitionOf(topic, partition)
    const record: LogRecord = { topic, partition, offset: String(records.length), timestampMs: clock.now(), key, value, headers }
    records.push(record)
    for (const wake of waiting) wake()
    return record
  }

  return {
    partitions,
    maxMessageBytes,
    appendRaw,
    append: (message) => appendRaw(message.topic, message),
    read: (topic, partition, offset, limit) => partitionOf(topic, partition).slice(offset, offset + limit),
    end: (topic, partition) => partitionOf(topic, partition).length,
    all: (topic) => topicOf(topic).flat(),
    appended: (signal) =>
      new Promise((resolve) => {
        const wake = () => {
          waiting.delete(wake)
          signal.removeEventListener('abort', wake)
          resolve()
        }
        if (signal.aborted) return resolve()
        waiting.add(wake)
        signal.addEventListener('abort', wake, { once: true })
      }),
  }
}
