/** Replays as rows of `ops.replay_job`, and the shadows of `ops.shadow`. The events come from bronze, by the order of their ids: within a table that is the order of their versions. */
import { isAfluenteError } from '../../engine/errors.ts'
import type { ReplayRange, Replays } from '../../ports/replays.ts'
import type { Db } from './db.ts'
import { FENCE, fenced } from './fenced.ts'
import { type Parameters, parameters } from './letter-filter.ts'
import { LETTER_BYTES } from './letters.ts'
import { EVENT, eventOf, JOB, jobOf, SHADOW, shadowEntryOf } from './replay-columns.ts'
import { storable } from './storable-text.ts'

/** What the decoder could not read when it came has no op: such a record is a dead letter, and redriven as one. */
const WHOLE = `e.op in ('insert', 'update', 'delete', 'read', 'truncate') and e.version is not null and e.kafka_offset is not null`

const UNIQUE_VIOLATION = '23505'

/** That a job keeps; all of them are counted. */
const MOST_FAILURES = 20

/**
 * The last job that was asked for the shadow is over. Asked that way round on purpose: who waited for the row's lock sees the row as it is then, with its
 * new job, and the jobs as they were when he began; so he finds no job that is over, and does nothing.
 */
const IDLE = `exists (select from ops.replay_job as r where r.id = s.job and r.state <> 'running')`

const SETTLE = `with fence as materialized (${FENCE})
, moved as materialized (update ops.replay_job as j set "position" = $6, done = j.done + $7 + $8 + $9 + $10, accepted = j.accepted + $7, duplicate = j.duplicate + $8, late = j.late + $9, failed = j.failed + $10,
    report = case when $10 = 0 then j.report else jsonb_set(j.report, '{failures}', (select coalesce(jsonb_agg(f), '[]') from (select f from jsonb_array_elements(coalesce(j.report -> 'failures', '[]') || $11::jsonb) as f limit ${MOST_FAILURES}) as f)) end,
    problem = null, updated_at = clock_timestamp()
  from fence where j.id = $5::bigint and j."position" < $6 returning j.id)
, settled as (update ops.consumer_progress as p set consumed = p.consumed + $12, dead = p.dead + $12, updated_at = clock_timestamp()
  from fence where p.consumer = $1 and p.topic = $2 and p."partition" = $3 and exists (select from moved))
select exists (select from fence) as held`

const TELL = `with fence as materialized (${FENCE})
, told as (update ops.replay_job as j set phase = $6, steps = $7, updated_at = clock_timestamp() from fence where j.id = $5::bigint and j.state = 'running' returning j.id)
select exists (select from fence) as held, exists (select from told) as running`

