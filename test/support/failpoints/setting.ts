/** The table, topic and sides that every world has. */
import type { MemoryAnalytics } from '../../../shared/adapters/memory/analytics.ts'
import type { MemoryGroup } from '../../../shared/adapters/memory/group.ts'
import type { Clock } from '../../../shared/ports/clock.ts'
import type { Publisher } from '../../../shared/ports/publisher.ts'
import type { Event } from '../../../shared/events/envelope.ts'

export const TABLE = { schema: 'public', name: 'leads', key: ['id'], columns: { id: 'text', n: 'integer' } } as const
export const TABLE_NAME = 'public.leads'
export const TOPIC = 'afluente.public.leads'
export const PARTITIONS = 2
export const MAX_MESSAGE_BYTES = 8_000

export interface Shape {
  readonly seed: number
  /** How many processes share each consumer's group. */
  readonly instances: number
  /** Rows a claim brings, records a batch holds. */
  readonly batch: number
  /** Milliseconds after which a capture isolate looks for a successor. */
  readonly budgetMs: number
}

export interface Side {
  readonly name: 'postgres' | 'elasticsearch'
  readonly analytics: MemoryAnalytics
  readonly group: MemoryGroup
}

/** The image of a row. Of the numbers below zero, -1 is refused by the sinks, and -2 makes a row that is too large for the topic. */
export function imageOf(id: string, n: number): string {
  return JSON.stringify({ id, n, ...(n === -2 ? { filler: 'x'.repeat(MAX_MESSAGE_BYTES) } : {}) })
}

/** What the sinks will not take, as a constraint would have it. */
function isRefused(after: string | null): boolean {
  return after?.includes('"n":-1') === true
}

/** What ends as a dead letter: refused, or sent as its key alone. */
export function isDead(after: string | null): boolean {
  return isRefused(after) || after?.includes('"n":-2') === true
}

export const refuses = (event: Event) => (isRefused(event.after) ? { code: '23514', message: 'A check constraint refuses the row.' } : null)

/** Rows of this number take the broker so long that their shard's lease has to be renewed meanwhile. */
export const SLOW = 7

export function sometimesSlow(publisher: Publisher, clock: Clock, slowMs = 120): Publisher {
  return {
    ...publisher,
    publish: async (messages, options) => {
      if (messages.some(({ value }) => value.includes(`"n":${SLOW}`))) await clock.sleep(slowMs, options)
      return publisher.publish(messages, options)
    },
  }
}
