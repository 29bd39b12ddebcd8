import { Buffer } from 'node:buffer'
import { createRequire } from 'node:module'
import fc from 'fast-check'
import { describe, expect, test } from 'vitest'
import { decodeFetch, installFetchDecoding } from '../../../shared/adapters/kafka/fetch-decoding.ts'

/** kafkajs itself is the judge. */
const require = createRequire(import.meta.url)
const RecordBatch = require('kafkajs/src/protocol/recordBatch/v0/index.js').RecordBatch as (batch: object) => Promise<{ buffer: Buffer }>
const Record = require('kafkajs/src/protocol/recordBatch/record/v0/index.js') as (record: object) => unknown
const answer = require('kafkajs/src/protocol/requests/fetch/v11/response.js') as { decode: (raw: Buffer) => Promise<unknown> }
const theirs = answer.decode

interface Message {
  readonly key: string | null
  readonly value: string | null
  readonly headers: Readonly<Record<string, string | string[]>>
  readonly timestampDelta: number
}

async function batchOf(messages: readonly Message[], over: object = {}): Promise<Buffer> {
  const records = messages.map(({ key, value, ...rest }, offsetDelta) =>
    Record({ ...rest, offsetDelta, key: key === null ? null : Buffer.from(key), value: value === null ? null : Buffer.from(value) }),
  )
  return (
    await RecordBatch({
      firstTimestamp: 1_795_000_000_000,
      maxTimestamp: 1_795_000_000_500,
      lastOffsetDelta: messages.length - 1,
      producerId: 7,
      records,
      ...over,
    })
  ).buffer
}

/** A Fetch answer, version 11. */
function answerOf(
  topics: readonly {
    readonly topic: string
    readonly partitions: readonly { readonly partition: number; readonly errorCode?: number; readonly records: Buffer }[]
  }[],
): Buffer {
  const parts: Buffer[] = []
  const int16 = (value: number) => parts.push(Buffer.from([(value >> 8) & 255, value & 255]))
  const int32 = (value: number) => {
    const buffer = Buffer.alloc(4)
    buffer.writeInt32BE(value)
    parts.push(buffer)
  }
  const int64 = (value: bigint) => {
    const buffer = Buffer.alloc(8)
    buffer.writeBigInt64BE(value)
    parts.push(buffer)
  }
  int32(0)
  int16(0)
  int32(42)
  int32(topics.length)
  for (const { topic, partitions } of topics) {
    int16(Buffer.byteLength(topic))
    parts.push(Buffer.from(topic))
    int32(partitions.length)
    for (const { partition, errorCode = 0, records } of partitions) {
      int32(partition)
      int16(errorCode)
      int64(1_000n)
      int64(999n)
      int64(3n)
      int32(-1)
      int32(-1)
      int32(records.length)
      parts.push(records)
    }
  }
  return Buffer.concat(parts)
}

/** kafkajs's answer with text where it has buffers, and no more of a message than is used. */
function asText(value: unknown): unknown {
  if (Buffer.isBuffer(value)) return value.toString()
  if (Array.isArray(value)) return value.map(asText)
  if (typeof value !== 'object' || value === null) return value
  const entries = Object.entries(value).filter(([name]) => name !== 'batchContext')
  return Object.fromEntries(entries.map(([name, member]) => [name, asText(member)]))
}

const text = fc.oneof(fc.string(), fc.string({ unit: 'binary' }))
const message: fc.Arbitrary<Message> = fc.record({
  key: fc.option(text),
  value: fc.option(fc.oneof(text, fc.string({ minLength: 120, maxLength: 300 }))),
  headers: fc.dictionary(
    fc.string({ minLength: 1 }).filter((name) => name !== '__proto__'),
    fc.oneof(text, fc.array(text, { minLength: 2, maxLength: 3 })),
    { maxKeys: 5 },
  ),
  timestampDelta: fc.integer({ min: 0, max: 2 ** 40 }),
})

