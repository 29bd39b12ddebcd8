/** Runs of ETL jobs in `ops.etl_control` and `ops.etl_checkpoint`, for people and schedules. */
import { AfluenteError, isAfluenteError } from '../../engine/errors.ts'
import type { Cancellable } from '../../ports/cancellable.ts'
import type { EtlControl, EtlJobState, EtlRequest, EtlRun, Started } from '../../ports/etl-control.ts'
import { isMoment } from '../../steps/moment.ts'
import type { Db, Query } from './db.ts'
import { iso, type Row, RUN_COLUMNS, runOf, textOf } from './etl-run-columns.ts'

const RUNS = `select ${RUN_COLUMNS} from ops.etl_control as c left join ops.etl_checkpoint as p on p.execution_id = c.execution_id`

/** The index on runs that are going lets one in. */
const START = `with made as (
  insert into ops.etl_control (execution_id, job, load_type, triggered_by, watermark_start, code_version)
  values ($1, $2, $3, $4, ops.get_last_successful_watermark($2), $8) on conflict do nothing
  returning execution_id)
, asked as (insert into ops.etl_checkpoint (execution_id, span_from, span_to, dry_run, accept_deletes)
  select execution_id, $5::timestamptz, $6::timestamptz, $7::boolean, $9::boolean from made)
select exists (select from made) as made`

const CANCEL = `with asked as (
  update ops.etl_checkpoint as p set cancel_asked = true
  from ops.etl_control as c where p.execution_id = $1 and c.execution_id = $1 and c.status = 'running' and not p.cancel_asked
  returning c.job)
insert into ops.audit (actor, action, subject, details) select $2, 'etl.cancel', job, jsonb_build_object('run', $1::uuid) from asked`

const LIST = `${RUNS}
where ($1::text is null or c.job = $1)
  and ($2::uuid is null or (c.started_at, c.execution_id) < (select b.started_at, b.execution_id from ops.etl_control as b where b.execution_id = $2))
order by c.started_at desc, c.execution_id desc limit $3`

const GOING = `${RUNS} where c.status = 'running' order by c.started_at desc`
const FIND = `${RUNS} where c.execution_id = $1`
const GOING_OF = `${RUNS} where c.status = 'running' and c.job = $1`

/** The latest run of each kind, by the index on (job, started_at). */
const STATE_RUNS = `select w.what, ${RUN_COLUMNS}
from unnest($1::text[]) as j(job)
cross join (values ('last'), ('good'), ('reconcile'), ('compared')) as w(what)
cross join lateral (
  select * from ops.etl_control as r
  where r.job = j.job and r.status <> 'running'
    and (w.what = 'last' or ((r.status = 'success' or (w.what = 'compared' and r.status = 'failed')) and not exists (select from ops.etl_checkpoint as d where d.execution_id = r.execution_id and d.dry_run)))
    and (w.what not in ('reconcile', 'compared') or r.load_type = 'reconcile')
  order by r.started_at desc limit 1) as c
left join ops.etl_checkpoint as p on p.execution_id = c.execution_id
union all
select 'running', ${RUN_COLUMNS} from ops.etl_control as c left join ops.etl_checkpoint as p on p.execution_id = c.execution_id
where c.status = 'running' and c.job = any ($1::text[])`

const STATES = `select j.job, ${iso('ops.get_last_successful_watermark(j.job)')} as watermark, k.definition_hash, ${iso('k.proven_until')} as proven_until,
  case when k.leased_until > clock_timestamp() then ${iso('k.leased_until')} end as leased_until
from unnest($1::text[]) with ordinality as j(job, nth) left join ops.etl_job as k on k.job = j.job order by j.nth`

const SET_WATERMARK = `with asked as (select $2::timestamptz as at)
, before as (select ops.get_last_successful_watermark($1) as at)
, done as (
  insert into ops.etl_job as j (job, watermark_set, watermark_set_at) select $1, at, clock_timestamp() from asked
  where at <= clock_timestamp() and not exists (select from ops.etl_control where job = $1 and status = 'running')
  on conflict (job) do update set watermark_set = excluded.watermark_set, watermark_set_at = excluded.watermark_set_at
  returning watermark_set as at)
, told as (insert into ops.audit (actor, action, subject, details)
  select $3, 'etl.watermark', $1, jsonb_build_object('before', ${iso('before.at')}, 'after', ${iso('done.at')}) from before, done)
select ${iso('before.at')} as before, ${iso('done.at')} as after, asked.at > clock_timestamp() as future from asked, before left join done on true`

