/** The message with a statement's parameters. */
import { Buffer } from 'node:buffer'
import type { Room } from './wire.ts'

const BIND = 0x42
/** Smaller parameters are of no account. */
const LARGE_BYTES = 16_384

/** `config` as `pg` gives it. Null: it has no large parameter, or something that is not known here; then `pg` writes it. */
export function bindOf(config: unknown, room: Room): Buffer | null {
  if (typeof config !== 'object' || config === null) return null
  const { binary, portal, statement, valueMapper, values }: Readonly<Record<string, unknown>> = { ...config }
  if (!Array.isArray(values) || !values.some((value) => value instanceof Uint8Array && value.length >= LARGE_BYTES)) return null
  const mapped: readonly unknown[] = values.map((value: unknown, at) => (isMapper(valueMapper) ? valueMapper(value, at) : value))
  const known = mapped.every((value) => value === null || value === undefined || typeof value === 'string' || value instanceof Uint8Array)
  return known ? bindMessage({ portal: textOf(portal), statement: textOf(statement), binary: binary === true, values: mapped }, room) : null
}

interface Bind {
  readonly portal: string
  readonly statement: string
  readonly binary: boolean
  /** A Buffer in binary form, a string as text; anything else is NULL. */
  readonly values: readonly unknown[]
}

/** Byte for byte as `pg` writes it. */
function bindMessage({ binary, portal, statement, values }: Bind, room: Room): Buffer {
  const sizes = values.map((value) => (typeof value === 'string' ? Buffer.byteLength(value) : value instanceof Uint8Array ? value.length : 0))
  const names = Buffer.from(`${portal}\0${statement}\0`)
  const out = room(5 + names.length + 2 + 6 * values.length + 2 + sizes.reduce((sum, size) => sum + size, 0) + 4)
  out[0] = BIND
  let at = out.writeInt32BE(out.length - 1, 1)
  at += names.copy(out, at)
  at = out.writeInt16BE(values.length, at)
  for (const value of values) at = out.writeInt16BE(value instanceof Uint8Array ? 1 : 0, at)
  at = out.writeInt16BE(values.length, at)
  for (const [nth, value] of values.entries()) {
    const isText = typeof value === 'string'
    at = out.writeInt32BE(isText || value instanceof Uint8Array ? (sizes[nth] ?? 0) : -1, at)
    if (isText) at += out.write(value, at)
    else if (value instanceof Uint8Array) {
      out.set(value, at)
      at += value.length
    }
  }
  at = out.writeInt16BE(1, at)
  out.writeInt16BE(binary ? 1 : 0, at)
  return out
}

function isMapper(value: unknown): value is (value: unknown, at: number) => unknown {
  return typeof value === 'function'
}

function textOf(name: unknown): string {
  return typeof name === 'string' ? name : ''
}
