/** The arrays in which the events of a batch travel to Postgres, one element an event. */
import type { Event } from '../../events/envelope.ts'
import { rawJsonColumns } from '../../mappings/column-types.ts'
import { type Role, rolesOf } from '../../mappings/silver-batch.ts'
import { readableImage } from '../../mappings/silver-row.ts'
import type { TableBatch } from '../../ports/sink.ts'
import { bigintArray, textArray } from './binary-arrays.ts'

interface Rows extends TableBatch {
  readonly roles: readonly Role[]
}

interface EventColumn {
  readonly type: 'text' | 'bigint'
  readonly array: (rows: Rows) => unknown
}

const texts = (of: (event: Event) => string | null): EventColumn => ({ type: 'text', array: ({ events }) => textArray(events.map(of)) })
const bigints = (of: (event: Event) => number | string): EventColumn => ({ type: 'bigint', array: ({ events }) => bigintArray(events.map(of)) })

export const EVENT_COLUMNS = {
  id: texts((event) => event.id),
  key: texts((event) => event.key),
  version: bigints((event) => event.version),
  op: texts((event) => event.op),
  before: texts((event) => event.before),
  after: texts((event) => event.after),
  source: texts((event) => event.source),
  traceparent: texts((event) => event.traceparent),
  occurred_at: texts((event) => event.occurredAt),
  claimed_at: texts((event) => event.claimedAt),
  published_ms: bigints((event) => Math.trunc(event.publishedAtMs)),
  kafka_offset: bigints((event) => event.record.offset),
  role: { type: 'text', array: ({ roles }: Rows) => textArray(roles) },
  row: {
    type: 'text',
    array: ({ events, table }: Rows) => {
      const raw = rawJsonColumns(table)
      return textArray(events.map(({ after }) => (after === null ? null : readableImage(after, raw))))
    },
  },
} as const satisfies Readonly<Record<string, EventColumn>>

export type EventColumnName = keyof typeof EVENT_COLUMNS

/** The parameters of a batch, in the order of `columns`. */
export function arraysOf(batch: TableBatch, columns: readonly EventColumnName[]): readonly unknown[] {
  const rows = { ...batch, roles: rolesOf(batch.events) }
  return columns.map((name) => EVENT_COLUMNS[name].array(rows))
}
