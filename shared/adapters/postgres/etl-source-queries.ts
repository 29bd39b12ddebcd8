/** The statements that read a job's relation. */
import { quoted } from '../../mappings/column-types.ts'
import type { EtlRelation, JobOnSource, PageRequest } from '../../ports/etl-source.ts'
import type { EtlJob } from '../../tables/etl-job.ts'
import { cleanedPassage, hashable, type Passage, passageOf } from './etl-columns.ts'
import type { ReadQuery } from './source-db.ts'

/** A domain counts as what it is made of, an enum as text. */
const TYPE = `case when t.typtype = 'e' then 'text' else coalesce(nullif(t.typbasetype, 0), t.oid)::regtype::text end as type, pg_is_in_recovery() as standby`
export const INSPECT = `select a.attname as name, ${TYPE}
from pg_attribute as a join pg_type as t on t.oid = a.atttypid
where a.attrelid = to_regclass($1) and a.attnum > 0 and not a.attisdropped and has_column_privilege(a.attrelid, a.attnum, 'select')
order by a.attnum`

/** The same of columns whose types are known by their numbers. */
export const INSPECT_TYPES = `select c.name, ${TYPE}
from unnest($1::text[], $2::oid[]) with ordinality as c (name, type, nth) join pg_type as t on t.oid = c.type
order by c.nth`

/** Row hashes over records came with Postgres 14. */
export const HAS_RECORD_HASH = `select to_regprocedure('pg_catalog.hash_record_extended(record, bigint)') is not null as there`

export interface Reading extends JobOnSource {
  readonly relation: EtlRelation
  readonly hasRecordHash: boolean
}

/** As it stands behind FROM. The query ends with a line of its own: its last may be a comment. */
export function originOf({ source }: EtlJob): string {
  return 'query' in source ? `(${source.query}\n) as origin` : relationName(source.relation)
}

export function relationName(relation: string): string {
  const dot = relation.indexOf('.')
  return `${quoted(relation.slice(0, dot))}.${quoted(relation.slice(dot + 1))}`
}

/** Each column's way, all of them through the cleaning step where `careful`. */
export function passagesOf({ job, relation }: Reading, careful: boolean): readonly (Passage & { readonly name: string })[] {
  return Object.entries(job.columns).map(([name, spec]) => ({
    name,
    ...(careful ? cleanedPassage(quoted(name)) : passageOf(quoted(name), spec, relation.columns[name] ?? 'text')),
  }))
}

/** One row, for `readBytes`: an array a column, in the page's order, and as text what is said of the whole page. */
export function pageQuery(reading: Reading, request: PageRequest, passages: ReturnType<typeof passagesOf>): ReadQuery {
  const { job } = reading
  const { text, values } = selected(reading, request)
  const order = orderOf(job, request.order)
  const odd = passages.flatMap((passage) => (passage.odd === null ? [] : [passage.odd]))
  return {
    text: `select count(*)::text as rows, (${odd.length === 0 ? 'false' : `coalesce(bool_or(${odd.join(' or ')}), false)`})::text as odd,
  ${order.map((column, nth) => `(array_agg(${column}::text))[count(*)] as last_${nth}`).join(', ')},
  array_agg(${hashOf(reading)}) as hashes,
  ${passages.flatMap(({ opens }, nth) => (opens === null ? [] : [`coalesce(bool_or(${opens}), false)::text as opens_${nth},\n  `])).join('')}${passages.map(({ select }, nth) => `array_agg(${select}) as column_${nth}`).join(',\n  ')}
from (select ${Object.keys(job.columns).map(quoted).join(', ')} from ${originOf(job)}${text} order by ${order.join(', ')}${request.limit === null ? '' : ` limit ${request.limit}`}) as page`,
    values,
  }
}

