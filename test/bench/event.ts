/** A change of a lead as it comes out of Kafka, without Kafka. */
import { topicOf } from '../../shared/engine/define.ts'
import { decode, encode, type Event } from '../../shared/events/envelope.ts'
import { leads } from '../../shared/tables/leads.ts'

/** `after`: the row's JSON. */
export function insertOf(id: string, version: number, after: string): Event {
  const change = { version, table: 'public.leads', topic: topicOf(leads), key: `["${id}"]`, op: 'insert' as const, before: null, after }
  const message = encode(
    { ...change, occurredAt: '2026-11-22T18:00:00.000001Z', traceparent: null },
    { ref: 'bench', claimedAt: '2026-11-22T18:00:00.000Z', traceparent: '00-aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa-bbbbbbbbbbbbbbbb-01' },
  )
  const decoded = decode({ ...message, partition: 0, offset: String(version), timestampMs: 1_763_834_400_000 })
  if (!decoded.ok) throw new Error(decoded.why.message)
  return decoded.event
}
