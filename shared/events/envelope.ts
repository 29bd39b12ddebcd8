/**
 * The event: a change as it stands on a topic. CloudEvents 1.0 attributes in the headers (Kafka protocol binding,
 * binary mode), and as value `{ "op", "before", "after" }` built around the images' own text.
 */
import { type Change, eventIdOf, isOp, type Op, TRUNCATE_KEY } from './change.ts'
import { endOfNested, membersOf } from './json-text.ts'

export interface OutboundMessage {
  readonly topic: string
  readonly key: string
  readonly value: string
  readonly headers: Readonly<Record<string, string>>
}

/** One record of a topic as an adapter hands it over. Header values are anything whose `toString()` is their UTF-8 text. */
export interface LogRecord {
  readonly topic: string
  readonly partition: number
  /** Text, since Kafka's offsets are 64 bits wide. */
  readonly offset: string
  readonly timestampMs: number
  readonly key: string | null
  readonly value: string | null
  readonly headers: Readonly<Record<string, { toString(): string } | undefined>>
}

export interface Event {
  readonly id: string
  /** CloudEvents source: `/supabase/<ref>/<schema>/<table>`. */
  readonly source: string
  /** `<schema>.<table>` */
  readonly table: string
  readonly key: string
  readonly version: number
  readonly op: Op
  readonly before: string | null
  readonly after: string | null
  readonly occurredAt: string
  readonly claimedAt: string | null
  readonly publishedAtMs: number
  readonly traceparent: string | null
  readonly record: LogRecord
}

/** Why a record is no event that can be applied. `code` is stable; `message` is for people and holds no values of the row. */
export interface Malformed {
  readonly code: 'no-key' | 'no-identity' | 'not-json' | 'not-a-change' | 'too-large' | 'no-image'
  readonly message: string
}

export type Decoded = { readonly ok: true; readonly event: Event } | { readonly ok: false; readonly record: LogRecord; readonly why: Malformed }

const TYPE: Readonly<Record<Op, string>> = {
  insert: 'afluente.row.inserted',
  update: 'afluente.row.updated',
  delete: 'afluente.row.deleted',
  read: 'afluente.row.read',
  truncate: 'afluente.table.truncated',
}

/** What a record costs beside its key, value and headers, with a batch of its own around it: rounded up. */
const RECORD_BYTES = 128
/** What a header costs beside its name and value: two lengths. */
const HEADER_BYTES = 10

/** The last moment a date can hold; a stranger's record may claim a later one. */
const LATEST_MS = 8.64e15

export interface EncodeContext {
  /** The Supabase project's reference, for `ce_source`. */
  readonly ref: string
  /** When the change was claimed: ISO 8601, UTC. */
  readonly claimedAt: string
  /** For a change that brought no trace of its own. */
  readonly traceparent: string
}

/** The message of a change. Pure; the same change and context give the same bytes. */
export function encode(change: Change, context: EncodeContext): OutboundMessage {
  return message(change, context, `{"op":"${change.op}","before":${change.before ?? 'null'},"after":${change.after ?? 'null'}}`)
}

/** The message of a change that is too large for the topic: its key alone, marked, so that it jams nothing. It becomes a dead letter; a delete needs no more than its key and is applied. */
export function encodeKeyOnly(change: Change, context: EncodeContext, bytes: number): OutboundMessage {
  const bare = message(change, context, `{"op":"${change.op}","before":null,"after":null}`)
  return { ...bare, headers: { ...bare.headers, ce_oversized: String(bytes) } }
}

/** An upper bound of a message's size on the wire, in bytes: exact for the value, three bytes a UTF-16 unit for what is small anyway. */
export function sizeOf(message: OutboundMessage): number {
  let bytes = RECORD_BYTES + utf8Bytes(message.value) + 3 * message.key.length
  for (const [name, value] of Object.entries(message.headers)) bytes += HEADER_BYTES + name.length + 3 * value.length
  return bytes
}

function message(change: Change, context: EncodeContext, value: string): OutboundMessage {
  return {
    topic: change.topic,
    key: change.key,
    value,
    headers: {
      ce_specversion: '1.0',
      ce_id: eventIdOf(change.table, change.version),
      ce_source: sourceOf(context.ref, change.table),
      ce_type: TYPE[change.op],
      ce_time: change.occurredAt,
      ce_subject: change.key,
      ce_sequence: String(change.version),
      ce_claimedat: context.claimedAt,
      traceparent: change.traceparent ?? context.traceparent,
      'content-type': 'application/json; charset=utf-8',
    },
  }
}

/** A URI reference, as CloudEvents wants it: names with spaces or accents are percent-encoded. */
function sourceOf(ref: string, table: string): string {
  return `/supabase/${ref}/${(/[^\w.]/.test(table) ? encodeURIComponent(table) : table).replace('.', '/')}`
}

