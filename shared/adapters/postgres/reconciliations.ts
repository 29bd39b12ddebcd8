/** Reconciles under way and over: `ops.reconciliation`. */
import type { Cancellable } from '../../ports/cancellable.ts'
import type { Finding, Outcome, Reconciliations, SinkVerdict, Verdict } from '../../ports/reconciliations.ts'
import type { Db } from './db.ts'

const utc = (column: string) => `to_char(${column} at time zone 'UTC', 'YYYY-MM-DD"T"HH24:MI:SS.US"Z"')`
const lease = (parameter: string) => `clock_timestamp() + ${parameter} * interval '1 millisecond'`

/** Who comes after somebody that is gone goes on with his, under the next epoch; or ends it and begins his own. */
const GIVE_UP = `update ops.reconciliation set state = 'failed', ended_at = clock_timestamp(), pass = null, problem = 'It was interrupted.'
where source_table = $1 and actor = $2 and state = 'running' and leased_until <= clock_timestamp()`

const TAKE = `insert into ops.reconciliation as r (source_table, actor, repair, owner, leased_until) values ($1, $2, $3, $4, ${lease('$5')})
on conflict (source_table, actor) where state = 'running' do update set
  owner = excluded.owner, repair = excluded.repair, epoch = r.epoch + 1, leased_until = excluded.leased_until
where r.leased_until <= clock_timestamp()
returning id, epoch, pass::text`

const HELD = `id = $1 and epoch = $2 and state = 'running'`

const KEEP = `update ops.reconciliation set leased_until = ${lease('$3')}, pass = coalesce($4::jsonb, pass) where ${HELD} returning id`

const RELEASE = `update ops.reconciliation set leased_until = clock_timestamp() where ${HELD} returning id`

const FAIL = `update ops.reconciliation set state = 'failed', ended_at = clock_timestamp(), pass = null, problem = $3 where ${HELD} returning id`

const FINISH = `update ops.reconciliation set state = 'done', ended_at = clock_timestamp(), pass = null, as_of = $3::timestamptz, rows = $4, sinks = $5::jsonb, keys = $6::jsonb,
  moving = $7, unopened = $8, mended = $9 where ${HELD} returning id`

/** Whose own reconcile failed was told. */
const LATEST = `select distinct on (l.source_table) l.id, l.source_table, l.actor, ${utc('l.ended_at')} as ended_at, l.problem,
  ${utc('d.as_of')} as as_of, d.rows, d.sinks::text as sinks, d.keys::text as keys, d.moving, d.unopened, d.mended
from ops.reconciliation l
left join lateral (
  select * from ops.reconciliation d where d.source_table = l.source_table and d.state = 'done' order by d.ended_at desc limit 1
) d on true
where l.state = 'done' or (l.state = 'failed' and l.actor = 'schedule') order by l.source_table, l.ended_at desc`

export function postgresReconciliations({ db }: { readonly db: Db }): Reconciliations {
  const changed = async (text: string, values: readonly unknown[], options: Cancellable) => (await db.query({ text, values }, options)).rows.length > 0
  return {
    take: async ({ actor, anew, leaseMs, owner, repair, table }, options) => {
      if (anew) await db.query({ text: GIVE_UP, values: [table, actor] }, options)
      const { rows } = await db.query({ text: TAKE, values: [table, actor, repair, owner, leaseMs] }, options)
      const [row] = rows
      if (row === undefined) return { status: 'busy' }
      return { status: 'taken', id: Number(row['id']), epoch: Number(row['epoch']), pass: parsed(row['pass']) }
    },
    keep: ({ epoch, id, leaseMs, pass }, options) => changed(KEEP, [id, epoch, leaseMs, pass === undefined ? null : JSON.stringify(pass)], options),
    release: ({ epoch, id }, options) => changed(RELEASE, [id, epoch], options),
    fail: ({ epoch, id, problem }, options) => changed(FAIL, [id, epoch, problem], options),
    finish: ({ epoch, id, outcome: { asOf, keys, mended, moving, rows, sinks, unopened } }, options) =>
      changed(FINISH, [id, epoch, asOf, rows, JSON.stringify(sinks), JSON.stringify(keys), moving, unopened, mended], options),
    latest: async (options) => (await db.query({ text: LATEST, values: [] }, options)).rows.map(verdictOf),
  }
}

function verdictOf(row: Readonly<Record<string, unknown>>): Verdict {
  const text = (name: string) => String(row[name])
  return {
    id: Number(row['id']),
    table: text('source_table'),
    actor: text('actor'),
    endedAt: text('ended_at'),
    outcome: outcomeOf(row),
    problem: typeof row['problem'] === 'string' ? row['problem'] : null,
  }
}

function outcomeOf(row: Readonly<Record<string, unknown>>): Outcome | null {
  const asOf = row['as_of']
  if (typeof asOf !== 'string') return null
  const count = (name: string) => Number(row[name] ?? 0)
  return {
    asOf,
    rows: count('rows'),
    sinks: listOf(row['sinks']).map(sinkOf),
    keys: listOf(row['keys']).flatMap(findingOf),
    moving: count('moving'),
    unopened: count('unopened'),
    mended: count('mended'),
  }
}

function sinkOf(value: unknown): SinkVerdict {
  const count = (name: string) => Number(memberOf(value, name) ?? 0)
  return { sink: memberOf(value, 'sink') === 'index' ? 'index' : 'silver', missing: count('missing'), different: count('different'), extra: count('extra') }
}

function findingOf(value: unknown): readonly Finding[] {
  const [sink, what, key] = [memberOf(value, 'sink'), memberOf(value, 'what'), memberOf(value, 'key')]
  if ((sink !== 'silver' && sink !== 'index') || (what !== 'missing' && what !== 'different' && what !== 'extra') || typeof key !== 'string') return []
  return [{ sink, what, key }]
}

function listOf(value: unknown): readonly unknown[] {
  const list = parsed(value)
  return Array.isArray(list) ? list : []
}

function parsed(value: unknown): unknown {
  return typeof value === 'string' ? JSON.parse(value) : null
}

function memberOf(value: unknown, name: string): unknown {
  return typeof value === 'object' && value !== null ? Reflect.get(value, name) : undefined
}
