/**
 * Compares silver's table with its shadow, row by row, in blocks of keys: both have the same key and its index, so a block is read in its order on
 * each side, and no statement grows with the table.
 */
import { quoted, silverType } from '../../mappings/column-types.ts'
import { kindOf } from '../../mappings/masked-record.ts'
import type { Cancellable } from '../../ports/cancellable.ts'
import { type Difference, type DifferenceKind, differenceKinds, type Differences } from '../../ports/shadows.ts'
import type { SourceTable } from '../../tables/table.ts'
import type { Db } from './db.ts'
import { silverOf } from './write-statement.ts'

export interface ShadowComparison {
  readonly db: Db
  readonly table: SourceTable
  /** ISO 8601. What was written into the live one later is no difference, only newer. */
  readonly since: string
  readonly told: (rows: number) => Promise<void>
  /** Rows of each side in a block. */
  readonly rowsAtOnce: number
}

const SAMPLES = 5
/** What was written into the live one shortly before the replay began may have reached bronze after it was read. */
const BEFORE_SINCE = '1 minute'

type Row = Readonly<Record<string, unknown>>
/** The texts of the key's columns. */
type Key = readonly string[]
type Counts = Record<DifferenceKind | 'live' | 'shadow' | 'newer', number>

export async function compareTables({ db, rowsAtOnce, since, table, told }: ShadowComparison, options: Cancellable): Promise<Differences> {
  const counts: Counts = { live: 0, shadow: 0, onlyLive: 0, onlyShadow: 0, different: 0, newer: 0 }
  const samples: Record<DifferenceKind, readonly Difference[]> = { onlyLive: [], onlyShadow: [], different: [] }
  const block = async (after: Key | null): Promise<Key | null> => {
    const last = keyOf(table, (await db.query({ text: endOf(table, after), values: [rowsAtOnce - 1, ...(after ?? [])] }, options)).rows[0])
    const { rows } = await db.query({ text: comparisonOf(table, after, last), values: [since, ...(after ?? []), ...(last ?? [])] }, options)
    count(rows, counts)
    for (const kind of differenceKinds) samples[kind] = [...samples[kind], ...samplesOf(rows, kind)].slice(0, SAMPLES)
    await told(Math.max(counts.live, counts.shadow))
    return last
  }
  let after: Key | null = null
  do after = await block(after)
  while (after !== null)
  return { ...counts, samples }
}

/** Where a block ends: the key that comes `$1` rows after its first one on the side that is denser there; no row where both have fewer. */
function endOf(table: SourceTable, after: Key | null): string {
  const columns = table.key.map(quoted)
  const beginning = after === null ? '' : `where (${columns.join(', ')}) > (${placesOf(table, 2)})`
  const side = (shadow: boolean) =>
    `(select ${columns.join(', ')} from ${silverOf(table, shadow)} ${beginning} order by ${columns.join(', ')} offset $1::bigint limit 1)`
  return `select ${columns.map((column, nth) => `${column}::text as key${nth}`).join(', ')} from (${side(false)} union all ${side(true)}) as k order by ${columns.map((column) => `k.${column}`).join(', ')} limit 1`
}

function keyOf({ key }: SourceTable, row: Row | undefined): Key | null {
  return row === undefined ? null : key.map((_, nth) => String(row[`key${nth}`]))
}

/** The key's columns as parameters from `$first` on. */
function placesOf({ columns, key }: SourceTable, first: number): string {
  return key.map((name, nth) => `$${first + nth}::${silverType(columns[name] ?? 'text')}`).join(', ')
}

/**
 * The keys above `after`, up to `last`: counts, and a few rows of each kind with the values of their defined columns. Living rows alone: a deleted row
 * is not there. The keys are printed as they stand on topics.
 */
