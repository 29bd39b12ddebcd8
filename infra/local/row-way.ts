import { randomUUID } from 'node:crypto'
import { setTimeout as sleep } from 'node:timers/promises'
import pg from 'pg'
import { until } from './deadline.ts'
import type { StackInfo } from './stack-info.ts'

/** When one change was where, in milliseconds after its commit in the source; undefined: not within the time given. */
export interface RowWay {
  readonly kafka: number | undefined
  readonly postgres: number | undefined
  readonly elasticsearch: number | undefined
}

const insertSql = `
  insert into public.leads (id, name, email, company, source, status, score, tags)
  values ($1, 'Ana Ribeiro', 'ana.ribeiro@example.com', 'Afluente', 'npm start', 'new', 80, '{demo}')`
const updateSql = "update public.leads set status = 'contacted', updated_at = now() where id = $1"
const awakeSql = 'select exists (select from afluente.shards where leased_until > clock_timestamp()) and not exists (select from afluente.outbox) as awake'
const committedSql = 'select extract(epoch from pg_xact_commit_timestamp(xmin))::float8 * 1000 as at from public.leads where id = $1'
const silverSql = `
  select extract(epoch from pg_xact_commit_timestamp(xmin))::float8 * 1000 as at, _event_id as event, _version::text as version
  from silver.leads where id = $1 and _version > $2::bigint`
const bronzeSql = 'select extract(epoch from published_at)::float8 * 1000 as at from bronze.events where event_id = $1'

/**
 * Writes one lead into the source and follows this very row, then an update of it. Commits are Postgres's own stamps, Kafka's
 * moment is when it acknowledged, Elasticsearch's when a search through the alias first found the version. One machine, one clock.
 * The update is left out when the row itself got stuck.
 */
export async function followOneRow(info: StackInfo, withinMs = 20_000): Promise<{ readonly insert: RowWay; readonly update: RowWay | undefined }> {
  const id = randomUUID()
  const source = new pg.Client({ connectionString: info.source.url })
  const analytics = new pg.Client({ connectionString: info.analytics.url })
  try {
    await Promise.all([source.connect(), analytics.connect(), versionFound(info, id, '0')])
    await awaken(info, source)
    const follow = async (sql: string, after: string): Promise<{ way: RowWay; version: string | undefined }> => {
      await source.query(sql, [id])
      const end = Date.now() + withinMs
      const found = whenFound(info, id, after, end)
      const { rows } = await source.query<{ at: number }>(committedSql, [id])
      const committed = rows[0]?.at ?? Date.now()
      const silver = await whenRow<{ at: number; event: string; version: string }>(analytics, silverSql, [id, after], end)
      const bronze = silver === undefined ? undefined : await whenRow<{ at: number }>(analytics, bronzeSql, [silver.event], end)
      const since = (at: number | undefined): number | undefined => (at === undefined ? undefined : Math.max(0, at - committed))
      return { way: { kafka: since(bronze?.at), postgres: since(silver?.at), elasticsearch: since(await found) }, version: silver?.version }
    }
    const inserted = await follow(insertSql, '0')
    const update = inserted.version === undefined ? undefined : (await follow(updateSql, inserted.version)).way
    return { insert: inserted.way, update }
  } finally {
    await Promise.allSettled([source.end(), analytics.end()])
  }
}

/** In plain words; a place it did not reach says so. */
export function rowWayLine(way: RowWay): string {
  const steps = [
    ['Kafka', way.kafka],
    ['Postgres', way.postgres],
    ['Elasticsearch', way.elasticsearch],
  ] as const
  const words = steps.map(([name, ms]) => (ms === undefined ? `${name} not yet` : `${name} ${ms.toFixed(0)} ms`))
  return `committed 0 ms → ${words.join(' → ')}`
}

/** Rings the doorbell and waits until capture holds its shard with nothing left to send: the way shown is a row's, not a start's. */
async function awaken(info: StackInfo, source: pg.Client): Promise<void> {
  const headers = { authorization: `Bearer ${info.webhookSecret}`, 'content-type': 'application/json' }
  await fetch(`${info.supabase.url}/functions/v1/capture`, { method: 'POST', headers, body: '{}' })
  await until(async () => {
    const { rows } = await source.query<{ awake: boolean }>(awakeSql)
    return rows[0]?.awake === true
  }, 5_000)
}

async function whenRow<T extends pg.QueryResultRow>(client: pg.Client, sql: string, values: readonly string[], end: number): Promise<T | undefined> {
  while (Date.now() < end) {
    const { rows } = await client.query<T>(sql, [...values])
    if (rows[0] !== undefined) return rows[0]
    await sleep(2)
  }
  return undefined
}

async function whenFound(info: StackInfo, id: string, after: string, end: number): Promise<number | undefined> {
  while (Date.now() < end) {
    if (await versionFound(info, id, after).catch(() => false)) return performance.timeOrigin + performance.now()
    await sleep(2)
  }
  return undefined
}

async function versionFound(info: StackInfo, id: string, after: string): Promise<boolean> {
  const filter = [{ term: { 'afluente.key': `["${id}"]` } }, { range: { 'afluente.version': { gt: after } } }]
  const body = JSON.stringify({ size: 1, _source: false, query: { bool: { filter } } })
  const response = await fetch(`${info.elasticsearch.url}/leads/_search`, { method: 'POST', headers: { 'content-type': 'application/json' }, body })
  const text = await response.text()
  return response.ok && text.includes('"hits":[{')
}
