/** The control tables in schema `ops`: who holds a partition, how far it is, what is dead. */
import { AfluenteError, isAfluenteError } from '../../engine/errors.ts'
import type { Cancellable } from '../../ports/cancellable.ts'
import type { Control, Floor, Progress } from '../../ports/control.ts'
import type { DeadLetter, Fence } from '../../ports/sink.ts'
import { bigintArray, textArray } from './binary-arrays.ts'
import type { Db, Query, Result } from './db.ts'
import { FENCE, fenced } from './fenced.ts'
import { fingerprintOf, nextStateOf } from './letter-columns.ts'
import { storable } from './storable-text.ts'

const TAKE = `insert into ops.consumer_progress as p (consumer, topic, "partition", owner, epoch) values ($1, $2, $3, $4, 1)
on conflict (consumer, topic, "partition") do update set owner = excluded.owner, epoch = p.epoch + 1, updated_at = clock_timestamp()
returning epoch`

const ADVANCE = `update ops.consumer_progress set
  next_offset = greatest(next_offset, $5::bigint), consumed = consumed + $6, accepted = accepted + $7, duplicate = duplicate + $8, late = late + $9, updated_at = clock_timestamp()
where consumer = $1 and topic = $2 and "partition" = $3 and epoch = $4
returning epoch`

const BURY = `with fence as materialized (${FENCE})
, letters as (insert into ops.dead_letter as d (consumer, topic, "partition", "offset", event_id, table_name, key, payload, headers, error_class, message, fingerprint, published_at)
  select $1, l.* from fence, (select u.topic, u."partition", u.kafka_offset, u.event_id, u.table_name, u.key, u.payload, u.headers::jsonb, u.error_class, u.message, u.fingerprint, to_timestamp(u.published_ms / 1000.0)
    from unnest($7::bigint[], $8::text[], $9::text[], $10::text[], $11::text[], $12::text[], $13::text[], $14::text[], $15::text[], $16::bigint[], $17::text[], $18::bigint[])
      as u(kafka_offset, event_id, table_name, key, payload, headers, error_class, message, fingerprint, published_ms, topic, "partition")) as l
  on conflict (consumer, topic, "partition", "offset", hashtextextended(event_id, 0)) do update set
    attempts = d.attempts + 1, last_seen = clock_timestamp(), error_class = excluded.error_class, message = excluded.message, fingerprint = excluded.fingerprint,
    state = ${nextStateOf('bury', 'd.state')}, ended_at = case when d.state = ${nextStateOf('bury', 'd.state')} then d.ended_at end)
, settled as (update ops.consumer_progress as p set
    next_offset = greatest(p.next_offset, $5::bigint), consumed = p.consumed + $6, dead = p.dead + $6, updated_at = clock_timestamp()
  from fence where p.consumer = $1 and p.topic = $2 and p."partition" = $3)
select exists (select from fence) as held`

const LATEST_MS = 8.64e15

/** Conflicting or not, the row is locked: batches that know a lower floor are waited for, later ones wait. The greatest wins. */
const RAISE_FLOOR = `with fence as materialized (${FENCE})
insert into ops.floor as f (source_table, version, occurred_at, raised_at) select $5, $6::bigint, $7::timestamptz, clock_timestamp() from fence
on conflict (source_table) do update set
  version = greatest(f.version, excluded.version),
  occurred_at = case when excluded.version > f.version then excluded.occurred_at else f.occurred_at end,
  raised_at = case when excluded.version > f.version then excluded.raised_at else f.raised_at end
returning source_table, version, to_char(occurred_at at time zone 'UTC', 'YYYY-MM-DD"T"HH24:MI:SS.US"Z"') as occurred_at`

const FLOORS = `select source_table, version, to_char(occurred_at at time zone 'UTC', 'YYYY-MM-DD"T"HH24:MI:SS.US"Z"') as occurred_at
from ops.floor where version > 0 order by source_table`

const PROGRESS = `select consumer, topic, "partition", epoch, next_offset, consumed, accepted, duplicate, late, dead,
  to_char(updated_at at time zone 'UTC', 'YYYY-MM-DD"T"HH24:MI:SS.US"Z"') as updated_at
from ops.consumer_progress order by consumer, topic, "partition"`

