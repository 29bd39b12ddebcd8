/** Silver and the control tables of runs, under a job's lease. */
import { createHash } from 'node:crypto'
import { AfluenteError } from '../../engine/errors.ts'
import { quoted, silverType } from '../../mappings/column-types.ts'
import type { Cancellable } from '../../ports/cancellable.ts'
import type { EtlRun } from '../../ports/etl-control.ts'
import { type EtlLease, etlPhases, type EtlProgress, type EtlStore } from '../../ports/etl-store.ts'
import { bigintArray, textArray } from './binary-arrays.ts'
import type { Db } from './db.ts'
import { iso, numberOf, type Row, RUN_COLUMNS, runOf, textOf } from './etl-run-columns.ts'
import { HELD, LEASE_MS } from './etl-lease.ts'
import { changeOf, PUBLISHED, UNPUBLISHED } from './etl-outgoing.ts'
import { type Statement, writeStatement } from './etl-write-statement.ts'

const FIND = `select ${RUN_COLUMNS} from ops.etl_control as c left join ops.etl_checkpoint as p on p.execution_id = c.execution_id where c.execution_id = $1`

/** A lease that ran out without being let go is that of somebody who died: one attempt more. */
const TAKE = `with run as (select job from ops.etl_control where execution_id = $1 and status = 'running')
, before as (select k.execution_id, k.leased_until from ops.etl_job as k join run on run.job = k.job)
, held as (
  insert into ops.etl_job as j (job, owner, epoch, leased_until, execution_id)
  select job, $2, 1, clock_timestamp() + $3 * interval '1 millisecond', $1::uuid from run
  on conflict (job) do update set owner = excluded.owner, epoch = j.epoch + 1, leased_until = excluded.leased_until, execution_id = excluded.execution_id
  where j.leased_until <= clock_timestamp()
  returning j.*)
, again as (update ops.etl_control as c set attempt = c.attempt + 1 from held, before
  where c.execution_id = $1 and before.execution_id = $1 and before.leased_until > '-infinity')
select epoch, ${iso('noted_at')} as noted_at, noted_open, ${iso('proven_until')} as proven_until,
  exists (select from ops.etl_outbox as o where o.job = held.job) as unpublished from held`

const LEFT_MS = `select greatest(1, ceil(extract(epoch from leased_until - clock_timestamp()) * 1000)) as ms from ops.etl_job where execution_id = $1 and leased_until > clock_timestamp()`

const PROGRESS = `select phase, position, ${iso('read_from')} as read_from, ${iso('read_to')} as read_to, ${iso('proven')} as proven, ${iso('seen_before')} as seen_before, definition_hash
from ops.etl_checkpoint where execution_id = $1`

const BEGIN = `with lease as (
  update ops.etl_job as j set leased_until = clock_timestamp() + interval '${LEASE_MS} milliseconds', noted_at = $4::timestamptz, noted_open = $5::text[],
    proven_until = coalesce($6::timestamptz, j.proven_until)
  ${HELD} returning j.seen_until)
, typed as (update ops.etl_control as c set load_type = $8, watermark_start = case when c.watermark_start is not null then least(c.watermark_start, $11::timestamptz) end from lease where c.execution_id = $3 returning c.watermark_start)
update ops.etl_checkpoint as p set phase = $7, expected = $9, proven = $6::timestamptz, seen_before = lease.seen_until, definition_hash = $14,
  read_from = case when $10 = 'span' then typed.watermark_start - $12 * interval '1 millisecond' when $10 = 'asked' then p.span_from end,
  read_to = case when $10 = 'span' then $11::timestamptz + $13 * interval '1 millisecond' when $10 = 'asked' then p.span_to end
from lease, typed where p.execution_id = $3
returning p.execution_id`

const PASS = `with lease as (update ops.etl_job as j set leased_until = clock_timestamp() + interval '${LEASE_MS} milliseconds' ${HELD} returning j.job)
, point as (update ops.etl_checkpoint as p set position = $4::text[], seen = p.seen + $5, pages = p.pages + 1, updated_at = clock_timestamp(), retry_at = null
  from lease where p.execution_id = $3 returning p.*)
select ${RUN_COLUMNS} from ops.etl_control as c cross join point as p where c.execution_id = $3`

const SUSPEND = `with lease as (update ops.etl_job as j set leased_until = '-infinity' ${HELD} returning j.job)
, kept as (update ops.etl_control as c set attempt = c.attempt + 1, error_message = $4, error_traceback = $5 from lease where c.execution_id = $3 returning c.*)
, point as (update ops.etl_checkpoint as p set retry_at = clock_timestamp() + $6 * interval '1 millisecond' from lease where p.execution_id = $3 returning p.*)
select ${RUN_COLUMNS} from kept as c cross join point as p`

