/** Where a group stands in its topics, read from the broker itself and not guessed. */
import type { Admin } from 'kafkajs'

export interface Position {
  readonly topic: string
  readonly partition: number
  /** Where reading begins: the committed offset, or the earliest record. */
  readonly start: bigint
  /** The high watermark now. */
  readonly end: bigint
  /** The committed offset, when the records at it are gone (retention, a topic made anew): reading goes on at the earliest. Negative when it is not known any more. */
  readonly gone: bigint | null
}

/** Positions of every partition of `topics`, keyed by `positionKey`. Errors are kafkajs's own. */
export async function readPositions(admin: Admin, groupId: string, topics: readonly string[]): Promise<ReadonlyMap<string, Position>> {
  const [committed, ...ranges] = await Promise.all([
    admin.fetchOffsets({ groupId, topics: [...topics] }),
    ...topics.map((topic) => admin.fetchTopicOffsets(topic)),
  ])
  const offsets = new Map(
    committed.flatMap(({ topic, partitions }) => partitions.map(({ partition, offset }) => [positionKey(topic, partition), BigInt(offset)] as const)),
  )
  const positions = topics.flatMap((topic, at) =>
    (ranges[at] ?? []).map(({ partition, low, high }) =>
      positionOf(topic, partition, BigInt(low), BigInt(high), offsets.get(positionKey(topic, partition)) ?? -1n),
    ),
  )
  return new Map(positions.map((position) => [positionKey(position.topic, position.partition), position]))
}

/** What kafkajs commits in place of an offset that was out of range. */
const RESET = -2n

export function positionKey(topic: string, partition: number): string {
  return `${topic}:${partition}`
}

function positionOf(topic: string, partition: number, low: bigint, high: bigint, committed: bigint): Position {
  const gone = committed === RESET || (committed >= 0n && (committed < low || committed > high))
  return { topic, partition, start: committed < 0n || gone ? low : committed, end: high, gone: gone ? committed : null }
}
