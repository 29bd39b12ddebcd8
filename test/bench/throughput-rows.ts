/** Many leads at once, and how fast they moved. */
import type pg from 'pg'
import type { BenchStack } from './stack.ts'

export const STATEMENT_ROWS = 10_000

const SELECT_LEADS = `
  select gen_random_uuid() as id, 'Maria da Conceição ' || n as name, 'maria.' || n || '@example.com' as email, '+55 11 9' || lpad(n::text, 8, '0') as phone, $1::text as company,
    'Gerente de Vendas' as job_title, 'website' as source, 'new' as status, (n % 101)::smallint as score, (n * 1.25)::numeric(14, 2) as estimated_value,
    array['sp', 'retail'] as tags, jsonb_build_object('utm', 'google', 'visits', n % 40) as metadata
  from generate_series($2::int, $3::int) n`
const COLUMNS = 'id, name, email, phone, company, job_title, source, status, score, estimated_value, tags, metadata'

/** Into `table`, in statements of 10 000 rows (or of so many), each its own transaction. Gives the milliseconds it took. */
export async function insertLeads(pool: pg.Pool, table: string, mark: string, rows: number, statementRows = STATEMENT_ROWS): Promise<number> {
  const client = await pool.connect()
  try {
    const began = performance.now()
    for (let first = 1; first <= rows; first += statementRows) {
      await client.query(`insert into ${table} (${COLUMNS}) ${SELECT_LEADS}`, [mark, first, Math.min(rows, first + statementRows - 1)])
    }
    return performance.now() - began
  } finally {
    client.release()
  }
}

export interface Span {
  readonly rows: number
  /** Milliseconds since 1970. */
  readonly firstMs: number
  readonly lastMs: number
  /** How many came with the first commit: they took no part in the time between. */
  readonly withFirst: number
}

/** When the rows of a mark were committed, exactly. */
export async function commitSpan(pool: pg.Pool, table: string, mark: string): Promise<Span> {
  const { rows } = await pool.query<Span>(
    `with at as (select extract(epoch from pg_xact_commit_timestamp(xmin))::float8 * 1000 as ms from ${table} where company = $1),
       ends as (select count(*)::int as rows, min(ms) as first, max(ms) as last from at)
     select rows, coalesce(first, 0) as "firstMs", coalesce(last, 0) as "lastMs", (select count(*)::int from at where ms = first) as "withFirst" from ends`,
    [mark],
  )
  return rows[0] ?? { rows: 0, firstMs: 0, lastMs: 0, withFirst: 0 }
}

/** Rows a second between the first and the last commit. */
export function rateOf({ rows, firstMs, lastMs, withFirst }: Span): number {
  return perSecond(rows - withFirst, lastMs - firstMs)
}

export function perSecond(rows: number, ms: number): number {
  return Math.round((rows / Math.max(1, ms)) * 1_000)
}

export async function consumed(stack: BenchStack, consumer: string): Promise<number> {
  const { rows } = await stack.analytics.query<{ n: number }>('select coalesce(sum(consumed), 0)::int as n from ops.consumer_progress where consumer = $1', [
    consumer,
  ])
  return rows[0]?.n ?? 0
}
