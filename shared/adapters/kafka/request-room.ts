/**
 * kafkajs puts a request together by copying its body into a buffer behind the header, and both into another behind the length. For a
 * megabyte of messages those copies make the runtime collect its garbage again and again (measured in Deno: a third of what a publish
 * costs). A body that was written with room before it takes the header into that room instead; any other is copied as before.
 */
import { Buffer } from 'node:buffer'
import Encoder from 'kafkajs/src/protocol/encoder.js'

const INSTALLED = Symbol.for('afluente.request-room')
/** Bytes that are free before a buffer, in its own storage. */
const rooms = new WeakMap<Buffer, number>()

/** kafkajs's writer of bytes, as far as it is used here: `offset` bytes of `buf` are written. */
interface Writer {
  buf: Buffer
  offset: number
}

type WriteEncoder = (this: Writer, value: Writer) => Writer

/** A body that stands in `bytes` from `begin` to `end`; what is before it is free for a header. */
export function withRoom(bytes: Uint8Array, begin: number, end: number): Buffer {
  const body = Buffer.from(bytes.buffer, bytes.byteOffset + begin, end - begin)
  rooms.set(body, begin)
  return body
}

/** Does it once; does nothing when kafkajs no longer looks as it did. */
export function installRequestRoom(): boolean {
  if (!isEncoder(Encoder)) return false
  const { prototype } = Encoder
  if (Reflect.get(prototype, INSTALLED) === true) return true
  const copy = prototype.writeEncoder
  prototype.writeEncoder = function (value) {
    const room = rooms.get(value.buf)
    if (room === undefined || this.offset > room) return copy.call(this, value)
    const { buf: header, offset } = this
    this.buf = Buffer.from(value.buf.buffer, value.buf.byteOffset - offset, offset + value.buf.length)
    this.offset = this.buf.length
    header.copy(this.buf, 0, 0, offset)
    rooms.set(this.buf, room - offset)
    return this
  }
  Reflect.set(prototype, INSTALLED, true)
  return true
}

function isEncoder(value: unknown): value is { readonly prototype: { writeEncoder: WriteEncoder } } {
  return typeof value === 'function' && typeof Reflect.get(value.prototype, 'writeEncoder') === 'function'
}
