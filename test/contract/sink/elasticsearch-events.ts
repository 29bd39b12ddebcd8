/** Events and batches for sink tests, made the way capture makes them. */
import { type Op, TRUNCATE_KEY } from '../../../shared/events/change.ts'
import { decode, encode, type Event } from '../../../shared/events/envelope.ts'
import type { TableBatch } from '../../../shared/ports/sink.ts'
import { qualifiedName, type SourceTable } from '../../../shared/tables/table.ts'
import { recordOf } from '../../support/arbitraries.ts'

export function eventOf(table: SourceTable, key: string, version: number, after: string | null, op: Op = after === null ? 'delete' : 'update'): Event {
  const change = {
    version,
    table: qualifiedName(table),
    topic: `afluente.${qualifiedName(table)}`,
    key: JSON.stringify([key]),
    op,
    before: after === null ? '{"id":"x"}' : null,
    after,
    occurredAt: '2026-11-22T18:00:00.123456Z',
    traceparent: null,
  }
  const decoded = decode(recordOf(encode(change, { ref: 'local', claimedAt: '2026-11-22T18:00:00.200Z', traceparent: '' })))
  if (!decoded.ok) throw new Error(decoded.why.message)
  return decoded.event
}

/** A truncate of the table: its version is a floor. */
export function truncateEventOf(table: SourceTable, version: number): Event {
  return { ...eventOf(table, '', version, null), key: TRUNCATE_KEY, op: 'truncate', before: null }
}

export function batchOf(table: SourceTable, events: readonly Event[], epoch = 1): TableBatch {
  return {
    table,
    events,
    fence: { consumer: 'elasticsearch', topic: `afluente.${qualifiedName(table)}`, partition: 0, epoch },
    nextOffset: String(events.length),
  }
}
