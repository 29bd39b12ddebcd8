/** What bronze, silver and the dead letters say of one key. */
import { quoted, silverType } from '../../mappings/column-types.ts'
import type { Copies, History, KeptEvent, TracedLetter } from '../../ports/traces.ts'
import { qualifiedName, type SourceTable } from '../../tables/table.ts'
import type { Db } from './db.ts'

const utc = (column: string) => `to_char(${column} at time zone 'UTC', 'YYYY-MM-DD"T"HH24:MI:SS.US"Z"')`

const EVENTS = `select event_id, version, op, kafka_topic, kafka_partition, kafka_offset, traceparent, ${utc('occurred_at')} as occurred_at,
  ${utc('claimed_at')} as claimed_at, ${utc('published_at')} as published_at, ${utc('received_at')} as received_at
from bronze.events where key = $2 and source_table = $1 and version is not null order by version desc limit $3`

const LETTERS = `select id, consumer, event_id, topic, "partition", "offset", error_class, state, attempts, ${utc('first_seen')} as first_seen
from ops.dead_letter where key = $2 and table_name = $1 order by id desc limit $3`

export function postgresHistory(db: Db): History {
  return {
    events: async ({ key, table }, limit, options) => {
      const { rows } = await db.query({ text: EVENTS, values: [qualifiedName(table), key, limit] }, options)
      return rows.map(eventOf)
    },
    letters: async ({ key, table }, limit, options) => {
      const { rows } = await db.query({ text: LETTERS, values: [qualifiedName(table), key, limit] }, options)
      return rows.map(letterOf)
    },
  }
}

/** The rows of silver. */
export function postgresCopies(db: Db): Copies {
  return {
    copy: async ({ key, table }, options) => {
      const { rows } = await db.query({ text: copyOf(table), values: [key] }, options)
      const [row] = rows
      if (row === undefined) return null
      return { version: Number(row['version']), eventId: textOf(row['event_id']), deleted: row['deleted'] === 't', syncedAt: textOf(row['synced_at']) }
    },
  }
}

function copyOf(table: SourceTable): string {
  const key = table.key.map((column) => `${quoted(column)} ${silverType(table.columns[column] ?? 'text')}`)
  const object = table.key.map((column, at) => `'${column.replaceAll("'", "''")}', $1::json -> ${at}`)
  const same = table.key.map((column) => `t.${quoted(column)} = k.${quoted(column)}`)
  return `select t._version as version, t._event_id as event_id, t._deleted_at is not null as deleted, ${utc('t._synced_at')} as synced_at
from silver.${quoted(table.name)} t, json_to_record(json_build_object(${object.join(', ')})) as k(${key.join(', ')}) where ${same.join(' and ')}`
}

function eventOf(row: Readonly<Record<string, unknown>>): KeptEvent {
  return {
    eventId: String(row['event_id']),
    version: Number(row['version']),
    op: String(row['op']),
    occurredAt: textOf(row['occurred_at']),
    claimedAt: textOf(row['claimed_at']),
    publishedAt: textOf(row['published_at']),
    receivedAt: String(row['received_at']),
    topic: String(row['kafka_topic']),
    partition: Number(row['kafka_partition']),
    offset: String(row['kafka_offset']),
    traceparent: textOf(row['traceparent']),
  }
}

function letterOf(row: Readonly<Record<string, unknown>>): TracedLetter {
  return {
    id: String(row['id']),
    consumer: String(row['consumer']),
    eventId: String(row['event_id']),
    topic: String(row['topic']),
    partition: Number(row['partition']),
    offset: String(row['offset']),
    code: String(row['error_class']),
    state: String(row['state']),
    attempts: Number(row['attempts']),
    firstSeen: String(row['first_seen']),
  }
}

function textOf(value: unknown): string | null {
  return typeof value === 'string' ? value : null
}
