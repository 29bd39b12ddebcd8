import fc from 'fast-check'
import { describe, expect, test } from 'vitest'
import { eventIdOf } from '../../../shared/events/change.ts'
import { decode, encode } from '../../../shared/events/envelope.ts'
import { groupOf, deadLetterTopicOf, topicOf } from '../../../shared/engine/define.ts'
import { keyText, recordOf } from '../../support/arbitraries.ts'

const context = { ref: 'local', claimedAt: '2026-11-22T18:00:00.200Z', traceparent: '00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01' }
const base = { topic: 't', op: 'insert' as const, before: null, after: '{"a":1}', occurredAt: '2026-11-22T18:00:00.123456Z', traceparent: null }

describe('the text of a key', () => {
  test('of composite ids that would collide when joined with a dash stays apart', () => {
    const key = (columns: readonly string[]) => JSON.stringify(columns)
    expect(key(['a-b', 'c'])).not.toBe(key(['a', 'b-c']))
    fc.assert(
      fc.property(
        fc.array(fc.string()),
        fc.array(fc.string()),
        (a, b) => (key(a) === key(b)) === (JSON.stringify(a.map((c) => [c])) === JSON.stringify(b.map((c) => [c]))),
      ),
    )
  })

  test('passes through the log byte for byte: the key of the message, of the event and its subject are the same', () => {
    fc.assert(
      fc.property(keyText, (key) => {
        const message = encode({ ...base, table: 'public.leads', version: 7, key }, context)
        const decoded = decode(recordOf(message))
        expect([message.key, message.headers['ce_subject'], decoded.ok && decoded.event.key]).toEqual([key, key, key])
      }),
    )
  })

  test('of numbers that are equal and written differently stays two keys, as Postgres printed them', () => {
    const keys = ['[1]', '[1.0]', '[1.00]', '["1"]', '[9007199254740993]', '[9007199254740992]'].map(
      (key) => encode({ ...base, table: 'public.t', version: 1, key }, context).key,
    )
    expect(new Set(keys).size).toBe(6)
  })
})

describe('the id of an event', () => {
  const table = fc.oneof(fc.constantFrom('public.leads', 'a:b.c', 'a.b:1', 'x.:'), fc.string({ minLength: 1 }))
  const version = fc.integer({ min: 1, max: Number.MAX_SAFE_INTEGER })

  test('tells any two changes apart, and gives back table and version', () => {
    fc.assert(
      fc.property(table, version, table, version, (t1, v1, t2, v2) => {
        expect(eventIdOf(t1, v1) === eventIdOf(t2, v2)).toBe(t1 === t2 && v1 === v2)
        const decoded = decode(recordOf(encode({ ...base, table: t1, version: v1, key: '[1]' }, context)))
        expect(decoded.ok && [decoded.event.table, decoded.event.version]).toEqual([t1, v1])
      }),
    )
  })
})

test('topics, dead letters and groups have the names that the contract gives', () => {
  expect(topicOf({ schema: 'public', name: 'leads' })).toBe('afluente.public.leads')
  expect(deadLetterTopicOf('afluente.public.leads')).toBe('afluente.public.leads.dlq')
  expect(groupOf('postgres')).toBe('afluente.postgres')
})
