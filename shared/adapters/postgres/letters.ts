/** The dead letters in `ops.dead_letter`, as people look at them and decide about them. */
import { type LetterAction, statesFor } from '../../events/dead-letter.ts'
import type { Letters } from '../../ports/letters.ts'
import type { Db } from './db.ts'
import { letterOf, nextStateOf, stateOf, SUMMARY, summaryOf, text, textOrNull, time, WHOLE } from './letter-columns.ts'
import { conditionOf, parameters } from './letter-filter.ts'

/** What one answer may hold, so that a Worker's memory does. A letter that is larger goes alone. */
export const LETTER_BYTES = 4 * 1024 * 1024

export function postgresLetters({ db }: { readonly db: Db }): Letters {
  return {
    list: async ({ filter, limit, after }, options) => {
      const of = parameters(after, limit)
      const where = `${conditionOf(filter, of)} and ($1::bigint is null or d.id < $1::bigint)`
      const { rows } = await db.query(
        { text: `select ${SUMMARY} from ops.dead_letter as d where ${where} order by d.id desc limit $2::integer + 1`, values: of.values },
        options,
      )
      const letters = rows.slice(0, limit).map(summaryOf)
      return { letters, next: rows.length > limit ? (letters.at(-1)?.id ?? null) : null }
    },
    read: async ({ filter, limit, after }, options) => {
      const of = parameters(after, limit, LETTER_BYTES)
      const { rows } = await db.query(
        {
          text: `with page as materialized (select d.id, coalesce(octet_length(d.payload), 0) as bytes from ops.dead_letter as d
    where ${conditionOf(filter, of)} and ($1::bigint is null or d.id < $1::bigint) order by d.id desc limit $2::integer + 1)
  , sized as (select id, sum(bytes) over (order by id desc) - bytes as before from page order by id desc limit $2)
  select ${WHOLE}, (select count(*) from page) as found from sized join ops.dead_letter as d using (id) where sized.before < $3::bigint order by d.id desc`,
          values: of.values,
        },
        options,
      )
      const letters = rows.map(letterOf)
      return { letters, next: Number(rows[0]?.['found'] ?? 0) > letters.length ? (letters.at(-1)?.id ?? null) : null }
    },
    find: async (id, options) => {
      const { rows } = await db.query({ text: `select ${WHOLE} from ops.dead_letter as d where d.id = $1::bigint`, values: [id] }, options)
      return rows[0] === undefined ? null : letterOf(rows[0])
    },
    groups: async (filter, limit, options) => {
      const of = parameters(limit)
      const { rows } = await db.query(
        {
          text: `select d.fingerprint, d.consumer, d.table_name, d.error_class, d.message, d.letters, ${time('first_seen')}, ${time('last_seen')}
    from (select d.fingerprint, d.consumer, d.table_name, d.error_class, (array_agg(d.message order by d.id desc))[1] as message, count(*) as letters, min(d.first_seen) as first_seen, max(d.last_seen) as last_seen
      from ops.dead_letter as d where ${conditionOf(filter, of)} group by d.fingerprint, d.consumer, d.table_name, d.error_class) as d
    order by d.letters desc, d.fingerprint limit $1`,
          values: of.values,
        },
        options,
      )
      return rows.map((row) => ({
        fingerprint: text(row, 'fingerprint'),
        consumer: text(row, 'consumer'),
        table: textOrNull(row, 'table_name'),
        code: text(row, 'error_class'),
        message: text(row, 'message'),
        letters: Number(row['letters']),
        firstSeen: text(row, 'first_seen'),
        lastSeen: text(row, 'last_seen'),
      }))
    },
    count: async (filter, options) => {
      const of = parameters()
      const { rows } = await db.query(
        {
          text: `select d.consumer, d.state, count(*) as letters from ops.dead_letter as d where ${conditionOf(filter, of)} group by d.consumer, d.state order by d.consumer, d.state`,
          values: of.values,
        },
        options,
      )
      return rows.map((row) => ({ consumer: text(row, 'consumer'), state: stateOf(row), letters: Number(row['letters']) }))
    },
    discard: async ({ filter, reason, limit, actor }, options) => {
      const of = parameters(limit, reason, actor, JSON.stringify({ filter, reason }))
      const { rows } = await db.query(
        {
          text: `with chosen as materialized (select d.id from ops.dead_letter as d where ${can('discard')} and ${conditionOf(filter, of)} order by d.id limit $1::integer for no key update)
  , ended as (update ops.dead_letter as d set state = ${nextStateOf('discard', 'd.state')}, reason = $2, ended_at = clock_timestamp() from chosen where d.id = chosen.id returning d.id)
  , audited as (insert into ops.audit (actor, action, subject, details)
    select $3, 'dead-letter.discard', ${SUBJECT}, $4::jsonb || jsonb_build_object('letters', count(*)) from ended having count(*) > 0)
  select count(*) as letters from ended`,
          values: of.values,
        },
        options,
      )
      return Number(rows[0]?.['letters'])
    },
    replace: async ({ id, eventId, actor }, options) => {
      const { rows } = await db.query({ text: REPLACE, values: [id, eventId, actor] }, options)
      return rows.length > 0
    },
  }
}

/** One letter is named; of several the audit says the first and the last. */
const SUBJECT = `case when count(*) = 1 then min(id)::text else concat(min(id), '–', max(id)) end`

const REPLACE = `with ended as (update ops.dead_letter as d set state = ${nextStateOf('replace', 'd.state')}, replaced_by = $2, ended_at = clock_timestamp()
    where d.id = $1::bigint and ${can('replace')} returning d.id, d.event_id)
  , audited as (insert into ops.audit (actor, action, subject, details) select $3, 'dead-letter.edit', id::text, jsonb_build_object('event', event_id, 'replaced_by', $2::text) from ended)
  select id from ended`

/** That the action can be, of letters `d`. */
export function can(action: LetterAction): string {
  return `d.state in (${statesFor(action)
    .map((state) => `'${state}'`)
    .join(', ')})`
}