const UUID = /^[0-9a-f]{8}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{12}$/i
/** A run that is in the way may end between two statements. */
const STARTS = 5

export function postgresEtlControl({ db }: { readonly db: Db }): EtlControl {
  const rowsOf = async (query: Query, options: Cancellable): Promise<readonly Row[]> => (await db.query(query, options)).rows
  const runs = async (query: Query, options: Cancellable): Promise<readonly EtlRun[]> => (await rowsOf(query, options)).map(runOf)
  const find = async (id: string, options: Cancellable): Promise<EtlRun | null> =>
    UUID.test(id) ? ((await runs({ text: FIND, values: [id] }, options))[0] ?? null) : null
  const goingOf = async (job: string, options: Cancellable) => (await runs({ text: GOING_OF, values: [job] }, options))[0]

  const start = async (
    { acceptDeletes = false, codeVersion, dryRun, from, id, job, loadType, to, triggeredBy }: EtlRequest,
    options: Cancellable,
  ): Promise<Started> => {
    for (let attempt = 1; attempt <= STARTS; attempt += 1) {
      const [made] = await rowsOf({ text: START, values: [id, job, loadType, triggeredBy, from, to, dryRun, codeVersion, acceptDeletes] }, options)
      const run = await find(id, options)
      if (run !== null) return { status: made?.['made'] === 't' ? 'started' : 'repeated', run }
      const going = await goingOf(job, options)
      if (going !== undefined) return { status: 'busy', run: going }
    }
    throw new AfluenteError('unavailable', 'etl-start', `Runs of ${job} begin and end so fast that none could be started. Try again.`)
  }

  return {
    start,
    cancel: async ({ actor, id }, options) => {
      if (!UUID.test(id)) return null
      await db.query({ text: CANCEL, values: [id, actor] }, options)
      return find(id, options)
    },
    find,
    list: async ({ before, job, limit }, options) => (before !== null && !UUID.test(before) ? [] : runs({ text: LIST, values: [job, before, limit] }, options)),
    running: (options) => runs({ text: GOING, values: [] }, options),
    states: async (jobs, options) => {
      const found = await rowsOf({ text: STATE_RUNS, values: [jobs] }, options)
      const runNamed = (what: string, job: string) => {
        const row = found.find((one) => one['what'] === what && one['job'] === job)
        return row === undefined ? null : runOf(row)
      }
      const rows = await rowsOf({ text: STATES, values: [jobs] }, options)
      return rows.map((row): EtlJobState => {
        const job = textOf(row, 'job') ?? ''
        return {
          job,
          watermark: textOf(row, 'watermark'),
          running: runNamed('running', job),
          last: runNamed('last', job),
          lastSuccess: runNamed('good', job),
          lastReconcile: runNamed('reconcile', job),
          lastCompared: runNamed('compared', job),
          definitionHash: textOf(row, 'definition_hash'),
          leasedUntil: textOf(row, 'leased_until'),
          provenUntil: textOf(row, 'proven_until'),
        }
      })
    },
    setWatermark: async ({ actor, job, to }, options) => {
      const going = await goingOf(job, options)
      if (going !== undefined) return { status: 'busy', run: going }
      const malformed = { status: 'refused', reason: `'${to.slice(0, 40)}' is no time with a zone; write one like 2026-11-29T03:00:00Z.` } as const
      if (!isMoment(to)) return malformed
      try {
        const [row] = await rowsOf({ text: SET_WATERMARK, values: [job, to, actor] }, options)
        const after = row === undefined ? null : textOf(row, 'after')
        if (row !== undefined && after !== null) return { status: 'set', before: textOf(row, 'before'), after }
        const meanwhile = await goingOf(job, options)
        if (row?.['future'] !== 't' && meanwhile !== undefined) return { status: 'busy', run: meanwhile }
        return { status: 'refused', reason: `${to} lies in the future: rows that are written until then would be passed over.` }
      } catch (error) {
        // A day that no month has.
        if (isAfluenteError(error) && error.code.startsWith('22')) return malformed
        throw error
      }
    },
  }
}
