const ops = ['insert', 'update', 'delete', 'read', 'truncate'] as const

/** What happened to a row, or with `truncate` to all rows of a table. A `read` is a row re-sent by a backfill, or one whose image was read when it was sent. */
export type Op = (typeof ops)[number]

/** For what the compiler has not seen. */
export function isOp(value: unknown): value is Op {
  return ops.some((op) => op === value)
}

/** The key of a `truncate`: that of no row. Its version is a floor: every row of the table with a lower one is dead. */
export const TRUNCATE_KEY = '[]'

/** One insert, update or delete of a row, or a truncate of its table, as the outbox gives it. Images are the JSON text that Postgres printed: never parsed on the way. */
export interface Change {
  /** Orders the changes of one key. Drawn under the row's lock; below 2^53, so a number holds it exactly. */
  readonly version: number
  /** `<schema>.<table>`, unquoted. */
  readonly table: string
  readonly topic: string
  /** `jsonb_build_array(<key columns>)::text`, byte for byte. */
  readonly key: string
  readonly op: Op
  readonly before: string | null
  readonly after: string | null
  /** ISO 8601 in UTC with microseconds, as text: a `Date` would cut them off. */
  readonly occurredAt: string
  /** W3C trace context of the user's request, where there was one. */
  readonly traceparent: string | null
  /** There when the images were too large to be read out of the outbox at all: their bytes. Both images are null then. */
  readonly oversizedBytes?: number
}

/** The id of the event of a change: the same change always has the same id. */
export function eventIdOf(table: string, version: number): string {
  return `${table}:${version}`
}