export function postgresReplays({ db }: { readonly db: Db }): Replays {
  const jobs = async (where: string, values: readonly unknown[], options: { readonly signal: AbortSignal }) => {
    const { rows } = await db.query({ text: `select ${JOB} from ops.replay_job as j ${where}`, values }, options)
    return rows.map(jobOf)
  }
  return {
    count: async (range, options) => {
      const of = parameters()
      const { rows } = await db.query({ text: `select count(*) as total from bronze.events as e where ${conditionOf(range, of)}`, values: of.values }, options)
      return Number(rows[0]?.['total'])
    },
    ends: async (range, options) => {
      const of = parameters()
      const where = conditionOf(range, of)
      const { rows } = await db.query(
        {
          text: `(select ${EVENT} from bronze.events as e where ${where} and e.op <> 'truncate' order by e.event_id limit 1)
  union all (select ${EVENT} from bronze.events as e where ${where} and e.op <> 'truncate' order by e.event_id desc limit 1)`,
          values: of.values,
        },
        options,
      )
      return rows.map(eventOf)
    },
    start: async ({ kind, consumer, range, actor }, options) => {
      const of = parameters(kind, consumer, range.table, range.key, range.since, range.until, actor)
      const query = {
        text: `with found as materialized (select count(*) as total, min(e.event_id) as first, max(e.event_id) as last from bronze.events as e where ${conditionOf(range, of)})
  , j as (insert into ops.replay_job as j (kind, consumer, source_table, key, since, until, actor, total, "position", up_to)
    select $1, $2, $3, $4, $5::timestamptz, $6::timestamptz, $7, total, coalesce(left(first, -1), ''), coalesce(last, '') from found
    where $1 <> 'shadow' or not exists (select from ops.shadow as s where s.consumer = $2 and s.source_table = $3) returning *)
  , shadow as (insert into ops.shadow (consumer, source_table, job) select consumer, source_table, id from j where kind = 'shadow')
  , audited as (insert into ops.audit (actor, action, subject, details)
    select $7, case kind when 'shadow' then 'shadow.make' else 'replay.start' end, consumer,
      jsonb_strip_nulls(jsonb_build_object('job', id, 'table', source_table, 'one_key', key is not null, 'since', since, 'until', until, 'events', total)) from j)
  select ${JOB} from j`,
        values: of.values,
      }
      try {
        const { rows } = await db.query(query, options)
        return rows[0] === undefined ? null : jobOf(rows[0])
      } catch (error) {
        // Somebody began one at the same moment.
        if (isAfluenteError(error) && error.code === UNIQUE_VIOLATION) return null
        throw error
      }
    },
    swap: async ({ consumer, table, actor }, options) => {
      const { rows } = await db.query(
        {
          text: `with j as (insert into ops.replay_job as j (kind, consumer, source_table, actor, phase)
    select 'swap', s.consumer, s.source_table, $3, 'following' from ops.shadow as s where s.consumer = $1 and s.source_table = $2 and s.state in ('ready', 'former')
      and ${IDLE} for update of s returning *)
  , marked as (update ops.shadow as s set job = j.id, updated_at = clock_timestamp() from j where s.consumer = j.consumer and s.source_table = j.source_table)
  , audited as (insert into ops.audit (actor, action, subject, details) select $3, 'shadow.swap', consumer, jsonb_build_object('job', id, 'table', source_table) from j)
  select ${JOB} from j`,
          values: [consumer, table, actor],
        },
        options,
      )
      return rows[0] === undefined ? null : jobOf(rows[0])
    },
    running: (consumer, options) => jobs(`where j.consumer = $1 and j.state = 'running' order by j.id`, [consumer], options),
    list: (limit, options) => jobs('order by j.id desc limit $1', [limit], options),
    find: async (id, options) => (await jobs('where j.id = $1::bigint', [id], options))[0] ?? null,
    page: async (job, limit, options) => {
      const of = parameters(job.id, limit, LETTER_BYTES)
      const { rows } = await db.query(
        {
          text: `with job as materialized (select "position", up_to from ops.replay_job where id = $1::bigint and state = 'running')
  , page as materialized (select e.event_id, coalesce(pg_column_size(e.before), 0) + coalesce(pg_column_size(e.after), 0) as bytes from bronze.events as e
    where e.event_id > (select "position" from job) and e.event_id <= (select up_to from job) and ${conditionOf(job, of)} order by e.event_id limit $2::integer)
  , sized as (select event_id, sum(bytes) over (order by event_id) - bytes as before from page)
  , chosen as materialized (select e.* from sized join bronze.events as e using (event_id) where sized.before < $3::bigint)
  , deleted as materialized (select k.key, (select max(d.version) from bronze.events as d where d.key = k.key and d.source_table = k.source_table and d.op = 'delete') as version
    from (select distinct source_table, key from chosen) as k)
  select ${EVENT}, coalesce(e.version < deleted.version, false) as outlived from chosen as e left join deleted on deleted.key = e.key order by e.event_id`,
          values: of.values,
        },
        options,
      )
      const events = rows.map(eventOf)
      const outlived = new Set(rows.flatMap((row, at) => (row['outlived'] === 't' ? [events[at]?.eventId ?? ''] : [])))
      return { events, outlived, position: events.at(-1)?.eventId ?? '' }
    },
    settle: async ({ job, fence, position, report, failures, countsDead }, options) => {
      const { consumer, topic, partition, epoch } = fence
      const { rows } = await db.query(
        {
          name: 'replays-settle',
          text: SETTLE,
          values: [
            consumer,
            topic,
            partition,
            epoch,
            job,
            position,
            report.accepted,
            report.duplicate,
            report.late,
            failures.length,
            JSON.stringify(failures.map(({ eventId, code, message }) => ({ eventId: storable(eventId), code: storable(code), message: storable(message) }))),
            countsDead ? failures.length : 0,
          ],
        },
        options,
      )
      if (rows[0]?.['held'] !== 't') throw fenced(fence)
    },
    tell: async ({ job, fence, phase, steps }, options) => {
      const { consumer, topic, partition, epoch } = fence
      const { rows } = await db.query({ text: TELL, values: [consumer, topic, partition, epoch, job, phase, steps] }, options)
      if (rows[0]?.['held'] !== 't') throw fenced(fence)
      return rows[0]['running'] === 't'
    },
    hold: async (id, problem, options) => {
      await db.query(
        {
          text: `update ops.replay_job set problem = $2, updated_at = clock_timestamp() where id = $1::bigint and state = 'running'`,
          values: [id, storable(problem)],
        },
        options,
      )
    },
    finish: async ({ job, report }, options) => {
      await db.query(
        {
          text: `with j as (update ops.replay_job set state = 'done', problem = null, report = report || $2::jsonb, updated_at = clock_timestamp(), finished_at = clock_timestamp()
    where id = $1::bigint and state = 'running' returning id, kind, consumer, source_table)
  update ops.shadow as s set state = case j.kind when 'swap' then 'former' else 'ready' end, updated_at = clock_timestamp(),
    live = case j.kind when 'swap' then s.shadow else s.live end, shadow = case j.kind when 'swap' then s.live else s.shadow end
  from j where j.kind <> 'replay' and s.consumer = j.consumer and s.source_table = j.source_table`,
          values: [job.id, JSON.stringify(report)],
        },
        options,
      )
    },
    giveUp: async (id, problem, options) => {
      await db.query(
        {
          text: `update ops.replay_job set state = 'cancelled', problem = $2, updated_at = clock_timestamp(), finished_at = clock_timestamp() where id = $1::bigint and state = 'running'`,
          values: [id, storable(problem)],
        },
        options,
      )
    },
    cancel: async ({ id, actor }, options) => {
      const { rows } = await db.query(
        {
          text: `with j as (update ops.replay_job set state = 'cancelled', problem = null, updated_at = clock_timestamp(), finished_at = clock_timestamp()
    where id = $1::bigint and state = 'running' and phase <> 'switching' returning id, kind, consumer)
  , audited as (insert into ops.audit (actor, action, subject, details) select $2, 'replay.cancel', consumer, jsonb_build_object('job', id, 'kind', kind) from j)
  select id from j`,
          values: [id, actor],
        },
        options,
      )
      return rows.length > 0
    },
    shadows: async (options) => {
      const { rows } = await db.query({ text: `select ${SHADOW} from ops.shadow as s order by s.consumer, s.source_table`, values: [] }, options)
      return rows.map(shadowEntryOf)
    },
    made: async ({ consumer, table, live, shadow }, options) => {
      await db.query(
        {
          text: 'update ops.shadow set live = $3, shadow = $4, updated_at = clock_timestamp() where consumer = $1 and source_table = $2',
          values: [consumer, table, live, shadow],
        },
        options,
      )
    },
    forget: async ({ consumer, table, actor }, options) => {
      const { rows } = await db.query(
        {
          text: `with gone as (delete from ops.shadow as s where s.consumer = $1 and s.source_table = $2 and ${IDLE} returning s.*)
  , audited as (insert into ops.audit (actor, action, subject, details) select $3, 'shadow.drop', consumer, jsonb_build_object('table', source_table, 'shadow', shadow) from gone)
  select consumer from gone`,
          values: [consumer, table, actor],
        },
        options,
      )
      return rows.length > 0
    },
  }
}

function conditionOf({ key, since, table, until }: ReplayRange, { add }: Parameters): string {
  return [
    `e.source_table = ${add(table, 'text')}`,
    WHOLE,
    ...(key === null ? [] : [`e.key = ${add(key, 'text')}`]),
    ...(since === null ? [] : [`e.occurred_at >= ${add(since, 'timestamptz')}`]),
    ...(until === null ? [] : [`e.occurred_at < ${add(until, 'timestamptz')}`]),
  ].join(' and ')
}