const END = `with lease as (update ops.etl_job as j set leased_until = '-infinity', definition_hash = coalesce($9, j.definition_hash) ${HELD} returning j.job)
, ended as (update ops.etl_control as c set status = $4, completed_at = clock_timestamp(), error_message = $5, error_traceback = $6,
    watermark_end = case when $7::timestamptz is not null then greatest(c.watermark_start, $7::timestamptz - $8 * interval '1 millisecond') end
  from lease where c.execution_id = $3 and c.status = 'running' returning c.*)
select ${RUN_COLUMNS} from ended as c left join ops.etl_checkpoint as p on p.execution_id = c.execution_id`

const RELEASE = `update ops.etl_job as j set leased_until = '-infinity' ${HELD}`

/** A sample is drawn from so many rows of a table that has more: its pages are taken whole. */
const SAMPLED_FROM = 20_000

export function postgresEtlStore({ db }: { readonly db: Db }): EtlStore {
  const rowsOf = async (statement: Statement & { readonly name?: string }, options: Cancellable): Promise<readonly Row[]> =>
    (await db.query(statement, options)).rows
  const find = async (run: string, options: Cancellable) => (await rowsOf({ text: FIND, values: [run] }, options)).map(runOf)[0]
  const held = async (lease: EtlLease, statement: Statement & { readonly name?: string }, options: Cancellable): Promise<EtlRun> => {
    const [row] = await rowsOf(statement, options)
    if (row === undefined) throw fenced(lease)
    return runOf(row)
  }
  const right = ({ epoch, job, run }: EtlLease) => [job, epoch, run]
  const progress = async (run: EtlRun, row: Row, options: Cancellable): Promise<EtlProgress> => {
    const [point = {}] = await rowsOf({ text: PROGRESS, values: [run.id] }, options)
    const phase = etlPhases.find((one) => one === point['phase'])
    const notedAt = textOf(row, 'noted_at')
    return {
      run,
      position: phase === undefined ? null : { phase, after: arrayOf(point['position']) },
      readFrom: textOf(point, 'read_from'),
      readTo: textOf(point, 'read_to'),
      proven: textOf(point, 'proven'),
      seenBefore: textOf(point, 'seen_before'),
      noted: notedAt === null ? null : { at: notedAt, open: arrayOf(row['noted_open']) ?? [] },
      provenUntil: textOf(row, 'proven_until'),
      definitionHash: textOf(point, 'definition_hash'),
      unpublished: textOf(row, 'unpublished') === 't',
    }
  }

  return {
    take: async ({ leaseMs, owner, run: id }, options) => {
      const [row] = await rowsOf({ text: TAKE, values: [id, owner, leaseMs] }, options)
      const run = await find(id, options)
      if (run === undefined) return { status: 'unknown' }
      if (row !== undefined) {
        return { status: 'held', lease: { job: run.job, run: id, epoch: Number(row['epoch']) }, progress: await progress(run, row, options) }
      }
      if (run.status !== 'running') return { status: 'ended', run }
      const [left] = await rowsOf({ text: LEFT_MS, values: [id] }, options)
      return { status: 'busy', run, retryMs: left === undefined ? 1_000 : (numberOf(left, 'ms') ?? 1_000) }
    },
    begin: async (lease, { definitionHash, expected, loadType, noted, now, phase, proven, span }, options) => {
      const { kind, marginMs, overlapMs } = typeof span === 'string' ? { kind: span, overlapMs: 0, marginMs: 0 } : { kind: 'span', ...span }
      const values = [
        ...right(lease),
        noted?.at ?? null,
        noted?.open ?? null,
        proven,
        phase,
        loadType,
        expected,
        kind,
        now,
        overlapMs,
        marginMs,
        definitionHash,
      ]
      if ((await rowsOf({ text: BEGIN, values }, options)).length === 0) throw fenced(lease)
      const run = await find(lease.run, options)
      if (run === undefined) throw fenced(lease)
      return progress(run, {}, options)
    },
    write: (write, options) => {
      const statement = writeStatement(write)
      // Planned once a connection: the same job and way of its columns give the same text.
      const name = `etl-${createHash('sha256').update(statement.text).digest('hex').slice(0, 24)}`
      return held(write.lease, { ...statement, name }, options)
    },
    unpublished: async (lease, { maxBytes, maxRows }, options) =>
      (await rowsOf({ text: UNPUBLISHED, values: [...right(lease), maxRows, maxBytes] }, options)).map(changeOf),
    published: async (lease, upTo, options) => {
      if ((await rowsOf({ text: PUBLISHED, values: [...right(lease), upTo] }, options)).length === 0) throw fenced(lease)
    },
    differing: async (of, options) => (await rowsOf(differingStatement(of), options)).map((row) => Number(row['nth'])),
    sample: async (job, most, options) => {
      const table = `silver.${quoted(job.into)}`
      const [size] = await rowsOf({ text: 'select reltuples as rows from pg_class where oid = to_regclass($1)', values: [table] }, options)
      const percent = Math.min(100, (SAMPLED_FROM * 100) / Math.max(1, numberOf(size ?? {}, 'rows') ?? 0))
      const key = job.key.map((name, nth) => `${quoted(name)}::text as key_${nth}`).join(', ')
      const drawn = (part: string, values: readonly unknown[]) =>
        rowsOf({ text: `select ${key} from ${table} ${part} where _deleted_at is null order by random() limit $1`, values }, options)
      const some = percent < 100 ? await drawn('tablesample system ($2::real)', [most, percent]) : []
      // A part may hold nothing but deleted rows, or be too small by old statistics.
      const rows = some.length < most ? await drawn('', [most]) : some
      return rows.map((row) => job.key.map((_, nth) => textOf(row, `key_${nth}`) ?? ''))
    },
    pass: (lease, { position, rows }, options) => held(lease, { text: PASS, values: [...right(lease), position, rows] }, options),
    suspend: (lease, { error, errorTraceback, retryMs }, options) =>
      held(lease, { text: SUSPEND, values: [...right(lease), error, errorTraceback, retryMs] }, options),
    end: (lease, { definitionHash, error, errorTraceback, proven, status }, options) =>
      held(lease, { text: END, values: [...right(lease), status, error, errorTraceback, proven?.at ?? null, proven?.marginMs ?? 0, definitionHash] }, options),
    release: async (lease, options) => void (await rowsOf({ text: RELEASE, values: right(lease) }, options)),
  }
}

