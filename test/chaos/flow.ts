/** How far the stream has come, asked of the databases and of Kafka itself. */
import type { Admin } from 'kafkajs'
import type { World } from './world.ts'

export const topics = ['afluente.public.leads', 'afluente.public.chat_sessions'] as const
export const consumers = ['postgres', 'elasticsearch'] as const

/** A partition of a topic, and of a consumer where it belongs to one. */
export interface Place {
  readonly consumer?: string
  readonly topic: string
  readonly partition: number
  readonly offset: bigint
}

export interface Offsets {
  readonly ends: readonly Place[]
  readonly committed: readonly Place[]
}

export interface Flow extends Offsets {
  /** Changes in the outbox. */
  readonly outbox: number
  readonly settled: readonly Place[]
  /** Events that a consumer has yet to settle, of the one that is farther behind. */
  readonly lag: number
}

/** Each rejects while a part it asks is down. */
export interface FlowReader {
  outbox(): Promise<number>
  settled(): Promise<readonly Place[]>
  offsets(): Promise<Offsets>
  read(): Promise<Flow>
  close(): Promise<void>
}

/** Events that are on a topic and not settled, of the consumer that is farther behind. */
export function lagOf(ends: readonly Place[], settled: readonly Place[]): number {
  const behind = consumers.map((consumer) =>
    ends.reduce((sum, end) => {
      const at = settled.find((place) => place.consumer === consumer && place.topic === end.topic && place.partition === end.partition)
      // The two were read one after the other: what was settled meanwhile may be ahead.
      return sum + Math.max(0, Number(end.offset - (at?.offset ?? 0n)))
    }, 0),
  )
  return Math.max(...behind)
}

export function createFlowReader({ kafka, source, analytics }: Pick<World, 'kafka' | 'source' | 'analytics'>): FlowReader {
  let admin: Admin | undefined
  const connected = async (): Promise<Admin> => {
    if (admin !== undefined) return admin
    const made = kafka.admin()
    await made.connect()
    return (admin = made)
  }
  const offsets = async (): Promise<Offsets> => {
    try {
      const asked = await connected()
      const ends: Place[] = []
      for (const topic of topics) {
        for (const { partition, high } of await asked.fetchTopicOffsets(topic)) ends.push({ topic, partition, offset: BigInt(high) })
      }
      const committed: Place[] = []
      for (const consumer of consumers) {
        for (const { topic, partitions } of await asked.fetchOffsets({ groupId: `afluente.${consumer}`, topics: [...topics] })) {
          for (const { partition, offset } of partitions) committed.push({ consumer, topic, partition, offset: BigInt(offset) })
        }
      }
      return { ends, committed }
    } catch (error) {
      void admin?.disconnect().catch(() => undefined)
      admin = undefined
      throw error
    }
  }

  const outbox = async (): Promise<number> => (await source.query<{ n: number }>('select count(*)::int as n from afluente.outbox')).rows[0]?.n ?? 0
  const settled = async (): Promise<readonly Place[]> => {
    const { rows } = await analytics.query<{ consumer: string; topic: string; partition: number; next: string }>(
      'select consumer, topic, "partition", next_offset::text as next from ops.consumer_progress',
    )
    return rows.map(({ consumer, topic, partition, next }) => ({ consumer, topic, partition, offset: BigInt(next) }))
  }
  return {
    outbox,
    settled,
    offsets,
    read: async () => {
      const [waiting, places, { ends, committed }] = await Promise.all([outbox(), settled(), offsets()])
      return { outbox: waiting, settled: places, ends, committed, lag: lagOf(ends, places) }
    },
    close: async () => {
      await admin?.disconnect().catch(() => undefined)
    },
  }
}
