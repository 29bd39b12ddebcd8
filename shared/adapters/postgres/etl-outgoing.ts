/** Changed rows on their way to a job's topic: put into the outbox by the page's own statement, read from it, and deleted once Kafka has them. */
import { isOp, type Change } from '../../events/change.ts'
import { quoted } from '../../mappings/column-types.ts'
import type { PageWrite } from '../../ports/etl-store.ts'
import { HELD, LEASE_MS } from './etl-lease.ts'
import { iso, type Row, textOf } from './etl-run-columns.ts'

/**
 * Part of the statement that writes a page; nothing for a job without a topic. Versions are drawn in one go, above the last one and the clock. Whoever writes
 * holds the job's row until his commit, so a key's versions grow in the order of commits; the clock lifts them when the database was set back.
 */
export function outgoingPart({ dryRun, gone, job }: PageWrite, place: (value: unknown) => string): string {
  if (job.topic === undefined || dryRun) return ''
  const key = (alias: string) => job.key.map((name) => `${alias}.${quoted(name)}`).join(', ')
  const columns = Object.keys(job.columns)
    .map((name) => `c.${quoted(name)}`)
    .join(', ')
  const deletes =
    gone === null || job.deletes === 'ignore'
      ? ''
      : `
  union all
  select jsonb_build_array(${key('g')})::text, 'delete', (select ops.etl_image(r.*) from (select ${key('g')}) as r), null from gone as g`
  const table = place(`silver.${job.into}`)
  return `, outgoing as materialized (
  select jsonb_build_array(${key('c')})::text as key, case when c._is_new then 'insert' else 'update' end as op,
    null as before, (select ops.etl_image(r.*) from (select ${columns}) as r) as after from changed as c cross join lease${deletes})
, many as materialized (select count(*) as n from outgoing)
, drawn as (
  insert into ops.etl_version as v (table_name, version) select ${table}::text, (extract(epoch from clock_timestamp()) * 1000000)::bigint + n from many where n > 0
  on conflict (table_name) do update set version = greatest(v.version + (select n from many), excluded.version) returning v.version)
, sent as (
  insert into ops.etl_outbox (job, version, topic, table_name, key, op, before, after, occurred_at)
  select $1, d.version - m.n + row_number() over (), ${place(job.topic)}::text, ${table}, o.key, o.op, o.before, o.after, clock_timestamp()
  from outgoing as o cross join drawn as d cross join many as m)`
}

/** In the order of versions, the first whatever its size. Under the lease, which it renews: without it there is nothing. */
export const UNPUBLISHED = `with lease as (
  update ops.etl_job as j set leased_until = clock_timestamp() + interval '${LEASE_MS} milliseconds' ${HELD} returning j.job)
select version, topic, table_name, key, op, before, after, ${iso('occurred_at')} as occurred_at from (
  select o.*, sum(coalesce(octet_length(o.after), 0)) over (order by o.version) - coalesce(octet_length(o.after), 0) as bytes_before
  from (select o.* from ops.etl_outbox as o where o.job = $1 order by o.version limit $4) as o) as o cross join lease
where bytes_before < $5 order by version`

/** What was published was the lowest of the job. One row while the lease holds. */
export const PUBLISHED = `with lease as (
  update ops.etl_job as j set leased_until = clock_timestamp() + interval '${LEASE_MS} milliseconds' ${HELD} returning j.job)
, gone as (delete from ops.etl_outbox as o using lease where o.job = $1 and o.version <= $4)
select job from lease`

export function changeOf(row: Row): Change {
  const op = row['op']
  return {
    version: Number(row['version']),
    table: textOf(row, 'table_name') ?? '',
    topic: textOf(row, 'topic') ?? '',
    key: textOf(row, 'key') ?? '',
    // The table's own constraint holds the list.
    op: isOp(op) ? op : 'update',
    before: textOf(row, 'before'),
    after: textOf(row, 'after'),
    occurredAt: textOf(row, 'occurred_at') ?? '',
    traceparent: null,
  }
}