export function postgresControl({ db }: { readonly db: Db }): Control {
  return {
    take: async ({ consumer, topic, partition, owner }, options) => {
      const { rows } = await ask(db, { name: 'control-take', text: TAKE, values: [consumer, topic, partition, owner] }, options)
      return Number(rows[0]?.['epoch'])
    },
    advance: async (fence, nextOffset, consumed, { accepted, duplicate, late }, options) => {
      const { rows } = await ask(
        db,
        { name: 'control-advance', text: ADVANCE, values: [...placeOf(fence), nextOffset, consumed, accepted, duplicate, late] },
        options,
      )
      if (rows.length === 0) throw fenced(fence)
    },
    bury: async (letters, fence, nextOffset, options) => {
      const once = [...new Map(letters.map((letter) => [`${letter.record.topic}:${letter.record.partition}:${letter.record.offset}`, letter])).values()]
      const values = [
        ...placeOf(fence),
        nextOffset,
        letters.length,
        bigintArray(once.map(({ record }) => record.offset)),
        ...columnsOf(once, fence.consumer),
        bigintArray(once.map(({ record }) => storableMs(record.timestampMs))),
        textArray(once.map(({ record }) => record.topic)),
        bigintArray(once.map(({ record }) => record.partition)),
      ]
      // Refusals go through: a letter that can't be stored as it is must not hold up the others.
      const { rows } = await db.query({ name: 'control-bury', text: BURY, values }, options)
      if (rows[0]?.['held'] !== 't') throw fenced(fence)
    },
    raiseFloor: async ({ table, version, occurredAt }, fence, options) => {
      // Refusals go through: a floor that says nonsense must not hold up the others.
      const { rows } = await db.query({ name: 'control-raise-floor', text: RAISE_FLOOR, values: [...placeOf(fence), table, version, occurredAt] }, options)
      const [row] = rows
      if (row === undefined) throw fenced(fence)
      return floorOf(row)
    },
    floors: async (options) => {
      const { rows } = await ask(db, { name: 'control-floors', text: FLOORS, values: [] }, options)
      return rows.map(floorOf)
    },
    progress: async (options) => {
      const { rows } = await ask(db, { name: 'control-progress', text: PROGRESS, values: [] }, options)
      return rows.map(progressOf)
    },
  }
}

/** The control tables refuse no data but our own miscounting: that is a fault of the program, and splitting a batch would not mend it. */
async function ask(db: Db, query: Query, options: Cancellable): Promise<Result> {
  try {
    return await db.query(query, options)
  } catch (error) {
    if (!isAfluenteError(error) || error.kind !== 'refused') throw error
    throw new AfluenteError(
      'misconfigured',
      error.code,
      `ops.consumer_progress refused a count: ${error.message} Accepted, duplicate, late and dead must add up to consumed.`,
      { cause: error },
    )
  }
}

function placeOf({ consumer, topic, partition, epoch }: Fence): readonly unknown[] {
  return [consumer, topic, partition, epoch]
}

function columnsOf(letters: readonly DeadLetter[], consumer: string): readonly unknown[] {
  return [
    letters.map(({ eventId }) => storable(eventId)),
    letters.map(({ table }) => storable(table)),
    letters.map(({ record }) => storable(record.key)),
    letters.map(({ record }) => storable(record.value)),
    letters.map(({ record }) => headersOf(record.headers)),
    letters.map(({ code }) => storable(code)),
    letters.map(({ message }) => storable(message)),
    letters.map((letter) => fingerprintOf(letter, consumer)),
  ].map(textArray)
}

function headersOf(headers: DeadLetter['record']['headers']): string {
  const texts = Object.entries(headers).flatMap(([name, value]) =>
    value === undefined ? [] : [[storable(name.toWellFormed()), storable(value.toString().toWellFormed())]],
  )
  return JSON.stringify(Object.fromEntries(texts))
}

/** A stranger's record may claim a time that no date can hold. */
function storableMs(ms: number): number {
  return ms >= 0 && ms <= LATEST_MS ? Math.trunc(ms) : 0
}

function floorOf(row: Readonly<Record<string, unknown>>): Floor {
  const occurredAt = row['occurred_at']
  return { table: String(row['source_table']), version: Number(row['version']), occurredAt: typeof occurredAt === 'string' ? occurredAt : null }
}

function progressOf(row: Readonly<Record<string, unknown>>): Progress {
  const count = (name: string) => Number(row[name])
  return {
    consumer: String(row['consumer']),
    topic: String(row['topic']),
    partition: count('partition'),
    epoch: count('epoch'),
    nextOffset: String(row['next_offset']),
    consumed: count('consumed'),
    accepted: count('accepted'),
    duplicate: count('duplicate'),
    late: count('late'),
    dead: count('dead'),
    updatedAt: String(row['updated_at']),
  }
}
