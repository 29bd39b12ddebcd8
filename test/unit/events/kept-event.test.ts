import fc from 'fast-check'
import { describe, expect, test } from 'vitest'
import { decode, encode } from '../../../shared/events/envelope.ts'
import { isKeyedBy, type KeptEvent, recordOf } from '../../../shared/events/kept-event.ts'
import * as arbitraries from '../../support/arbitraries.ts'

describe('a kept event', () => {
  test('is the event that it was when it is read back, byte for byte', () => {
    fc.assert(
      fc.property(arbitraries.change, (change) => {
        const message = encode(change, {
          ref: 'local',
          claimedAt: '2026-11-22T18:00:00.200Z',
          traceparent: '00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01',
        })
        const first = decode(arbitraries.recordOf(message))
        if (!first.ok) return
        const { event } = first
        const { offset, partition, topic } = event.record
        const kept: KeptEvent = { ...event, eventId: event.id, publishedMs: event.publishedAtMs, topic, partition, offset }
        const again = decode(recordOf(kept))
        expect(again.ok ? { ...again.event, record: null } : again).toEqual({ ...event, record: null })
        expect(recordOf(kept)).toMatchObject({ topic, partition, offset, key: event.key })
      }),
    )
  })

  test('without a trace or a claim has none when it is read back', () => {
    const kept: KeptEvent = { eventId: 'public.t:1', source: '/s', table: 'public.t', key: '["a"]', version: 1, op: 'delete', before: null, after: null, occurredAt: '2026-11-22T18:00:00Z', claimedAt: null, publishedMs: 5, traceparent: null, topic: 't', partition: 3, offset: '7' } // prettier-ignore
    expect(decode(recordOf(kept))).toMatchObject({ ok: true, event: { claimedAt: null, traceparent: null, publishedAtMs: 5 } })
  })
})

describe('the key of an event', () => {
  const of = (key: string, after: string | null, op: 'insert' | 'delete' | 'truncate' = 'insert') => ({ key, after, op })
  test.each([
    ['of its row', ['id'], of('["a"]', '{"id":"a","name":"x"}'), true],
    ['of its row, in other escapes', ['id'], of('["é/"]', String.raw`{"id":"\u00e9\/"}`), true],
    ['of two columns', ['a', 'b'], of('[1, "x"]', '{"a":1,"b":"x"}'), true],
    ['of a deleted row', ['id'], of('["a"]', null, 'delete'), true],
    ['of a truncate', ['id'], of('[]', null, 'truncate'), true],
    ['of another column', ['id'], of('["a@b.c"]', '{"id":"a","email":"a@b.c"}'), false],
    ['of another number of columns', ['id'], of('["a", 1]', null, 'delete'), false],
    ['of a column that the image lacks', ['id'], of('["a"]', '{"name":"x"}'), false],
    ['that is none', ['id'], of('a', '{"id":"a"}'), false],
  ] as const)('%s', (_, columns, event, expected) => {
    expect(isKeyedBy(columns, event)).toBe(expected)
  })
})