function comparisonOf(table: SourceTable, after: Key | null, last: Key | null): string {
  const columns = Object.keys(table.columns)
  const keyColumns = table.key.map(quoted).join(', ')
  const limits = [
    ...(after === null ? [] : [`(${keyColumns}) > (${placesOf(table, 2)})`]),
    ...(last === null ? [] : [`(${keyColumns}) <= (${placesOf(table, 2 + (after?.length ?? 0))})`]),
  ]
  const rows = (shadow: boolean) => `(select *, ctid from ${silverOf(table, shadow)}${limits.length === 0 ? '' : ` where ${limits.join(' and ')}`})`
  const value = (side: string, name: string) => `${side}.${quoted(name)}${/^json$/.test(table.columns[name] ?? '') ? '::text' : ''}`
  const row = (side: string) => `row(${columns.map((name) => value(side, name)).join(', ')})`
  const same = table.key.map((column) => `l.${quoted(column)} = s.${quoted(column)}`).join(' and ')
  const key = `jsonb_build_array(${table.key.map((column) => `coalesce(l.${quoted(column)}, s.${quoted(column)})`).join(', ')})::text`
  const differing = columns
    .filter((name) => !table.key.includes(name))
    .map(
      (name) =>
        `case when ${value('l', name)} is distinct from ${value('s', name)} then json_build_array(${literal(name)}, to_json(l.${quoted(name)}), to_json(s.${quoted(name)})) end`,
    )
  return `with compared as (
  select case
      when (s._version is null or s._version < l._version) and l._synced_at >= $1::timestamptz - interval '${BEFORE_SINCE}' then 'newer'
      when l._version is null or l._deleted_at is not null then case when s._version is null or s._deleted_at is not null then 'none' else 'onlyShadow' end
      when s._version is null or s._deleted_at is not null then 'onlyLive'
      when l._version <> s._version or ${row('l')} is distinct from ${row('s')} then 'different'
      else 'same' end as kind,
    l._version is not null and l._deleted_at is null as in_live, s._version is not null and s._deleted_at is null as in_shadow,
    l.ctid as live_at, s.ctid as shadow_at
  from ${rows(false)} as l full join ${rows(true)} as s on ${same})
, counts as (select kind, count(*) as rows, count(*) filter (where in_live) as in_live, count(*) filter (where in_shadow) as in_shadow from compared group by kind)
, chosen as (select kind, live_at, shadow_at from (select *, row_number() over (partition by kind order by live_at, shadow_at) as nth from compared where kind in ('onlyLive', 'onlyShadow', 'different')) as c where nth <= ${SAMPLES})
select kind, rows, in_live, in_shadow, null as key, null as live_version, null as shadow_version, null as columns from counts
union all
select c.kind, 1, 0, 0, ${key}, case when l._deleted_at is null then l._version end, case when s._deleted_at is null then s._version end,
  (select json_agg(d) from unnest(array[${differing.length === 0 ? 'null::json' : differing.join(', ')}]) as d where d is not null and c.kind = 'different')
from chosen as c left join ${silverOf(table)} as l on l.ctid = c.live_at left join ${silverOf(table, true)} as s on s.ctid = c.shadow_at`
}

function count(rows: readonly Row[], counts: Counts): void {
  for (const row of rows) {
    if (row['key'] !== null) continue
    counts.live += Number(row['in_live'])
    counts.shadow += Number(row['in_shadow'])
    const kind = row['kind']
    if (kind === 'newer' || kind === 'onlyLive' || kind === 'onlyShadow' || kind === 'different') counts[kind] += Number(row['rows'])
  }
}

function samplesOf(rows: readonly Row[], kind: DifferenceKind): readonly Difference[] {
  return rows.filter((row) => row['key'] !== null && row['kind'] === kind).map(sampleOf)
}

function sampleOf(row: Row): Difference {
  const version = (name: string) => (row[name] === null ? null : Number(row[name]))
  const columns: unknown = typeof row['columns'] === 'string' ? JSON.parse(row['columns']) : []
  const named = (Array.isArray(columns) ? columns : []).flatMap((one: unknown) =>
    Array.isArray(one) ? [[String(one[0]), { live: kindOf(one[1]), shadow: kindOf(one[2]) }] as const] : [],
  )
  return { key: String(row['key']), liveVersion: version('live_version'), shadowVersion: version('shadow_version'), columns: Object.fromEntries(named) }
}

function literal(text: string): string {
  return `'${text.replaceAll("'", "''")}'`
}