/** The first range may begin at the very first key: it has a branch of its own, so that each is a walk along the index. */
function differingStatement({ after, job, ranges }: Parameters<EtlStore['differing']>[0]): Statement {
  const typeOf = (name: string) => silverType(job.columns[name]?.type ?? 'text')
  const lows = [after, ...ranges.map(({ last }) => last)]
  const array = (texts: readonly (string | null)[]) => textArray(texts)
  const values = [
    ...job.key.map((_, nth) => array(ranges.map((__, at) => lows[at]?.[nth] ?? null))),
    ...job.key.map((_, nth) => array(ranges.map(({ last }) => last[nth] ?? null))),
    bigintArray(ranges.map(({ rows }) => rows)),
    array(ranges.map(({ sum }) => sum)),
  ]
  const n = job.key.length
  const key = job.key.map(quoted)
  const lo = job.key.map((name, nth) => `r.lo${nth}::${typeOf(name)}`).join(', ')
  const hi = job.key.map((name, nth) => `r.hi${nth}::${typeOf(name)}`).join(', ')
  const branch = (condition: string, range: string) => `select r.nth from r cross join lateral (
    select count(*) as rows, coalesce(sum(s._hash), 0) as sum from silver.${quoted(job.into)} as s where ${range} and s._deleted_at is null) as d
  where ${condition} and (d.rows <> r.rows or d.sum <> r.sum::numeric)`
  const columns = `(${key.map((name) => `s.${name}`).join(', ')})`
  return {
    text: `with r as materialized (select u.*, (u.ordinal - 1)::integer as nth from unnest(${values.map((_, at) => `$${at + 1}::${at === 2 * n ? 'bigint' : 'text'}[]`).join(', ')})
  with ordinality as u(${[...key.map((_, at) => `lo${at}`), ...key.map((_, at) => `hi${at}`)].join(', ')}, rows, sum, ordinal))
${branch('r.lo0 is null', `${columns} <= (${hi})`)}
union all
${branch('r.lo0 is not null', `${columns} > (${lo}) and ${columns} <= (${hi})`)}
order by nth`,
    values,
  }
}

function fenced({ epoch, job }: EtlLease): AfluenteError {
  return new AfluenteError('fenced', 'epoch', `Somebody else works on ${job} now: epoch ${epoch} is over. Nothing was written.`)
}

/** `text[]` as Postgres prints it. */
function arrayOf(value: unknown): readonly string[] | null {
  if (typeof value !== 'string') return null
  return [...value.matchAll(/"((?:[^"\\]|\\.)*)"|([^{},"]+)/g)].map(([, quotedText, plain]) => quotedText?.replaceAll(/\\(.)/g, '$1') ?? plain ?? '')
}