/** Reads a record back. Never throws: a record that is no event says why. Images are cut out of the value, not parsed: the sink's own parser judges them. */
export function decode(record: LogRecord): Decoded {
  const id = header(record, 'ce_id')
  const version = Number(header(record, 'ce_sequence'))
  const table = id?.slice(0, Math.max(0, id.lastIndexOf(':')))
  if (id === undefined || table === undefined || !Number.isSafeInteger(version) || version < 1 || id !== eventIdOf(table, version)) {
    return malformed(
      record,
      'no-identity',
      "The headers ce_id and ce_sequence don't name a change: ce_id must be '<schema>.<table>:<version>' and ce_sequence that version.",
    )
  }
  if (record.key === null || !record.key.startsWith('[') || !record.key.endsWith(']')) {
    return malformed(record, 'no-key', 'The Kafka key is not the JSON array of the key columns.')
  }
  const body = record.value === null ? null : bodyOf(record.value)
  if (body === null) return malformed(record, 'not-json', 'The value is not a JSON object.')
  const oversized = header(record, 'ce_oversized')
  if (oversized !== undefined && body.op !== 'delete') {
    return malformed(record, 'too-large', `The change has ${oversized} bytes, more than the topic takes; only its key was sent.`)
  }
  if (body.op === 'read' && body.after === null) {
    return malformed(record, 'no-image', `The row's image could not be read when it was sent, as when its table had gone by then: reconcile ${table}.`)
  }
  if (!isOp(body.op) || !isWhole(body.op, body, record.key)) {
    return malformed(
      record,
      'not-a-change',
      `The value must be {"op","before","after"} with op insert, update, delete, read or truncate, and "after" an object unless it is a delete or a truncate. A truncate has the key [] and no images.`,
    )
  }
  const publishedAtMs = Math.abs(record.timestampMs) <= LATEST_MS ? record.timestampMs : 0
  return {
    ok: true,
    event: {
      id,
      source: header(record, 'ce_source') ?? '',
      table,
      key: record.key,
      version,
      op: body.op,
      before: body.before,
      after: body.after,
      occurredAt: header(record, 'ce_time') ?? new Date(publishedAtMs).toISOString(),
      claimedAt: header(record, 'ce_claimedat') ?? null,
      publishedAtMs,
      traceparent: header(record, 'traceparent') ?? null,
      record,
    },
  }
}

/** The id that a record has in bronze and as a dead letter when it names none itself. */
export function recordId(record: LogRecord): string {
  return header(record, 'ce_id') ?? `${record.topic}:${record.partition}:${record.offset}`
}

export function header(record: LogRecord, name: string): string | undefined {
  return record.headers[name]?.toString()
}

interface Body {
  readonly op: string
  readonly before: string | null
  readonly after: string | null
}

/** The fast path cuts at the places where `encode` puts things, and makes sure that the image ends there; anything else is scanned. */
function bodyOf(value: string): Body | null {
  if (value.startsWith('{"op":"')) {
    const op = value.slice(7, value.indexOf('"', 7))
    const begin = `{"op":"${op}","before":`
    const before = begin.length
    if (op === 'delete' && value.startsWith(`${begin}{`) && value.endsWith(',"after":null}') && endOfNested(value, before) === value.length - 14) {
      return { op, before: value.slice(before, -14), after: null }
    }
    const after = before + 13
    if (op !== 'delete' && value.startsWith(`${begin}null,"after":{`) && value.endsWith('}') && endOfNested(value, after) === value.length - 1) {
      return { op, before: null, after: value.slice(after, -1) }
    }
  }
  const members = membersOf(value)
  if (members === null) return null
  return { op: members.get('op')?.slice(1, -1) ?? '', before: imageOf(members.get('before')), after: imageOf(members.get('after')) }
}

function imageOf(text: string | undefined): string | null {
  return text?.startsWith('{') === true ? text : null
}

function isWhole(op: Op, { before, after }: Body, key: string): boolean {
  if (op === 'truncate') return key === TRUNCATE_KEY && before === null && after === null
  return (op === 'delete') === (after === null)
}

function malformed(record: LogRecord, code: Malformed['code'], text: string): Decoded {
  return { ok: false, record, why: { code, message: text } }
}

/** A surrogate counts two, so that a pair makes four; one that stands alone goes out as the three bytes of U+FFFD and is not told apart. */
function utf8Bytes(text: string): number {
  let bytes = text.length
  for (let at = 0; at < text.length; at += 1) {
    const unit = text.charCodeAt(at)
    if (unit > 0x7f) bytes += unit > 0x7ff && (unit < 0xd800 || unit > 0xdfff) ? 2 : 1
  }
  return bytes
}
