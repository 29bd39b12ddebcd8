/** The one statement that writes a page: lease, rows, what has gone, dead letters, counts and position. */
import { quoted } from '../../mappings/column-types.ts'
import { silverType } from '../../mappings/column-types.ts'
import type { PageWrite } from '../../ports/etl-store.ts'
import { landed } from './etl-columns.ts'
import { HELD, LEASE_MS } from './etl-lease.ts'
import { outgoingPart } from './etl-outgoing.ts'
import { parameterOf } from './etl-packed.ts'
import { RUN_COLUMNS } from './etl-run-columns.ts'
import { textArray } from './binary-arrays.ts'
import { fingerprintOf } from './letter-columns.ts'
import { storable } from './storable-text.ts'

export interface Statement {
  readonly text: string
  readonly values: readonly unknown[]
}

export function writeStatement(write: PageWrite): Statement {
  const { caughtUpTo, dryRun, job, lease, page, phase, position, repairs } = write
  const values: unknown[] = [lease.job, lease.epoch, lease.run]
  const place = (value: unknown) => `$${values.push(value)}`
  const names = Object.keys(job.columns)
  const table = `silver.${quoted(job.into)}`
  const key = job.key.map(quoted)
  const list = names.map(quoted)
  const other = list.filter((name) => !key.includes(name))
  const same = (a: string, b: string) => key.map((name) => `${a}.${name} = ${b}.${name}`).join(' and ')
  // In the select list arrays are unnested side by side; in FROM each of them would be stored first.
  const arrays = names.map((name) => {
    const packed = page.columns[name]
    return `unnest(${packed === undefined ? 'null::text[]' : `${place(parameterOf(packed))}::${packed.type}[]`}) as ${quoted(name)}`
  })
  const selects = Object.entries(job.columns).map(([name, spec]) => `${landed(quoted(name), spec, page.columns[name]?.type ?? 'text')} as ${quoted(name)}`)
  const rejectedKeys = job.key.map((_, nth) => page.rejected.map(({ key: texts }) => texts[nth] ?? null))
  const lettersPart = letters(write, place)
  const found = `case when count(*) filter (where isfinite(${quoted(job.cursor)})) > 0 then max(${quoted(job.cursor)}) filter (where isfinite(${quoted(job.cursor)})) end`
  const caught = caughtUpTo === null ? 'false' : `${quoted(job.cursor)} <= ${place(caughtUpTo)}::timestamptz`
  const rejects = page.rejected.length

  const text = `with incoming as materialized (
  select ${selects.join(', ')}, u._hash
  from (select ${arrays.join(', ')}, unnest(${place(parameterOf(page.hashes))}::bigint[]) as _hash) as u)
, lease as materialized (
  update ops.etl_job as j set leased_until = clock_timestamp() + interval '${LEASE_MS} milliseconds',
    seen_until = ${dryRun ? 'j.seen_until' : `greatest(j.seen_until, (select ${found} from incoming))`}
  ${HELD} returning j.job)
, changed as materialized (
  select i.*, s.${key[0]} is null or s._deleted_at is not null as _is_new
  from incoming as i left join ${table} as s on ${same('s', 'i')}
  where s.${key[0]} is null or s._deleted_at is not null or s._hash is distinct from i._hash)
${
  dryRun
    ? ''
    : `, written as (
  insert into ${table} (${list.join(', ')}, _hash, _synced_at) select ${list.map((name) => `c.${name}`).join(', ')}, c._hash, clock_timestamp() from changed as c cross join lease
  on conflict (${key.join(', ')}) do update set ${[...other, '_hash', '_synced_at'].map((name) => `${name} = excluded.${name}`).join(', ')}, _deleted_at = null)
`
}${gonePart(write, place, rejectedKeys)}
${outgoingPart(write, place)}
${lettersPart}
, tally as materialized (
  select count(*) filter (where _is_new) as inserted, count(*) filter (where not _is_new) as updated, count(*) filter (where ${caught}) as caught,
    (select count(*) from gone) as deleted, (select count(*) from incoming) as good
  from changed)
, counted as (
  update ops.etl_control as c set rows_inserted = c.rows_inserted + t.inserted, rows_updated = c.rows_updated + t.updated, rows_deleted = c.rows_deleted + t.deleted,
    rows_unchanged = c.rows_unchanged + ${repairs ? '0' : 't.good - t.inserted - t.updated'}, rows_rejected = c.rows_rejected + ${rejects},
    rows_extracted = c.rows_extracted + ${repairs ? 't.inserted + t.updated' : 't.good'} + ${rejects}, error_message = null, error_traceback = null
  from lease, tally as t where c.execution_id = $3 returning c.*)
, point as (
  update ops.etl_checkpoint as p set phase = ${place(phase)}, position = coalesce(${place(position)}::text[], p.position), pages = p.pages + 1, seen = p.seen + ${page.rows},
    caught_by_overlap = p.caught_by_overlap + ${repairs ? '0' : 't.caught'}, caught_by_reconcile = p.caught_by_reconcile + ${repairs ? 't.caught + t.deleted' : '0'},
    unknown_words = p.unknown_words + ${page.unknownWords}, retry_at = null, updated_at = clock_timestamp()
  from lease, tally as t where p.execution_id = $3 returning p.*)
select ${RUN_COLUMNS} from counted as c cross join point as p`
  return { text, values }
}

