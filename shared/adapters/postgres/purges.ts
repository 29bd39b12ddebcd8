/** The purges of tombstones in `ops.purge`, and what else the analytics database knows of events that may still come. */
import { AfluenteError } from '../../engine/errors.ts'
import type { PurgeHold, Purges, PurgeState } from '../../ports/purges.ts'
import type { Db } from './db.ts'

const TAKE = `insert into ops.purge as p (consumer, source_table, owner, epoch, leased_until)
select $1, t, $3, 1, clock_timestamp() + $4 * interval '1 millisecond' from unnest($2::text[]) as t
on conflict (consumer, source_table) do update set owner = excluded.owner, epoch = p.epoch + 1, leased_until = excluded.leased_until
where p.leased_until <= clock_timestamp() and p.due_at <= clock_timestamp()
returning source_table, epoch, "position"`

const LOOK = `update ops.purge set horizon = $4::timestamptz, held_back = $5::text[], looked_at = clock_timestamp()
where consumer = $1 and source_table = $2 and epoch = $3 returning epoch`

const RELEASE = `update ops.purge set leased_until = clock_timestamp(), due_at = coalesce(clock_timestamp() + $4::bigint * interval '1 millisecond', due_at),
  "position" = case when $4::bigint is null then "position" end
where consumer = $1 and source_table = $2 and epoch = $3 returning epoch`

/** Locks the row that says who may purge, from $1 to $3. */
export const PURGE_FENCE = `select from ops.purge where consumer = $1 and source_table = $2 and epoch = $3 for no key update`

/** What follows a step, as parts of its statement: `fence` and `step (rows, next)` stand before; $4 is the horizon. */
export const COUNTED = `, counted as (update ops.purge as p set purged = p.purged + step.rows, "position" = step.next from fence, step where p.consumer = $1 and p.source_table = $2)
, audited as (insert into ops.audit (actor, action, subject, details)
  select 'purge', 'tombstones.purge', $2, jsonb_build_object('consumer', $1, 'rows', step.rows, 'before', $4::text) from fence, step where step.rows > 0)
select exists (select from fence) as held, step.rows, step.next from step`

const COUNT = `with fence as materialized (${PURGE_FENCE})
, step as materialized (select $5::bigint as rows, $6::bigint as next)
${COUNTED}`

const UNSETTLED = `select count(*) as letters, floor(extract(epoch from min(coalesce(published_at, '-infinity'))) * 1000) as oldest_ms
from ops.dead_letter where state in ('open', 'redriven') and topic = $1 and consumer = any($2::text[])`

const REPLAYS = `select (select count(*) from ops.replay_job where state = 'running' and source_table = $1 and consumer = any($2::text[])) as running,
  (select count(*) from ops.shadow where source_table = $1 and consumer = any($2::text[])) as shadows`

const STATES = `select consumer, source_table, purged, to_json(held_back) as held_back, ${utc('horizon')}, ${utc('looked_at')}
from ops.purge where looked_at is not null order by consumer, source_table`

function utc(column: string): string {
  return `to_char(${column} at time zone 'UTC', 'YYYY-MM-DD"T"HH24:MI:SS.MS"Z"') as ${column}`
}

export function postgresPurges({ db }: { readonly db: Db }): Purges {
  const held = async (text: string, hold: PurgeHold, values: readonly unknown[], options: Parameters<Purges['look']>[2]) => {
    const { rows } = await db.query({ text, values: [...placeOf(hold), ...values] }, options)
    if (rows.length === 0) throw purgeFenced(hold)
  }
  return {
    take: async ({ consumer, tables, owner, leaseMs }, options) => {
      const { rows } = await db.query({ text: TAKE, values: [consumer, tables, owner, leaseMs] }, options)
      return rows.map((row) => ({ consumer, table: String(row['source_table']), epoch: Number(row['epoch']), position: numberOrNull(row['position']) }))
    },
    look: (hold, { before, heldBack }, options) => held(LOOK, hold, [before, heldBack], options),
    count: async (hold, { rows: purged, next, before }, options) => {
      const { rows } = await db.query({ text: COUNT, values: [...placeOf(hold), before, purged, next] }, options)
      if (rows[0]?.['held'] !== 't') throw purgeFenced(hold)
    },
    release: (hold, dueInMs, options) => held(RELEASE, hold, [dueInMs], options),
    unsettled: async ({ topic, consumers }, options) => {
      const { rows } = await db.query({ text: UNSETTLED, values: [topic, consumers] }, options)
      const oldest = rows[0]?.['oldest_ms']
      return { letters: Number(rows[0]?.['letters']), oldestMs: typeof oldest === 'string' ? Number(oldest) : null }
    },
    replays: async ({ table, consumers }, options) => {
      const { rows } = await db.query({ text: REPLAYS, values: [table, consumers] }, options)
      return { running: Number(rows[0]?.['running']), shadows: Number(rows[0]?.['shadows']) }
    },
    states: async (options) => {
      const { rows } = await db.query({ text: STATES, values: [] }, options)
      return rows.map(stateOf)
    },
  }
}

/** What a purger gets whose lease somebody else has taken. */
export function purgeFenced({ consumer, table, epoch }: PurgeHold): AfluenteError {
  return new AfluenteError('fenced', 'epoch', `Somebody else purges ${table} of ${consumer}: the epoch ${epoch} is over. Nothing was purged under it.`)
}

function stateOf(row: Readonly<Record<string, unknown>>): PurgeState {
  const heldBack: unknown = JSON.parse(String(row['held_back']))
  return {
    consumer: String(row['consumer']),
    table: String(row['source_table']),
    before: textOrNull(row['horizon']),
    heldBack: Array.isArray(heldBack) ? heldBack.map(String) : [],
    lookedAt: textOrNull(row['looked_at']),
    purged: Number(row['purged']),
  }
}

export function placeOf({ consumer, table, epoch }: PurgeHold): readonly unknown[] {
  return [consumer, table, epoch]
}

export function numberOrNull(value: unknown): number | null {
  return typeof value === 'string' ? Number(value) : null
}

function textOrNull(value: unknown): string | null {
  return typeof value === 'string' ? value : null
}
