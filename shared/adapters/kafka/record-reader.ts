/** Record batches (magic 2, uncompressed) → the messages that kafkajs would make of them, with text where it has buffers. */
import type { Buffer } from 'node:buffer'

/** What the rest of kafkajs and the subscription read of a message. */
export interface ReadMessage {
  readonly magicByte: number
  readonly attributes: number
  readonly timestamp: string
  readonly offset: string
  readonly key: string | null
  readonly value: string | null
  readonly headers: Readonly<Record<string, string | readonly string[] | undefined>>
  readonly isControlRecord: boolean
  readonly batchContext: BatchContext
}

interface BatchContext {
  readonly inTransaction: boolean
  readonly producerId: string
}

const MAGIC = 2
/** Base offset and length stand before what the length counts; the fixed part of a batch ends where its records begin. */
const LENGTH_ENDS = 12
const RECORDS_BEGIN = 61
const COMPRESSION = 0x7
const LOG_APPEND_TIME = 0x8
const TRANSACTIONAL = 0x10
const CONTROL = 0x20

/** The messages between `from` and `to`; a batch that was cut off at the end is left out. Null for what only kafkajs can read: older formats, compression, transactions. */
export function readRecordBatches(buffer: Buffer, from: number, to: number): readonly ReadMessage[] | null {
  const messages: ReadMessage[] = []
  const cursor = new Cursor(buffer)
  for (let at = from; to - at >= RECORDS_BEGIN;) {
    const end = at + LENGTH_ENDS + buffer.readInt32BE(at + 8)
    if (end > to) break
    const attributes = buffer.readInt16BE(at + 21)
    if (buffer[at + 16] !== MAGIC || (attributes & (COMPRESSION | TRANSACTIONAL | CONTROL)) !== 0) return null
    const batch = {
      offset: Number(buffer.readBigInt64BE(at)),
      timestamp: Number(buffer.readBigInt64BE(at + 27)),
      appendedAt: (attributes & LOG_APPEND_TIME) === 0 ? null : String(buffer.readBigInt64BE(at + 35)),
      context: { inTransaction: false, producerId: String(buffer.readBigInt64BE(at + 43)) },
    }
    cursor.at = at + RECORDS_BEGIN
    for (let left = buffer.readInt32BE(at + 57); left > 0; left -= 1) messages.push(readRecord(cursor, batch))
    at = end
  }
  return messages
}

interface Batch {
  readonly offset: number
  readonly timestamp: number
  readonly appendedAt: string | null
  readonly context: BatchContext
}

function readRecord(cursor: Cursor, { appendedAt, context, offset, timestamp }: Batch): ReadMessage {
  const length = cursor.varint()
  const end = cursor.at + length
  const attributes = cursor.byte()
  const sinceFirst = cursor.varint()
  const sinceOffset = cursor.varint()
  const key = cursor.span()
  const value = cursor.span()
  const headers: Record<string, string | string[]> = {}
  for (let left = cursor.varint(), place = 0; left > 0; left -= 1, place += 1) {
    const name = cursor.repeated(2 * place)?.text ?? ''
    const text = cursor.repeated(2 * place + 1, key)?.text ?? ''
    const before = Object.hasOwn(headers, name) ? headers[name] : undefined
    headers[name] = before === undefined ? text : typeof before === 'string' ? [before, text] : [...before, text]
  }
  cursor.at = end
  return {
    magicByte: MAGIC,
    attributes,
    timestamp: appendedAt ?? String(timestamp + sinceFirst),
    offset: String(offset + sinceOffset),
    key: key?.text ?? null,
    value: value?.text ?? null,
    headers,
    isControlRecord: false,
    batchContext: context,
  }
}

/** A text and where its bytes stand. */
interface Span {
  readonly text: string
  readonly begin: number
  readonly end: number
}

class Cursor {
  at = 0
  private readonly buffer: Buffer
  /** The names and values of headers as they were read last, by their place in a record. */
  private readonly last: (Span | null)[] = []

  constructor(buffer: Buffer) {
    this.buffer = buffer
  }

  byte(): number {
    return this.buffer[this.at++] ?? 0
  }

  /** Zig-zag, up to 2^53: offsets, times and lengths. */
  varint(): number {
    let byte = this.byte()
    let raw = byte & 0x7f
    for (let factor = 128; byte > 0x7f; factor *= 128) {
      byte = this.byte()
      raw += (byte & 0x7f) * factor
    }
    return raw % 2 === 0 ? raw / 2 : -(raw + 1) / 2
  }

  /** A length and so many bytes of text; null where the length says so. */
  span(): Span | null {
    const length = this.varint()
    if (length < 0) return null
    const begin = this.at
    this.at += length
    return { text: this.buffer.toString('utf8', begin, this.at), begin, end: this.at }
  }

  /**
   * The same for what is most likely the text that stood at this `place` in the record before, or `like`: records of a topic have the same
   * headers in the same order, most of them with the same values, one with the record's key. Making a text of bytes is a call into the
   * runtime (the most of what a record costs in workerd), comparing them is not.
   */
  repeated(place: number, like: Span | null = null): Span | null {
    const begin = this.at
    const length = this.varint()
    const last = this.last[place] ?? null
    const known = last !== null && this.stands(last, length) ? last : like !== null && this.stands(like, length) ? like : null
    if (known === null) {
      this.at = begin
      return (this.last[place] = this.span())
    }
    this.at += length
    return known
  }

  private stands({ begin, end }: Span, length: number): boolean {
    if (end - begin !== length) return false
    for (let at = 0; at < length; at += 1) if (this.buffer[begin + at] !== this.buffer[this.at + at]) return false
    return true
  }
}
