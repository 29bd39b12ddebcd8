/** Redrives as rows of `ops.redrive_job`; which letters a job has taken stands with the letters. */
import { AfluenteError } from '../../engine/errors.ts'
import type { LetterFilter } from '../../ports/letters.ts'
import { type RedriveJob, type Redrives, redriveStates } from '../../ports/redrives.ts'
import { bigintArray, textArray } from './binary-arrays.ts'
import type { Db } from './db.ts'
import { FENCE, fenced } from './fenced.ts'
import { fingerprintOf, letterOf, nextStateOf, text, textOrNull, time, WHOLE } from './letter-columns.ts'
import { conditionOf, parameters } from './letter-filter.ts'
import { can, LETTER_BYTES } from './letters.ts'
import { storable } from './storable-text.ts'

const JOB = `j.id, j.consumer, j.filter, j.state, j.total, j.done, j.accepted, j.duplicate, j.late, j.failed, j.problem, j.actor, ${['created_at', 'updated_at', 'finished_at'].map((column) => time(column, 'j')).join(', ')}`

/** Nothing is counted when nothing changed: the same settlement sent twice, since its first answer was lost, is one. */
const SETTLE = `with fence as materialized (${FENCE})
, landed as (update ops.dead_letter as d set state = ${nextStateOf('land', 'd.state')}, ended_at = clock_timestamp()
  from fence where d.id = any($6::bigint[]) and d.job = $5::bigint and ${can('land')} returning d.id)
, failed as (update ops.dead_letter as d set state = ${nextStateOf('fail', 'd.state')}, attempts = d.attempts + 1, last_seen = clock_timestamp(),
    table_name = f.table_name, error_class = f.error_class, message = f.message, fingerprint = f.fingerprint
  from fence, unnest($7::bigint[], $8::text[], $9::text[], $10::text[], $11::text[]) as f(id, table_name, error_class, message, fingerprint)
  where d.id = f.id and d.job = $5::bigint and ${can('fail')} returning d.id)
, changed as materialized (select from landed union all select from failed)
, settled as (update ops.consumer_progress as p set consumed = p.consumed + $15, dead = p.dead + $15, updated_at = clock_timestamp()
  from fence where p.consumer = $1 and p.topic = $2 and p."partition" = $3 and exists (select from changed))
, counted as (update ops.redrive_job as j set done = j.done + $12 + $13 + $14 + $15, accepted = j.accepted + $12, duplicate = j.duplicate + $13, late = j.late + $14, failed = j.failed + $15,
    problem = null, updated_at = clock_timestamp()
  from fence where j.id = $5::bigint and exists (select from changed))
select exists (select from fence) as held`

const CANCEL = `with job as (update ops.redrive_job set state = 'cancelled', problem = null, updated_at = clock_timestamp(), finished_at = clock_timestamp() where id = $1::bigint and state = 'running' returning id, consumer)
, released as (update ops.dead_letter as d set state = ${nextStateOf('release', 'd.state')} from job where d.job = job.id and ${can('release')})
, audited as (insert into ops.audit (actor, action, subject, details) select $2, 'redrive.cancel', id::text, jsonb_build_object('consumer', consumer) from job)
select id from job`