/** Where a record batch says which format it has. */
const MAGIC_AT = 16

describe('records are read as kafkajs reads them', () => {
  test('whatever stands in them', async () => {
    await fc.assert(
      fc.asyncProperty(fc.array(fc.array(message, { minLength: 1, maxLength: 4 }), { maxLength: 3 }), fc.nat({ max: 80 }), async (batches, cut) => {
        const whole = Buffer.concat(await Promise.all(batches.map((messages) => batchOf(messages))))
        // A batch cut before its magic byte makes kafkajs throw; brokers cut there only when there is nothing to send.
        const left = whole.length - cut
        const records = whole.subarray(0, left > MAGIC_AT ? left : 0)
        const raw = answerOf([
          {
            topic: 'afluente.public.leads',
            partitions: [
              { partition: 0, records },
              { partition: 3, errorCode: 1, records: Buffer.alloc(0) },
            ],
          },
          { topic: 'ação', partitions: [{ partition: 1, records: whole }] },
        ])
        expect(asText(decodeFetch(raw))).toEqual(asText(await theirs(raw)))
      }),
      { numRuns: 200 },
    )
  })

  test('headers that stand as they stood before, or almost, or as the key', async () => {
    const few = fc.constantFrom('[1]', '[2]', '[10]', 'é', 'è', '')
    const alike = fc.record({
      key: fc.option(few),
      value: fc.constant('{}'),
      headers: fc.record({ ce_subject: few, ce_time: few, traceparent: few }, { requiredKeys: ['ce_time'] }),
      timestampDelta: fc.constant(0),
    })
    await fc.assert(
      fc.asyncProperty(fc.array(alike, { minLength: 2, maxLength: 8 }), async (messages) => {
        const raw = answerOf([{ topic: 'afluente.public.leads', partitions: [{ partition: 0, records: await batchOf(messages) }] }])
        expect(asText(decodeFetch(raw))).toEqual(asText(await theirs(raw)))
      }),
      { numRuns: 200 },
    )
  })

  test('offsets and times go on from those of their batch', async () => {
    const batch = await batchOf([
      { key: '[1]', value: '1', headers: {}, timestampDelta: 0 },
      { key: '[2]', value: '2', headers: {}, timestampDelta: 250 },
    ])
    batch.writeBigInt64BE(9_007_199_254_740_000n, 0)
    const raw = answerOf([{ topic: 't', partitions: [{ partition: 0, records: batch }] }])
    expect(decodeFetch(raw)).toMatchObject({
      responses: [
        {
          partitions: [
            {
              highWatermark: '1000',
              messages: [
                { offset: '9007199254740000', timestamp: '1795000000000' },
                { offset: '9007199254740001', timestamp: '1795000000250' },
              ],
            },
          ],
        },
      ],
    })
  })
})

describe('what only kafkajs can read is left to it', () => {
  const plain: Message = { key: '[1]', value: 'one', headers: { a: 'b' }, timestampDelta: 0 }

  test('and kafkajs still looks as it did', () => {
    expect(installFetchDecoding()).toBe(true)
  })

  test.each([
    ['compressed records', { compression: 1 }],
    ['transactions', { transactional: true }],
  ])('%s', async (_, over) => {
    const raw = answerOf([{ topic: 't', partitions: [{ partition: 0, records: await batchOf([plain], over) }] }])
    expect(decodeFetch(raw)).toBeNull()
    expect(asText(await answer.decode(raw))).toMatchObject({ responses: [{ partitions: [{ messages: [{ key: '[1]', value: 'one', headers: { a: 'b' } }] }] }] })
  })

  test('and what is plain is not, also when it is installed twice', async () => {
    installFetchDecoding()
    const raw = answerOf([{ topic: 't', partitions: [{ partition: 0, records: await batchOf([plain]) }] }])
    expect(await answer.decode(raw)).toMatchObject({ responses: [{ partitions: [{ messages: [{ key: '[1]', value: 'one' }] }] }] })
  })
})
