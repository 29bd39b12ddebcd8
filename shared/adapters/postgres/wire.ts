/**
 * What goes over a connection of `pg`, message by message. Large ones go through one buffer each way, used again and again: `pg` lets a new one grow by
 * doubling for each, so of a page of a megabyte it leaves ten behind, and a Worker has 128 in all. Rows in binary form, which `pg` would read as text, can be
 * taken as they are. Where `pg` no longer looks as it did, it does all by itself, and a test says so.
 */
import { Buffer } from 'node:buffer'
import { bindOf } from './wire-bind.ts'

/** A message's kind, then its length without the kind. */
const HEADER_BYTES = 5
const DATA_ROW = 0x44
/** Larger ones are seldom: their buffer isn't kept. */
const KEPT_BYTES = 8_388_608

type Listener = (chunk: Buffer) => void
type Method = (...args: readonly unknown[]) => unknown
export type Room = (bytes: number) => Buffer
export type RawRow = readonly (Buffer | null)[]

export interface Wire {
  /** While `work` asks: each row goes to `onRow` in place of `pg`, in the form in which the server sent it. */
  rowsOf<T>(work: () => Promise<T>, onRow: (row: RawRow) => void): Promise<T>
}

interface Stream {
  readonly listeners: (event: 'data') => readonly unknown[]
  readonly on: (event: 'data', listener: Listener) => unknown
  readonly off: (event: 'data', listener: Listener) => unknown
  readonly write: (data: Buffer) => unknown
}

/** For a connection that was just made and has nothing under way. Undefined: `pg` looks otherwise than this expects, and nothing was done. */
export function wireOf(client: object): Wire | undefined {
  const connection: unknown = Reflect.get(client, 'connection')
  if (typeof connection !== 'object' || connection === null) return undefined
  const stream: unknown = Reflect.get(connection, 'stream')
  const bind: unknown = Reflect.get(connection, 'bind')
  if (!isStream(stream) || !isMethod(bind)) return undefined
  const [parse, ...others] = stream.listeners('data')
  if (!isMethod(parse) || others.length > 0) return undefined
  let onRow: ((row: RawRow) => void) | undefined
  stream.off('data', parse)
  stream.on(
    'data',
    wholeMessages((messages) => (onRow === undefined ? parse(messages) : withoutRows(messages, onRow, parse))),
  )
  // What was sent last has been answered, so it has been read, when a connection is asked anew.
  const room = keptBuffer()
  Reflect.set(connection, 'bind', (config: unknown) => {
    const message = bindOf(config, room)
    return message === null ? bind.call(connection, config) : stream.write(message)
  })
  return {
    rowsOf: async (work, take) => {
      onRow = take
      try {
        return await work()
      } finally {
        onRow = undefined
      }
    },
  }
}

/** A part of one buffer, which is made anew where it is too small. What was in it is gone. */
export function keptBuffer(): Room {
  let kept = Buffer.alloc(0)
  return (bytes) => {
    if (bytes > KEPT_BYTES) return Buffer.allocUnsafeSlow(bytes)
    if (bytes > kept.length) kept = Buffer.allocUnsafeSlow(Math.ceil(bytes * 1.25))
    return kept.subarray(0, bytes)
  }
}

/** Passes on whole messages alone: what is short of its end waits, a long one in a buffer for all such. Whoever is passed one must have read it when he returns. */
export function wholeMessages(pass: Listener): Listener {
  const room = keptBuffer()
  let short: Buffer | null = null
  let long: { readonly bytes: Buffer; filled: number } | null = null
  return (arrived) => {
    let chunk = arrived
    if (long !== null) {
      const taken = chunk.copy(long.bytes, long.filled)
      long.filled += taken
      if (long.filled < long.bytes.length) return
      const { bytes } = long
      long = null
      pass(bytes)
      chunk = chunk.subarray(taken)
    } else if (short !== null) {
      chunk = Buffer.concat([short, chunk])
      short = null
    }
    let end = 0
    let next = endOf(chunk, 0)
    while (next !== null && next <= chunk.length) {
      end = next
      next = endOf(chunk, end)
    }
    if (end > 0) pass(chunk.subarray(0, end))
    if (end === chunk.length) return
    if (next === null) {
      short = Buffer.from(chunk.subarray(end))
    } else {
      const bytes = room(next - end)
      long = { bytes, filled: chunk.copy(bytes, 0, end) }
    }
  }
}

/** Where the message that begins there ends; null: too little of it is here to tell. */
function endOf(bytes: Buffer, at: number): number | null {
  return bytes.length - at < HEADER_BYTES ? null : at + 1 + bytes.readUInt32BE(at + 1)
}

function withoutRows(messages: Buffer, onRow: (row: RawRow) => void, parse: Method): void {
  for (let at = 0; at < messages.length;) {
    const end = endOf(messages, at) ?? messages.length
    const message = messages.subarray(at, end)
    if (message[0] === DATA_ROW) onRow(fieldsOf(message))
    else parse(message)
    at = end
  }
}

/** Copied once, as a whole: the message's own buffer is soon another's. */
function fieldsOf(message: Buffer): RawRow {
  const bytes = Buffer.from(message)
  let at = HEADER_BYTES + 2
  return Array.from({ length: bytes.readUInt16BE(HEADER_BYTES) }, () => {
    const length = bytes.readInt32BE(at)
    at += 4
    if (length === -1) return null
    at += length
    return bytes.subarray(at - length, at)
  })
}

function isStream(value: unknown): value is Stream {
  return typeof value === 'object' && value !== null && ['listeners', 'on', 'off', 'write'].every((name) => isMethod(Reflect.get(value, name)))
}

function isMethod(value: unknown): value is Method {
  return typeof value === 'function'
}
