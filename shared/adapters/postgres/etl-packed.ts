/** Arrays as Postgres sends them, which JavaScript need not look into to pass them on. */
import { Buffer } from 'node:buffer'
import type { PackedColumn } from '../../ports/etl-source.ts'
import { bigintArray, textArray } from './binary-arrays.ts'

const HEADER_BYTES = 20
const LENGTH_AT = 12
const TYPE_AT = 8
const TIMESTAMPTZ_OID = 1184
/** An array of no rows: which type its elements would have is of no account. */
const NOTHING = new Uint8Array()

/** An array in its binary form; null is an array of no rows. */
export function packedOf(type: string, sent: Uint8Array | null | undefined): PackedColumn {
  return { type, bytes: sent ?? NOTHING }
}

/** Texts of a `text[]`, in its order. */
export function unpackTexts({ bytes }: PackedColumn): (string | null)[] {
  const from = Buffer.from(bytes.buffer, bytes.byteOffset, bytes.byteLength)
  if (from.length === 0) return []
  const values: (string | null)[] = []
  let at = HEADER_BYTES
  for (let left = from.readInt32BE(LENGTH_AT); left > 0; left -= 1) {
    const length = from.readInt32BE(at)
    at += 4
    values.push(length === -1 ? null : from.toString('utf8', at, at + length))
    if (length > 0) at += length
  }
  return values
}

/** An array of times without a zone as one of times in UTC: the same microseconds since 2000 under another type's number, infinities as well. */
export function asZoned({ bytes }: PackedColumn): PackedColumn {
  if (bytes.length > 0) new DataView(bytes.buffer, bytes.byteOffset, bytes.byteLength).setUint32(TYPE_AT, TIMESTAMPTZ_OID)
  return { type: 'timestamp with time zone', bytes }
}

export function packTexts(values: readonly (string | null)[]): PackedColumn {
  return { type: 'text', bytes: textArray(values) }
}

/** A `bigint[]` without NULLs, less the places that are left out. */
export function bigintsWithout({ bytes }: PackedColumn, left: { has(at: number): boolean }): PackedColumn {
  const from = Buffer.from(bytes.buffer, bytes.byteOffset, bytes.byteLength)
  const count = from.length === 0 ? 0 : from.readInt32BE(LENGTH_AT)
  const kept = Array.from({ length: count }, (_, at) => at).filter((at) => !left.has(at))
  return { type: 'bigint', bytes: bigintArray(kept.map((at) => String(from.readBigInt64BE(HEADER_BYTES + at * 12 + 4)))) }
}

/** As `pg` takes it: a Buffer is a parameter in binary form, a string one in text form. */
export function parameterOf({ bytes }: PackedColumn): Buffer | string {
  return bytes.length === 0 ? '{}' : Buffer.from(bytes.buffer, bytes.byteOffset, bytes.byteLength)
}