export function digestQuery(reading: Reading, after: readonly string[] | null, ranges: number, rows: number): ReadQuery {
  const { job } = reading
  const { text, values } = selected(reading, { order: 'key', after, upTo: null, from: null, to: null, limit: null })
  const key = job.key.map(quoted)
  return {
    text: `select count(*) as rows, coalesce(sum(_hash), 0) as sum, ${key.map((column, nth) => `(array_agg(${column}::text))[count(*)] as last_${nth}`).join(', ')}
from (select ${key.join(', ')}, ${hashOf(reading)} as _hash, (row_number() over (order by ${key.join(', ')}) - 1) / ${rows} as _range
  from (select * from ${originOf(job)}${text} order by ${key.join(', ')} limit ${ranges * rows}) as page) as hashed
group by _range order by _range`,
    values,
  }
}

/** The planner's guess of how many rows there are. */
export function estimateQuery(job: EtlJob, relation: EtlRelation, { from, to }: Pick<PageRequest, 'from' | 'to'>): ReadQuery {
  const { text, values } = selected({ job, relation }, { order: 'key', after: null, upTo: null, from, to, limit: null })
  return { text: `explain (format json) select ${job.key.map(quoted).join(', ')} from ${originOf(job)}${text}`, values }
}

/** How many of these keys there are. */
export function presentQuery(job: EtlJob, { columns }: EtlRelation, keys: readonly (readonly string[])[]): ReadQuery {
  const names = job.key.map(quoted).join(', ')
  const arrays = job.key.map((name, nth) => `$${nth + 1}::${columns[name] ?? 'text'}[]`).join(', ')
  return {
    text: `select count(*) as there from (select ${names} from ${originOf(job)} where (${names}) in (select * from unnest(${arrays}))) as found`,
    values: job.key.map((_, nth) => keys.map((texts) => texts[nth] ?? null)),
  }
}

/** Finds the cursor's scan in a plan, by a moment that stands nowhere else. */
export const PROBE = '1999-12-31 23:59:59.999999'

export function cursorPlanQuery(job: EtlJob, relation: EtlRelation): ReadQuery {
  const { text, values } = selected({ job, relation }, { order: 'key', after: null, upTo: null, from: PROBE, to: null, limit: null })
  return {
    text: `explain (format json, verbose) select ${job.key.map(quoted).join(', ')} from ${originOf(job)}${text.replace('$1', `'${PROBE}'`)}`,
    values: values.slice(1),
    settings: { enable_seqscan: 'off' },
  }
}

export function orderOf({ cursor, key }: EtlJob, order: PageRequest['order']): readonly string[] {
  return (order === 'cursor' ? [cursor, ...key] : key).map(quoted)
}

/** In the order of names, so that one who writes the columns in another order writes the same rows. */
function hashOf({ hasRecordHash, job, relation, salt }: Reading): string {
  const names = Object.keys(job.columns).toSorted()
  const seed = `(${BigInt.asIntN(64, BigInt(`0x${salt}`))})::bigint`
  const record = (form: (column: string, type: string) => string) =>
    `row(${names.map((name) => form(quoted(name), relation.columns[name] ?? 'text')).join(', ')})`
  return hasRecordHash ? `hash_record_extended(${record(hashable)}, ${seed})` : `hashtextextended(${record((column) => column)}::text, ${seed})`
}

function selected(
  { job, relation }: Pick<Reading, 'job' | 'relation'>,
  { after, from, order, to, upTo }: PageRequest,
): { readonly text: string; readonly values: readonly unknown[] } {
  const values: unknown[] = []
  const names = order === 'cursor' ? [job.cursor, ...job.key] : job.key
  const typeOf = (name: string) => relation.columns[name] ?? 'text'
  const placed = (texts: readonly (string | null)[], of: readonly string[]) =>
    texts.map((text, nth) => `$${values.push(text)}::${typeOf(of[nth] ?? '')}`).join(', ')
  const cursor = quoted(job.cursor)
  const conditions = [
    ...(from === null ? [] : [`${cursor} >= ${placed([from], [job.cursor])}`]),
    ...(to === null ? [] : [`${cursor} <= ${placed([to], [job.cursor])}`]),
    ...(after === null ? [] : [`(${names.map(quoted).join(', ')}) > (${placed(after, names)})`]),
    ...(upTo === null ? [] : [`(${names.map(quoted).join(', ')}) <= (${placed(upTo, names)})`]),
  ]
  return { text: conditions.length === 0 ? '' : ` where ${conditions.join(' and ')}`, values }
}
