/** Keeps in bronze what silver or the decoder refused: every event is kept, whatever it is. */
import { isAfluenteError } from '../../engine/errors.ts'
import { decode, header, recordId } from '../../events/envelope.ts'
import type { Cancellable } from '../../ports/cancellable.ts'
import type { DeadLetter, Fence } from '../../ports/sink.ts'
import { bigintArray, textArray } from './binary-arrays.ts'
import type { Db } from './db.ts'
import { FENCE, fenced } from './fenced.ts'
import { indexable, storable } from './storable-text.ts'

const TEXT = `with fence as materialized (${FENCE})
, kept as (insert into bronze.events (event_id, source, source_table, key, version, op, before, after, occurred_at, claimed_at, published_at, kafka_topic, kafka_partition, kafka_offset, traceparent)
  select e.id, e.source, e.source_table, e.key, e.version::bigint, e.op, e.before::json, e.after::json, e.occurred_at::timestamptz, e.claimed_at::timestamptz, to_timestamp(e.published_ms / 1000.0), $2, $3, e.kafka_offset, e.traceparent
  from fence, unnest($5::text[], $6::text[], $7::text[], $8::text[], $9::text[], $10::text[], $11::text[], $12::text[], $13::text[], $14::text[], $15::bigint[], $16::bigint[], $17::text[])
    as e(id, source, source_table, key, version, op, before, after, occurred_at, claimed_at, published_ms, kafka_offset, traceparent)
  on conflict (event_id) do nothing)
select exists (select from fence) as held`

interface Kept {
  readonly id: string
  readonly source: string | null
  readonly table: string | null
  readonly key: string | null
  readonly version: string | null
  readonly op: string | null
  readonly before: string | null
  readonly after: string | null
  readonly occurredAt: string | null
  readonly claimedAt: string | null
  readonly publishedMs: number
  readonly offset: string
  readonly traceparent: string | null
}

/** Images that Postgres won't have as json, and values that are no change at all, are kept as one JSON string in `after`: nothing here can be refused for what it says. */
export function createKeep(db: Db): (letters: readonly DeadLetter[], fence: Fence, options: Cancellable) => Promise<void> {
  const insert = async (kept: readonly Kept[], fence: Fence, options: Cancellable) => {
    const column = (name: 'id' | 'source' | 'table' | 'key' | 'version' | 'op' | 'before' | 'after' | 'occurredAt' | 'claimedAt' | 'traceparent') =>
      textArray(kept.map((row) => row[name]))
    const { rows } = await db.query(
      {
        name: 'keep',
        text: TEXT,
        values: [
          fence.consumer,
          fence.topic,
          fence.partition,
          fence.epoch,
          ...(['id', 'source', 'table', 'key', 'version', 'op', 'before', 'after', 'occurredAt', 'claimedAt'] as const).map(column),
          bigintArray(kept.map((row) => row.publishedMs)),
          bigintArray(kept.map((row) => row.offset)),
          column('traceparent'),
        ],
      },
      options,
    )
    if (rows[0]?.['held'] !== 't') throw fenced(fence)
  }

  return async (letters, fence, options) => {
    if (letters.length === 0) return
    try {
      await insert(letters.map(imagesOf), fence, options)
    } catch (error) {
      if (!isAfluenteError(error) || error.kind !== 'refused') throw error
      await insert(letters.map(rawOf), fence, options)
    }
  }
}

/** The letter with its images cut out, where it has any. */
function imagesOf(letter: DeadLetter): Kept {
  const decoded = decode(letter.record)
  if (!decoded.ok) return rawOf(letter)
  const { op, before, after } = decoded.event
  return isJson(before) && isJson(after) ? { ...rawOf(letter), op, before, after } : { ...rawOf(letter), op }
}

/** The letter with its whole value as one JSON string. */
function rawOf({ record, table }: DeadLetter): Kept {
  const version = header(record, 'ce_sequence')
  return {
    id: idOf(record),
    source: storable(header(record, 'ce_source')),
    table: storable(table),
    key: storable(record.key),
    version: version !== undefined && /^\d{1,16}$/.test(version) ? version : null,
    op: null,
    before: null,
    after: record.value === null ? null : JSON.stringify(record.value),
    occurredAt: timeOf(header(record, 'ce_time')),
    claimedAt: timeOf(header(record, 'ce_claimedat')),
    publishedMs: Math.trunc(record.timestampMs),
    offset: record.offset,
    traceparent: storable(header(record, 'traceparent')),
  }
}

function idOf(record: DeadLetter['record']): string {
  const id = recordId(record)
  return indexable(id) ? id : `${record.topic}:${record.partition}:${record.offset}`
}

function isJson(text: string | null): boolean {
  if (text === null) return true
  try {
    JSON.parse(text)
    return true
  } catch {
    return false
  }
}

/** Only what is surely a time in Postgres as well. */
function timeOf(text: string | undefined): string | null {
  return text !== undefined && /^\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d(?:\.\d{1,6})?(?:Z|[+-]\d\d:\d\d)$/.test(text) && !Number.isNaN(Date.parse(text)) ? text : null
}
