import { randomUUID } from 'node:crypto'
import { setTimeout as sleep } from 'node:timers/promises'
import pg from 'pg'
import type { StackInfo } from './stack-info.ts'

/** When one row was where, in milliseconds after its commit in the source; undefined: not within the time given. */
export interface RowWay {
  readonly kafka: number | undefined
  readonly postgres: number | undefined
  readonly elasticsearch: number | undefined
}

const insertSql = `
  insert into public.leads (id, name, email, company, source, status, score, tags)
  values ($1, 'Ana Ribeiro', 'ana.ribeiro@example.com', 'Afluente', 'npm start', 'new', 80, '{demo}')`
const committedSql = 'select extract(epoch from pg_xact_commit_timestamp(xmin))::float8 * 1000 as at from public.leads where id = $1'
const silverSql = 'select extract(epoch from pg_xact_commit_timestamp(xmin))::float8 * 1000 as at, _event_id as event from silver.leads where id = $1'
const bronzeSql = 'select extract(epoch from published_at)::float8 * 1000 as at from bronze.events where event_id = $1'

/**
 * Writes one lead into the source and follows this very row. Commits are Postgres's own stamps, Kafka's moment is when it
 * acknowledged, Elasticsearch's when a search through the alias first found the document. All clocks are this machine's.
 */
export async function followOneRow(info: StackInfo, withinMs = 20_000): Promise<RowWay> {
  const id = randomUUID()
  const source = new pg.Client({ connectionString: info.source.url })
  const analytics = new pg.Client({ connectionString: info.analytics.url })
  try {
    await Promise.all([source.connect(), analytics.connect(), searchFor(info, id)])
    await source.query(insertSql, [id])
    const end = Date.now() + withinMs
    const found = whenFound(info, id, end)
    const { rows } = await source.query<{ at: number }>(committedSql, [id])
    const committed = rows[0]?.at ?? Date.now()
    const silver = await whenRow<{ at: number; event: string }>(analytics, silverSql, id, end)
    const bronze = silver === undefined ? undefined : await whenRow<{ at: number }>(analytics, bronzeSql, silver.event, end)
    const after = (at: number | undefined): number | undefined => (at === undefined ? undefined : Math.max(0, at - committed))
    return { kafka: after(bronze?.at), postgres: after(silver?.at), elasticsearch: after(await found) }
  } finally {
    await Promise.allSettled([source.end(), analytics.end()])
  }
}

/** In plain words, with what to look at when the row got stuck. */
export function rowWayLine(way: RowWay): string {
  const steps = [['Kafka', way.kafka], ['Postgres', way.postgres], ['Elasticsearch', way.elasticsearch]] as const // prettier-ignore
  const words = steps.map(([name, ms]) => (ms === undefined ? `${name} not yet` : `${name} ${ms.toFixed(0)} ms`))
  return `the way of one row: committed 0 ms → ${words.join(' → ')}`
}

async function whenRow<T extends pg.QueryResultRow>(client: pg.Client, sql: string, value: string, end: number): Promise<T | undefined> {
  while (Date.now() < end) {
    const { rows } = await client.query<T>(sql, [value])
    if (rows[0] !== undefined) return rows[0]
    await sleep(2)
  }
  return undefined
}

async function whenFound(info: StackInfo, id: string, end: number): Promise<number | undefined> {
  while (Date.now() < end) {
    if (await searchFor(info, id).catch(() => false)) return performance.timeOrigin + performance.now()
    await sleep(2)
  }
  return undefined
}

async function searchFor(info: StackInfo, id: string): Promise<boolean> {
  const query = { size: 1, _source: false, query: { term: { 'afluente.key': `["${id}"]` } } }
  const response = await fetch(`${info.elasticsearch.url}/leads/_search`, {
    method: 'POST',
    headers: { 'content-type': 'application/json' },
    body: JSON.stringify(query),
  })
  const text = await response.text()
  return response.ok && text.includes('"hits":[{')
}
