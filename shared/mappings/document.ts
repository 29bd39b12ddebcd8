/**
 * Event → the two lines of a `_bulk` request. Pure, and text throughout: the row is spliced in as Postgres printed it
 * and never parsed, so that numbers beyond 2^53 and the order of keys stay.
 */
import type { Event } from '../events/envelope.ts'
import { membersOf, onOneLine } from '../events/json-text.ts'
import type { SourceTable } from '../tables/table.ts'
import { hexOf, sha256 } from './document-hash.ts'

/** Elasticsearch's own limit of an `_id`, in bytes. */
const LONGEST_ID = 512

/** The `_id` of a key: the key itself, or its hash where Elasticsearch can't take it. */
export function documentIdOf(key: string): string {
  if (key.length * 3 <= LONGEST_ID || new TextEncoder().encode(key).length <= LONGEST_ID) return key
  return `sha256:${hexOf(sha256(key))}`
}

/**
 * 32 bits of key and version, the same in any store, so that two sides can be compared by sums over ranges of keys. In SQL:
 * `('x' || left(encode(sha256(convert_to(key || ':' || version, 'UTF8')), 'hex'), 8))::bit(32)::bigint`.
 */
export function checkOf(key: string, version: number): number {
  return sha256(`${key}:${version}`)[0] ?? 0
}

/**
 * `index` under an external version: only a greater version than the document's own is taken. Never `delete`, whose
 * version Elasticsearch forgets after a while: a deleted row stays as a document that the alias hides.
 */
export function actionLineOf(event: Event): string {
  return `{"index":{"_id":${JSON.stringify(documentIdOf(event.key))},"version":${event.version},"version_type":"external"}}`
}

/** The document on one line. A deleted one keeps its key and version only. `syncedAt`: ISO 8601, UTC. */
export function documentLineOf(event: Event, syncedAt: string): string {
  const head = `{"afluente":${envelopeOf(event, syncedAt)}`
  if (event.after === null) return `${head}}`
  return `${head}${onOneLine(/^\{\s*\}\s*$/.test(event.after) ? '}' : `,${event.after.slice(1)}`)}`
}

/** Elasticsearch's parser takes numbers of a thousand digits, Postgres has longer ones. */
const LONGEST_NUMBER = 1_000

/**
 * The document in other words, for the rare row that Postgres takes and Elasticsearch's parser does not: a json value
 * with a key twice, with numbers of more than a thousand digits or nested too deep (the parser minds, though the field
 * isn't indexed), or one that its index can't hold. Such values become strings of their text; where the field is
 * indexed as an object they stand under `afluente.unindexed`. Null where this changes nothing.
 */
export function documentLineInOtherWords(
  event: Event,
  table: SourceTable,
  kinds: Readonly<Record<string, string | undefined>>,
  syncedAt: string,
): string | null {
  const members = event.after === null ? null : membersOf(event.after)
  if (members === null) return null
  const row: string[] = []
  const moved: string[] = []
  let changed = false
  for (const [name, value] of members) {
    const opaque = value !== 'null' && isOpaque(own(table.columns, name), value)
    const kind = own(kinds, name)
    const indexed = kind === 'flattened' || kind === 'object'
    changed ||= opaque
    const member = `${JSON.stringify(name)}:${opaque ? JSON.stringify(value) : value}`
    if (opaque && indexed) moved.push(member)
    else row.push(member)
  }
  if (!changed) return null
  const envelope = envelopeOf(event, syncedAt)
  const head = moved.length === 0 ? envelope : `${envelope.slice(0, -1)},"unindexed":{${moved.join(',')}}}`
  return onOneLine(`{"afluente":${[head, ...row].join(',')}}`)
}

/** A column may be named as what every object inherits: `toString`. */
function own<T>(of: Readonly<Record<string, T>>, name: string): T | undefined {
  return Object.hasOwn(of, name) ? of[name] : undefined
}

function isOpaque(type: string | undefined, value: string): boolean {
  if (type === undefined) return value.startsWith('{') || value.startsWith('[')
  return type.startsWith('json') || (type.startsWith('numeric') && value.length > LONGEST_NUMBER)
}

function envelopeOf({ key, version, op, id, occurredAt, traceparent }: Event, syncedAt: string): string {
  const trace = traceparent === null ? '' : `,"traceparent":${JSON.stringify(traceparent)}`
  return `{"key":${JSON.stringify(key)},"version":${version},"deleted":${op === 'delete'},"check":${checkOf(key, version)},"event_id":${JSON.stringify(id)},"occurred_at":${JSON.stringify(occurredAt)},"synced_at":"${syncedAt}"${trace}}`
}
