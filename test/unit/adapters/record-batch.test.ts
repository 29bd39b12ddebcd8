import { createRequire } from 'node:module'
import fc from 'fast-check'
import { expect, test } from 'vitest'
import { crc32c } from '../../../shared/adapters/kafka/crc32c.ts'
import { ByteWriter } from '../../../shared/adapters/kafka/byte-writer.ts'
import { keyPartitioner, murmur2 } from '../../../shared/adapters/kafka/partitioner.ts'
import { writeRecordBatch } from '../../../shared/adapters/kafka/record-batch.ts'

// What kafkajs itself writes is the measure.
const require = createRequire(import.meta.url)
const { RecordBatch } = require('kafkajs/src/protocol/recordBatch/v0') as { RecordBatch: (of: object) => Promise<{ buffer: Buffer }> }
const Record = require('kafkajs/src/protocol/recordBatch/record/v0') as (of: object) => object
const Long = require('kafkajs/src/utils/long') as { fromValue(value: string): { getHighBits(): number; getLowBits(): number } }
const theirCrc = require('kafkajs/src/protocol/recordBatch/crc32C') as (bytes: Buffer) => number
const theirMurmur = require('kafkajs/src/producer/partitioners/default/murmur2') as (bytes: Buffer) => number

const text = fc.oneof(
  fc.string({ unit: 'binary', maxLength: 200 }),
  fc.string({ unit: 'grapheme', maxLength: 60 }),
  fc.string({ minLength: 2_000, maxLength: 30_000 }),
)
const message = fc.record({ key: text, value: text, headers: fc.dictionary(fc.string({ maxLength: 70 }), text, { maxKeys: 10 }) })

test('a record batch has the very bytes that kafkajs writes', async () => {
  await fc.assert(
    fc.asyncProperty(
      fc.array(message, { minLength: 1, maxLength: 20 }),
      fc.bigInt({ min: 0n, max: 2n ** 62n }),
      fc.nat(32_767),
      fc.nat(),
      fc.nat({ max: 2_000_000_000_000 }),
      async (messages, producer, producerEpoch, firstSequence, timestampMs) => {
        const producerId = Long.fromValue(String(producer))
        const theirs = await RecordBatch({
          firstTimestamp: timestampMs,
          maxTimestamp: timestampMs,
          producerId,
          producerEpoch,
          firstSequence,
          lastOffsetDelta: messages.length - 1,
          records: messages.map((each, offsetDelta) => Record({ ...each, offsetDelta, timestampDelta: 0 })),
        })
        const writer = new ByteWriter(new Uint8Array(16))
        writeRecordBatch(writer, messages, {
          producerId: { high: producerId.getHighBits(), low: producerId.getLowBits() },
          producerEpoch,
          firstSequence,
          timestampMs,
        })
        expect(Buffer.compare(Buffer.from(writer.bytes.subarray(0, writer.at)), theirs.buffer)).toBe(0)
      },
    ),
    { numRuns: 60 },
  )
})

test('sizes around the steps of a varint', async () => {
  for (const length of [0, 1, 63, 64, 127, 128, 8_190, 8_191, 8_192, 1_048_575, 1_048_576]) {
    for (const unit of ['x', 'é', '語']) {
      const messages = [{ key: '["a"]', value: unit.repeat(length), headers: { ce_id: unit.repeat(length % 100) } }]
      const theirs = await RecordBatch({
        firstTimestamp: 1,
        maxTimestamp: 1,
        producerId: Long.fromValue('1'),
        producerEpoch: 0,
        firstSequence: 0,
        lastOffsetDelta: 0,
        records: messages.map((each) => Record({ ...each, offsetDelta: 0, timestampDelta: 0 })),
      })
      const writer = new ByteWriter(new Uint8Array(16))
      writeRecordBatch(writer, messages, { producerId: { high: 0, low: 1 }, producerEpoch: 0, firstSequence: 0, timestampMs: 1 })
      expect(Buffer.compare(Buffer.from(writer.bytes.subarray(0, writer.at)), theirs.buffer), `${length} × ${unit}`).toBe(0)
    }
  }
})

test('the checksum is kafkajs’s', () => {
  const same = (bytes: Uint8Array): void => {
    // A value given back would be the property's verdict.
    expect(crc32c(bytes, 0, bytes.length)).toBe(theirCrc(Buffer.from(bytes)) >>> 0)
  }
  fc.assert(
    fc.property(fc.uint8Array({ maxLength: 300 }), (bytes) => {
      same(bytes)
    }),
  )
  // The check value of the catalogue of CRCs.
  expect(crc32c(new TextEncoder().encode('..123456789'), 2, 11)).toBe(0xe3069283)
})

test('keys land where Java clients and kafkajs put them', () => {
  const sameHash = (bytes: Uint8Array): void => {
    // A value given back would be the property's verdict.
    expect(murmur2(bytes)).toBe(theirMurmur(Buffer.from(bytes)))
  }
  fc.assert(
    fc.property(fc.uint8Array({ maxLength: 100 }), (bytes) => {
      sameHash(bytes)
    }),
  )
  const partition = keyPartitioner()
  const samePlace = (key: string, partitions: number): void => {
    const partitionMetadata = Array.from({ length: partitions })
    expect(partition({ message: { key }, partitionMetadata })).toBe((theirMurmur(Buffer.from(key)) & 0x7fffffff) % partitions)
  }
  fc.assert(
    fc.property(text, fc.integer({ min: 1, max: 50 }), (key, partitions) => {
      samePlace(key, partitions)
    }),
  )
  expect(partition({ message: { key: 'a', partition: 3 }, partitionMetadata: [1, 2, 3, 4] })).toBe(3)
})