export function postgresRedrives({ db }: { readonly db: Db }): Redrives {
  return {
    start: async ({ filter, consumers, actor }, options) => {
      const of = parameters(JSON.stringify(filter), actor, [...consumers])
      const { rows } = await db.query(
        {
          text: `with found as materialized (select d.consumer, count(*) as total, min(d.id) - 1 as position, max(d.id) as up_to from ops.dead_letter as d
    where ${can('redrive')} and d.consumer = any($3::text[]) and ${conditionOf(filter, of)} group by d.consumer)
  , j as (insert into ops.redrive_job (consumer, filter, "position", up_to, total, actor) select consumer, $1::jsonb, position, up_to, total, $2 from found order by consumer returning *)
  , audited as (insert into ops.audit (actor, action, subject, details)
    select $2, 'dead-letter.redrive', j.consumer, jsonb_build_object('job', j.id, 'filter', j.filter, 'letters', j.total) from j)
  select ${JOB} from j order by j.id`,
          values: of.values,
        },
        options,
      )
      return rows.map(jobOf)
    },
    running: async (consumer, options) => {
      const { rows } = await db.query(
        {
          name: 'redrives-running',
          text: `select ${JOB} from ops.redrive_job as j where j.consumer = $1 and j.state = 'running' order by j.id`,
          values: [consumer],
        },
        options,
      )
      return rows.map(jobOf)
    },
    list: async (limit, options) => {
      const { rows } = await db.query({ text: `select ${JOB} from ops.redrive_job as j order by j.id desc limit $1`, values: [limit] }, options)
      return rows.map(jobOf)
    },
    find: async (id, options) => {
      const { rows } = await db.query({ text: `select ${JOB} from ops.redrive_job as j where j.id = $1::bigint`, values: [id] }, options)
      return rows[0] === undefined ? null : jobOf(rows[0])
    },
    take: async (job, after, limit, options) => {
      const of = parameters(job.id, after, limit, LETTER_BYTES)
      const { rows } = await db.query(
        {
          text: `with job as (update ops.redrive_job set "position" = greatest("position", coalesce($2::bigint, "position")) where id = $1::bigint and state = 'running' returning id, "position", up_to, consumer)
  , candidates as materialized (select d.id, coalesce(octet_length(d.payload), 0) as bytes from job, ops.dead_letter as d
    where d.id > job."position" and d.id <= job.up_to and d.consumer = job.consumer and d.state in ('open', 'redriven')
      and (${can('redrive')} and d.job is distinct from job.id or d.state = 'redriven' and d.job = job.id) and ${conditionOf(filterOfJob(job), of)}
    order by d.id limit $3::integer for no key update of d)
  , sized as (select id, sum(bytes) over (order by id) - bytes as before from candidates)
  , d as (update ops.dead_letter as d set state = ${nextStateOf('redrive', 'd.state')}, job = $1::bigint from sized where sized.id = d.id and sized.before < $4::bigint returning d.*)
  select ${WHOLE} from d order by d.id`,
          values: of.values,
        },
        options,
      )
      return rows.map(letterOf)
    },
    settle: async ({ job, fence, landed, failed, report }, options) => {
      const { consumer, topic, partition, epoch } = fence
      const failures = [
        failed.map(({ table }) => storable(table)),
        failed.map(({ code }) => storable(code)),
        failed.map(({ message }) => storable(message)),
        failed.map((failure) => fingerprintOf(failure, consumer)),
      ].map(textArray)
      const counts = [report.accepted, report.duplicate, report.late, failed.length]
      const values = [consumer, topic, partition, epoch, job, bigintArray(landed), bigintArray(failed.map(({ id }) => id)), ...failures, ...counts]
      const { rows } = await db.query({ name: 'redrives-settle', text: SETTLE, values }, options)
      if (rows[0]?.['held'] !== 't') throw fenced(fence)
    },
    hold: async (id, problem, options) => {
      await db.query(
        {
          text: `update ops.redrive_job set problem = $2, updated_at = clock_timestamp() where id = $1::bigint and state = 'running'`,
          values: [id, storable(problem)],
        },
        options,
      )
    },
    finish: async (id, options) => {
      await db.query(
        {
          text: `update ops.redrive_job set state = 'done', problem = null, updated_at = clock_timestamp(), finished_at = clock_timestamp() where id = $1::bigint and state = 'running'`,
          values: [id],
        },
        options,
      )
    },
    cancel: async ({ id, actor }, options) => {
      const { rows } = await db.query({ text: CANCEL, values: [id, actor] }, options)
      return rows.length > 0
    },
  }
}

/** Under way a letter is no longer in the state that the filter may have named. */
function filterOfJob(job: RedriveJob): LetterFilter {
  const { state: _, ...filter } = job.filter
  return filter
}

function jobOf(row: Readonly<Record<string, unknown>>): RedriveJob {
  const count = (name: string) => Number(row[name])
  const state = redriveStates.find((one) => one === row['state'])
  if (state === undefined)
    throw new AfluenteError('misconfigured', 'unknown-state', `ops.redrive_job has a state that this version does not know: ${text(row, 'state')}.`)
  return {
    id: text(row, 'id'),
    consumer: text(row, 'consumer'),
    filter: filterOf(JSON.parse(text(row, 'filter'))),
    state,
    total: count('total'),
    done: count('done'),
    accepted: count('accepted'),
    duplicate: count('duplicate'),
    late: count('late'),
    failed: count('failed'),
    problem: textOrNull(row, 'problem'),
    actor: text(row, 'actor'),
    createdAt: text(row, 'created_at'),
    updatedAt: text(row, 'updated_at'),
    finishedAt: textOrNull(row, 'finished_at'),
  }
}

const FILTER_TEXTS = ['consumer', 'table', 'fingerprint', 'since', 'until'] as const

/** What `start` wrote. A member that is not understood must not widen the filter. */
function filterOf(stored: unknown): LetterFilter {
  const members = Object.entries(typeof stored === 'object' && stored !== null ? stored : { nothing: stored })
  const unknown = members.filter(([name]) => name !== 'ids' && name !== 'state' && !FILTER_TEXTS.some((one) => one === name))
  if (unknown.length > 0)
    throw new AfluenteError(
      'misconfigured',
      'unknown-filter',
      `A redrive has a filter that this version does not know: ${unknown.map(([name]) => name).join(', ')}. Cancel it, and ask for it again.`,
    )
  const values = new Map<string, unknown>(members)
  const ids = values.get('ids')
  const texts = FILTER_TEXTS.flatMap((name) => {
    const value = values.get(name)
    return typeof value === 'string' ? [[name, value] as const] : []
  })
  return { ...(Array.isArray(ids) ? { ids: ids.map(String) } : {}), ...Object.fromEntries(texts) }
}
