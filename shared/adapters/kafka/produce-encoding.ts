/**
 * kafkajs spends most of a publish on writing records: two objects and a dozen buffers a header (measured: 100 µs a message with
 * our ten headers, 2 µs here). Its table of Produce requests is a plain object; the newest version's `encode` is replaced
 * with one that writes the same bytes. Connections, sessions, metadata and answers stay kafkajs's.
 */
import { Buffer } from 'node:buffer'
import produceRequests from 'kafkajs/src/protocol/requests/produce/index.js'
import { ByteWriter } from './byte-writer.ts'
import { type BatchMessage, writeRecordBatch } from './record-batch.ts'
import { installRequestRoom, withRoom } from './request-room.ts'
import { spareStorage } from './spare-storage.ts'

/** The newest version that kafkajs speaks, and so the one it uses with every broker since Kafka 2.1. */
const VERSION = 7
const INSTALLED = Symbol.for('afluente.produce-encoding')
/** What stands before the body: its length, the request's numbers and the client's name. */
const HEADER_ROOM = 128
/** A request of capture has about a megabyte. */
const STORAGE = spareStorage(4 * 1_048_576)
/** Bytes of a record beside its key and value: its ten headers, about. */
const ROOM_BESIDE = 512

interface ProduceArguments {
  readonly acks: number
  readonly timeout: number
  readonly compression?: number
  readonly transactionalId?: string | null
  /** 64 bits: kafkajs gives the broker's answer as decimal text. */
  readonly producerId?: { toString(): string }
  readonly producerEpoch: number
  readonly topicData: TopicData<unknown>
}

type TopicData<M> = readonly {
  readonly topic: string
  readonly partitions: readonly { readonly partition: number; readonly firstSequence?: number; readonly messages: readonly M[] }[]
}[]

interface Protocol {
  readonly request: { encode: () => Promise<unknown> }
  readonly response: { readonly decode: (raw: unknown) => Promise<unknown> }
}

/** Makes kafkajs write plain messages the short way. Does it once; does nothing when kafkajs no longer looks as it did. */
export function installProduceEncoding(): boolean {
  const table = produceRequests
  if (!isTable(table)) return false
  if (Reflect.get(table, INSTALLED) === true) return true
  installRequestRoom()
  const own = table.protocol
  table.protocol = (of) => {
    const make = own(of)
    if (of.version !== VERSION) return make
    return (given: ProduceArguments) => {
      const made = make(given)
      const { encode } = made.request
      const { decode } = made.response
      let storage: Uint8Array | null = null
      made.request.encode = async () => {
        const writer = written(given)
        if (writer === null) return encode()
        storage = writer.bytes
        const buf = withRoom(writer.bytes, HEADER_ROOM, writer.at)
        return { buf, buffer: buf }
      }
      // Answered, and so read to its end. What is never answered may still lie in a socket, and is not used again.
      const answered = async (raw: unknown) => {
        if (storage !== null) STORAGE.give(storage)
        storage = null
        return decode(raw)
      }
      return { ...made, response: { ...made.response, decode: answered } }
    }
  }
  Reflect.set(table, INSTALLED, true)
  return true
}

/** The body of the request, behind room for its header; null for what only kafkajs's own encoder can write. */
function written({ acks, compression = 0, producerEpoch, producerId, timeout, topicData, transactionalId = null }: ProduceArguments): ByteWriter | null {
  if (compression !== 0 || transactionalId !== null || producerId === undefined) return null
  const id = BigInt(producerId.toString())
  const halves = { high: Number(BigInt.asIntN(32, id >> 32n)), low: Number(BigInt.asIntN(32, id)) }
  if (!arePlain(topicData)) return null
  const writer = new ByteWriter(STORAGE.take(roomFor(topicData)))
  writer.at = HEADER_ROOM
  writer.int16(-1) // no transaction
  writer.int16(acks)
  writer.int32(timeout)
  writer.int32(topicData.length)
  for (const { partitions, topic } of topicData) {
    const name = Buffer.from(topic)
    writer.reserve(name.length + 6)
    writer.int16(name.length)
    writer.raw(name)
    writer.int32(partitions.length)
    for (const { firstSequence = 0, messages, partition } of partitions) {
      writer.reserve(8)
      writer.int32(partition)
      const sizeAt = writer.at
      writer.int32(0)
      writeRecordBatch(writer, messages, {
        producerId: halves,
        producerEpoch,
        firstSequence,
        timestampMs: Date.now(),
      })
      writer.int32At(sizeAt, writer.at - sizeAt - 4)
    }
  }
  return writer
}

/** Bytes of the request, about, where texts are mostly ASCII: a buffer that has to grow is copied. */
function roomFor(topicData: TopicData<BatchMessage>): number {
  let room = HEADER_ROOM + (1 << 12)
  for (const { partitions } of topicData) {
    for (const { messages } of partitions) for (const { key, value } of messages) room += ROOM_BESIDE + key.length + value.length
  }
  return room
}

function arePlain(topicData: TopicData<unknown>): topicData is TopicData<BatchMessage> {
  return topicData.every(({ partitions }) => partitions.every(({ messages }) => messages.every(isPlain)))
}

function isPlain(message: unknown): message is BatchMessage {
  if (typeof message !== 'object' || message === null || !('key' in message) || !('value' in message) || !('headers' in message)) return false
  const { headers, key, value } = message
  if (typeof key !== 'string' || typeof value !== 'string' || typeof headers !== 'object' || headers === null) return false
  if ('timestamp' in message && message.timestamp !== undefined) return false
  for (const name in headers) if (typeof Reflect.get(headers, name) !== 'string') return false
  return true
}

interface Table {
  protocol: (of: { readonly version: number }) => (given: ProduceArguments) => Protocol
}

function isTable(value: unknown): value is Table {
  return (
    typeof value === 'object' &&
    value !== null &&
    'protocol' in value &&
    typeof value.protocol === 'function' &&
    'versions' in value &&
    Array.isArray(value.versions) &&
    value.versions.at(-1) === String(VERSION)
  )
}
