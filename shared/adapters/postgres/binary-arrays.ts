/**
 * Postgres arrays in their binary form. As text, each quote of a JSON image would be escaped here and unescaped there,
 * which costs more than all the rest of a write. `pg` sends a Buffer as a binary parameter.
 */
import { Buffer } from 'node:buffer'

const TEXT_OID = 25
const INT8_OID = 20
/** Dimensions, null flag, element type, length, lower bound. */
const HEADER_BYTES = 20
/** An empty array has no dimension, and so neither length nor lower bound. */
const EMPTY_BYTES = 12
/** UTF-16 units. */
const SHORT = 64

/** `text[]`. Unpaired surrogates become U+FFFD; a NUL is refused by Postgres (22021). */
export function textArray(values: readonly (string | null)[]): Buffer {
  if (values.length === 0) return empty(TEXT_OID)
  let room = HEADER_BYTES + 4 * values.length
  for (const value of values) if (value !== null) room += value.length < SHORT ? 3 * value.length : Buffer.byteLength(value)
  const out = Buffer.allocUnsafe(room)
  let at = header(out, TEXT_OID, values.length)
  for (const value of values) {
    const length = value === null ? -1 : write(out, value, at + 4)
    int32(out, length, at)
    at += 4 + Math.max(0, length)
  }
  return out.subarray(0, at)
}

/** How many bytes it took. A call into the runtime costs more than a short text of ASCII does here. */
function write(out: Buffer, text: string, at: number): number {
  const { length } = text
  if (length >= SHORT) return out.write(text, at)
  for (let index = 0; index < length; index += 1) {
    const unit = text.charCodeAt(index)
    if (unit > 0x7f) return out.write(text, at)
    out[at + index] = unit
  }
  return length
}

function int32(out: Buffer, value: number, at: number): void {
  out[at] = value >>> 24
  out[at + 1] = value >>> 16
  out[at + 2] = value >>> 8
  out[at + 3] = value
}

/** `bigint[]`, from text or whole numbers; exact to 64 bits. */
export function bigintArray(values: readonly (number | string)[]): Buffer {
  if (values.length === 0) return empty(INT8_OID)
  const out = Buffer.allocUnsafe(HEADER_BYTES + 12 * values.length)
  let at = header(out, INT8_OID, values.length)
  for (const value of values) {
    at = out.writeInt32BE(8, at)
    at = out.writeBigInt64BE(BigInt(value), at)
  }
  return out
}

function empty(oid: number): Buffer {
  const out = Buffer.alloc(EMPTY_BYTES)
  out.writeInt32BE(oid, 8)
  return out
}

function header(out: Buffer, oid: number, length: number): number {
  out.writeInt32BE(1, 0)
  out.writeInt32BE(1, 4)
  out.writeInt32BE(oid, 8)
  out.writeInt32BE(length, 12)
  return out.writeInt32BE(1, 16)
}
