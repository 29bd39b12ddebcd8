/** The rows that a measurement sends through: into which tables, and when they were committed where. */
import type pg from 'pg'
import { topicOf } from '../../shared/engine/define.ts'
import { leads } from '../../shared/tables/leads.ts'
import { type Marked, markedLeads } from './elasticsearch.ts'
import { commitSpan, insertLeads, type Span } from './throughput-rows.ts'

export interface Workload {
  readonly topics: readonly string[]
  readonly documents: Marked
  /** Into the source, in statements of their own transactions. Gives the milliseconds it took. */
  insert(source: pg.Pool, mark: string, rows: number): Promise<number>
  /** When the rows of a mark were committed in the tables of `schema`. */
  span(pool: pg.Pool, schema: 'public' | 'silver', mark: string): Promise<Span>
}

export const leadsWorkload: Workload = {
  topics: [topicOf(leads)],
  documents: markedLeads,
  insert: (source, mark, rows) => insertLeads(source, 'public.leads', mark, rows),
  span: (pool, schema, mark) => commitSpan(pool, `${schema}.leads`, mark),
}

/** The span of several tables together. */
export function spanOf(spans: readonly Span[]): Span {
  const found = spans.filter(({ rows }) => rows > 0)
  if (found.length === 0) return { rows: 0, firstMs: 0, lastMs: 0, withFirst: 0 }
  const firstMs = Math.min(...found.map((span) => span.firstMs))
  const sum = (of: readonly Span[], what: 'rows' | 'withFirst') => of.reduce((total, span) => total + span[what], 0)
  const first = found.filter((span) => span.firstMs === firstMs)
  return { rows: sum(found, 'rows'), firstMs, lastMs: Math.max(...found.map((span) => span.lastMs)), withFirst: sum(first, 'withFirst') }
}
