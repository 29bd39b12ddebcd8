import { type CloudEvent, Kafka } from 'cloudevents'
import fc from 'fast-check'
import { expect, test } from 'vitest'
import { encode, encodeKeyOnly } from '../../../shared/events/envelope.ts'
import { change } from '../../support/arbitraries.ts'

const context = { ref: 'abcdefghijklmnop', claimedAt: '2026-11-22T18:00:00.200Z', traceparent: '00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01' }

/** Reads a message with the CloudEvents SDK, in strict mode: it throws on what the standard does not allow. */
function read(message: ReturnType<typeof encode>): CloudEvent<unknown> {
  const asReceived = { key: message.key, value: message.value, headers: { ...message.headers }, body: message.value, timestamp: '1795370400000' }
  const event = Kafka.toEvent(asReceived) as CloudEvent<unknown>
  expect(event.validate()).toBe(true)
  return event
}

test('every event is a CloudEvent 1.0 in the binary mode of the Kafka binding', () => {
  fc.assert(
    fc.property(change, (change) => {
      const event = read(encode(change, context))
      expect(event).toMatchObject({
        specversion: '1.0',
        id: `${change.table}:${change.version}`,
        type: `afluente.${{ insert: 'row.inserted', update: 'row.updated', delete: 'row.deleted', read: 'row.read', truncate: 'table.truncated' }[change.op]}`,
        subject: change.key,
        sequence: String(change.version),
        claimedat: context.claimedAt,
        datacontenttype: 'application/json; charset=utf-8',
      })
      expect(Date.parse(event.time ?? '')).toBe(Date.parse(change.occurredAt))
    }),
  )
})

test('its source is a URI reference, whatever the table is named', () => {
  fc.assert(
    fc.property(fc.constantFrom('public.leads', 'Sales.Order items', 'público.léads', 'a.b?c#d', 'a.100%'), (table) => {
      const { source } = read(
        encode(
          {
            version: 1,
            table,
            topic: 't',
            key: '[1]',
            op: 'insert',
            before: null,
            after: '{"a":1}',
            occurredAt: '2026-11-22T18:00:00.123456Z',
            traceparent: null,
          },
          context,
        ),
      )
      expect(source).toMatch(/^\/supabase\/abcdefghijklmnop\/(?:[A-Za-z0-9._~!$&'()*+,;=:@-]|%[0-9A-F]{2})+\/(?:[A-Za-z0-9._~!$&'()*+,;=:@-]|%[0-9A-F]{2})+$/)
      expect(source.split('/').slice(3).map(decodeURIComponent).join('.')).toBe(table)
    }),
  )
})

test('so is the mark of a change that was too large, with its size as an extension', () => {
  const message = encodeKeyOnly(
    {
      version: 1,
      table: 'public.leads',
      topic: 't',
      key: '[1]',
      op: 'insert',
      before: null,
      after: '{"a":1}',
      occurredAt: '2026-11-22T18:00:00.123456Z',
      traceparent: null,
    },
    context,
    9_000_000,
  )
  expect(read(message)).toMatchObject({ id: 'public.leads:1', oversized: '9000000' })
})