/** What silver has in the page's range of keys, and the page has not. A tombstone keeps its key alone: what was deleted is not kept. */
function gonePart({ dryRun, gone, job }: PageWrite, place: (value: unknown) => string, rejectedKeys: readonly (readonly (string | null)[])[]): string {
  if (gone === null || job.deletes === 'ignore') return `, gone as (select from lease where false)`
  const table = `silver.${quoted(job.into)}`
  const key = job.key.map(quoted)
  const typeOf = (name: string) => silverType(job.columns[name]?.type ?? 'text')
  const end = (texts: readonly string[]) => texts.map((text, nth) => `${place(text)}::${typeOf(job.key[nth] ?? '')}`).join(', ')
  const columns = key.map((name) => `s.${name}`).join(', ')
  const range = [
    ...(gone.after === null ? [] : [`(${columns}) > (${end(gone.after)})`]),
    ...(gone.upTo === null ? [] : [`(${columns}) <= (${end(gone.upTo)})`]),
  ]
  // Hashed, whatever the planner thinks of the sizes: a join might compare each with each.
  const known = `(${columns}) not in (select ${key.map((name) => `i.${name}`).join(', ')} from incoming as i)`
  const rejected =
    (rejectedKeys[0]?.length ?? 0) === 0
      ? ''
      : ` and not exists (select from unnest(${rejectedKeys.map((texts) => `${place(textArray(texts))}::text[]`).join(', ')}) as r(${key.join(', ')}) where ${key.map((name) => `r.${name} = s.${name}::text`).join(' and ')})`
  const where = `where ${[...range, 's._deleted_at is null', known].join(' and ')}${rejected}`
  if (dryRun) return `, gone as (select from ${table} as s cross join lease ${where})`
  if (job.deletes === 'remove') return `, gone as (delete from ${table} as s using lease ${where} returning ${columns})`
  const emptied = Object.keys(job.columns)
    .filter((name) => !job.key.includes(name))
    .map((name) => `${quoted(name)} = null`)
  return `, gone as (update ${table} as s set ${[...emptied, '_hash = null', '_deleted_at = clock_timestamp()', '_synced_at = clock_timestamp()'].join(', ')} from lease ${where} returning ${columns})`
}

/** Rows that are rejected wait as letters; of a row that is good again the letter is resolved. */
function letters({ dryRun, job, lease, page }: PageWrite, place: (value: unknown) => string): string {
  if (dryRun) return ''
  const consumer = `etl.${lease.job}`
  const name = `silver.${job.into}`
  const id = `${place(`${lease.job}:`)}::text || ${job.key.map((column) => `i.${quoted(column)}::text`).join(` || ',' || `)}`
  const of = place(consumer)
  const settled = `, settled as (
  update ops.dead_letter as d set state = 'resolved', ended_at = clock_timestamp(), last_seen = clock_timestamp() from lease
  where d.consumer = ${of} and d.topic = ${of} and d.state = 'open' and d.event_id in (select ${id} from incoming as i))`
  if (page.rejected.length === 0) return settled
  const messages = page.rejected.map(({ column, reason }) => `${column}: ${reason}.`)
  const columns = [
    page.rejected.map(({ key }) => `${lease.job}:${key.join(',')}`),
    page.rejected.map(({ key }) => JSON.stringify(key)),
    page.rejected.map(({ row }) => storable(`{"op":"read","before":null,"after":${row}}`)),
    page.rejected.map(({ code }) => code),
    messages,
    page.rejected.map(({ code }, at) => fingerprintOf({ table: name, code, message: messages[at] ?? '' }, consumer)),
  ].map((texts) => `${place(textArray(texts))}::text[]`)
  return `${settled}
, buried as (
  insert into ops.dead_letter as d (consumer, topic, "partition", "offset", event_id, table_name, key, payload, error_class, message, fingerprint)
  select ${of}, ${of}, 0, 0, r.event_id, ${place(name)}, r.key, r.payload, r.code, r.message, r.fingerprint
  from unnest(${columns.join(', ')}) as r(event_id, key, payload, code, message, fingerprint) cross join lease
  on conflict (consumer, topic, "partition", "offset", hashtextextended(event_id, 0)) do update set attempts = d.attempts + 1, last_seen = clock_timestamp(),
    payload = excluded.payload, error_class = excluded.error_class, message = excluded.message, fingerprint = excluded.fingerprint,
    state = case when d.state = 'discarded' then d.state else 'open' end, ended_at = case when d.state = 'discarded' then d.ended_at end)`
}
