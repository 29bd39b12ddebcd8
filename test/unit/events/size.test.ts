import { createRequire } from 'node:module'
import fc from 'fast-check'
import { expect, test } from 'vitest'
import { encode, type OutboundMessage, sizeOf } from '../../../shared/events/envelope.ts'
import { change } from '../../support/arbitraries.ts'

const require = createRequire(import.meta.url)
const encodeRecord = require('kafkajs/src/protocol/recordBatch/record/v0/index.js') as (record: object) => object
const { RecordBatch: encodeBatch } = require('kafkajs/src/protocol/recordBatch/v0/index.js') as { RecordBatch: (batch: object) => Promise<{ size(): number }> }

const context = { ref: 'local', claimedAt: '2026-11-22T18:00:00.200Z', traceparent: '00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01' }

/** What the broker measures: the record batch as the client encodes it. */
async function bytesOnTheWire({ key, value, headers }: OutboundMessage): Promise<number> {
  return (await encodeBatch({ records: [encodeRecord({ key, value, headers, timestampDelta: 0, offsetDelta: 0 })] })).size()
}

test('no message is larger on the wire than its size says, and none much smaller', async () => {
  await fc.assert(
    fc.asyncProperty(change, async (change) => {
      const message = encode(change, context)
      const wire = await bytesOnTheWire(message)
      const said = sizeOf(message)
      expect(said).toBeGreaterThanOrEqual(wire)
      expect(said - wire).toBeLessThan(1_500 + 8 * message.key.length)
    }),
  )
})

test('the longest names Postgres allows, and headers of somebody else, are counted', async () => {
  const name = 'ã'.repeat(31)
  const change = {
    version: Number.MAX_SAFE_INTEGER,
    table: `${name}.${name}`,
    topic: 't',
    key: '["1"]',
    op: 'insert' as const,
    before: null,
    after: '{"a":1}',
    occurredAt: '2026-11-22T18:00:00.123456Z',
    traceparent: null,
  }
  const message = encode(change, { ...context, ref: 'a'.repeat(40) })
  expect(sizeOf(message)).toBeGreaterThanOrEqual(await bytesOnTheWire(message))
  const dead = { ...message, headers: { ...message.headers, afluente_error_message: 'é'.repeat(5_000) } }
  expect(sizeOf(dead)).toBeGreaterThanOrEqual(await bytesOnTheWire(dead))
})
