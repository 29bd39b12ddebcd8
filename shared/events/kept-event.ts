/** An event as bronze keeps it, and the record that it came as: what is replayed goes in as it did the first time. Pure. */
import { type Op, TRUNCATE_KEY } from './change.ts'
import { encode, type Event, type LogRecord } from './envelope.ts'
import { elementsOf, membersOf } from './json-text.ts'

export interface KeptEvent {
  readonly eventId: string
  readonly source: string
  readonly table: string
  readonly key: string
  readonly version: number
  readonly op: Op
  /** JSON text, as Postgres printed it. */
  readonly before: string | null
  readonly after: string | null
  /** ISO 8601 with microseconds. */
  readonly occurredAt: string
  readonly claimedAt: string | null
  /** Milliseconds since 1970. */
  readonly publishedMs: number
  readonly traceparent: string | null
  readonly topic: string
  readonly partition: number
  readonly offset: string
}

/** The record from which `decode` reads the very event that was kept. */
export function recordOf(kept: KeptEvent): LogRecord {
  const { claimedAt, eventId, offset, partition, publishedMs, source, topic, traceparent } = kept
  const message = encode(kept, { ref: '', claimedAt: claimedAt ?? '', traceparent: traceparent ?? '' })
  const headers: Record<string, string> = { ...message.headers, ce_id: eventId, ce_source: source }
  if (claimedAt === null) delete headers['ce_claimedat']
  if (traceparent === null) delete headers['traceparent']
  return { topic, partition, offset, timestampMs: publishedMs, key: message.key, value: message.value, headers }
}

/**
 * Whether an event is keyed by these columns: its key has as many values, and they are those of its image. An event of before the key was
 * changed would land beside its row instead of on it. Values that are no scalars are not compared.
 */
export function isKeyedBy(columns: readonly string[], { after, key, op }: Pick<Event, 'after' | 'key' | 'op'>): boolean {
  if (op === 'truncate') return key === TRUNCATE_KEY
  const values = elementsOf(key)
  if (values?.length !== columns.length) return false
  const members = after === null ? null : membersOf(after)
  if (members === null) return true
  return columns.every((column, at) => {
    const [inKey, inImage] = [values[at], members.get(column)]
    if (inImage === undefined || inKey === undefined || /^[[{]/.test(inImage)) return inImage !== undefined
    return inKey === inImage || (inKey.startsWith('"') && inImage.startsWith('"') && JSON.parse(inKey) === JSON.parse(inImage))
  })
}
