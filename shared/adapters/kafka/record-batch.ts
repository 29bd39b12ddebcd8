/** Messages → a Kafka record batch (magic 2), uncompressed. */
import { type ByteWriter, widthOf } from './byte-writer.ts'
import { crc32c } from './crc32c.ts'
import { headerCache } from './header-cache.ts'

export interface BatchMessage {
  readonly key: string
  readonly value: string
  readonly headers: Readonly<Record<string, string>>
}

export interface BatchSession {
  /** 64 bits as two halves. */
  readonly producerId: { readonly high: number; readonly low: number }
  readonly producerEpoch: number
  readonly firstSequence: number
  readonly timestampMs: number
}

const MAGIC = 2
/** Far more than an event has; a key too long to be worth keeping is written each time. */
const HEADERS = headerCache({ maxNames: 32, maxLength: 1_024 })

/** Appends the batch to `writer`. */
export function writeRecordBatch(writer: ByteWriter, messages: readonly BatchMessage[], session: BatchSession): void {
  writer.reserve(61)
  writer.int64(0) // first offset: the broker's to give
  const lengthAt = writer.at
  writer.int32(0)
  writer.int32(0) // partition leader epoch
  writer.int8(MAGIC)
  const crcAt = writer.at
  writer.int32(0)
  const checkedFrom = writer.at
  writer.int16(0) // attributes: not compressed, no transaction, time of creation
  writer.int32(messages.length - 1)
  writer.int64(session.timestampMs)
  writer.int64(session.timestampMs)
  writer.int32(session.producerId.high)
  writer.int32(session.producerId.low)
  writer.int16(session.producerEpoch)
  writer.int32(session.firstSequence)
  writer.int32(messages.length)
  for (let index = 0; index < messages.length; index += 1) {
    const message = messages[index]
    if (message !== undefined) writeRecord(writer, message, index)
  }
  writer.int32At(lengthAt, writer.at - lengthAt - 4)
  writer.int32At(crcAt, crc32c(writer.bytes, checkedFrom, writer.at))
}

function writeRecord(writer: ByteWriter, { headers, key, value }: BatchMessage, offsetDelta: number): void {
  const begin = writer.at
  // Room for the record's length as it most likely will be; the record moves when it is not.
  const guess = widthOf(value.length + 500)
  writer.reserve(guess + 16)
  writer.at += guess
  writer.int8(0) // attributes: none are defined
  writer.int8(0) // timestamp delta
  writer.varint(offsetDelta)
  writer.text(key)
  writer.text(value)
  const names = Object.keys(headers)
  writer.reserve(5)
  writer.varint(names.length)
  for (const name of names) writeHeader(writer, name, headers[name] ?? '')
  const size = writer.at - begin - guess
  const width = widthOf(size)
  if (width !== guess) {
    writer.reserve(5)
    writer.bytes.copyWithin(begin + width, begin + guess, writer.at)
  }
  writer.at = begin
  writer.varint(size)
  writer.at += size
}

function writeHeader(writer: ByteWriter, name: string, value: string): void {
  const known = HEADERS.bytesOf(name, value)
  if (known !== null) {
    writer.reserve(known.length)
    writer.raw(known)
    return
  }
  const begin = writer.at
  writer.text(name)
  writer.text(value)
  HEADERS.wrote(name, value, () => writer.bytes.slice(begin, writer.at))
}
