/** Who is open in the source and may still write: what a plain role may see of it. */
import type { Cancellable } from '../../ports/cancellable.ts'
import type { Noted } from '../../ports/etl-source.ts'
import type { ReadOnlyDb } from './source-db.ts'

/** Before who is open is looked at: whoever begins in between is later than this moment. */
const NOW = 'select clock_timestamp()::text as at'

/**
 * Every transaction holds its virtual id from its first statement on, and lets go of it once its rows can be seen. Those of other databases write nothing here, nor
 * does autovacuum, which has no user; who can't be told apart counts.
 */
const OPEN = `select l.virtualxid as id from pg_locks as l left join pg_stat_activity as a on a.pid = l.pid
where l.locktype = 'virtualxid' and l.pid is distinct from pg_backend_pid()
  and (a.pid is null or ((a.datid is null or a.datid = (select oid from pg_database where datname = current_database())) and a.usesysid is not null))`

/** Looked at after those that are open: who prepares in between is seen in both. */
const PREPARED = `select 'prepared ' || transaction::text || ' ' || gid as id, prepared >= $1::timestamptz as since from pg_prepared_xacts where database = current_database()`

export async function note(db: ReadOnlyDb, options: Cancellable): Promise<Noted> {
  const { rows } = await db.read({ text: NOW, values: [] }, options)
  const at = String(rows[0]?.['at'])
  const open = await idsOf(db, OPEN, [], options)
  const prepared = await idsOf(db, PREPARED, [at], options)
  return { at, open: [...open, ...prepared] }
}

/** One that was open may have prepared meanwhile, and then holds another id: whoever prepared since counts while one that was open has gone. */
export async function stillOpen(db: ReadOnlyDb, { at, open: noted }: Noted, options: Cancellable): Promise<readonly string[]> {
  if (noted.length === 0) return []
  const open = await idsOf(db, OPEN, [], options)
  const prepared = await preparedIds(db, at, options)
  const hasGone = noted.some((id) => !isPrepared(id) && !open.includes(id))
  return [
    ...noted.filter((id) => (isPrepared(id) ? prepared.all.includes(id) : open.includes(id))),
    ...(hasGone ? prepared.since.filter((id) => !noted.includes(id)) : []),
  ]
}

function isPrepared(id: string): boolean {
  return id.startsWith('prepared ')
}

async function preparedIds(db: ReadOnlyDb, at: string, options: Cancellable) {
  const { rows } = await db.read({ text: PREPARED, values: [at] }, options)
  const all = rows.map((row) => String(row['id']))
  return { all, since: rows.filter((row) => row['since'] === 't').map((row) => String(row['id'])) }
}

async function idsOf(db: ReadOnlyDb, text: string, values: readonly unknown[], options: Cancellable): Promise<readonly string[]> {
  const { rows } = await db.read({ text, values }, options)
  return rows.map((row) => String(row['id']))
}
