/** Shadows of silver's tables: `silver.<table>__shadow`, made like the live one, written by the same statement, swapped by renaming in one transaction. */
import { AfluenteError } from '../../engine/errors.ts'
import { kindOf } from '../../mappings/masked-record.ts'
import { quoted } from '../../mappings/column-types.ts'
import type { Difference, Differences, Shadows } from '../../ports/shadows.ts'
import type { SourceTable } from '../../tables/table.ts'
import type { Db } from './db.ts'
import { fenced } from './fenced.ts'
import { postgresSink } from './sink.ts'
import { shadowOf, silverOf } from './write-statement.ts'

export interface PostgresShadowsDeps {
  readonly db: Db
  readonly tables: readonly SourceTable[]
}

/** Postgres cuts names; the longest here is `<table>__shadow`. */
const LONGEST_NAME = 63
/** 16 MB of a table: some ten thousand rows. */
const BLOCKS_AT_ONCE = 2_000
const SAMPLES = 5
/** What was written into the live one shortly before the replay began may have reached bronze after it was read. */
const BEFORE_SINCE = '1 minute'

export function postgresShadows({ db, tables }: PostgresShadowsDeps): Shadows {
  return {
    sink: postgresSink({ db, tables, bronze: false, silver: true, shadow: true }),
    make: async (table, options) => {
      const name = shadowOf(table.name)
      if (new TextEncoder().encode(name).length > LONGEST_NAME)
        throw new AfluenteError(
          'misconfigured',
          'name-too-long',
          `${table.name} is too long a name for a shadow: Postgres takes ${LONGEST_NAME} bytes, and ${name} has more.`,
        )
      await db.query({ text: `create table if not exists ${silverOf(table, true)} (like ${silverOf(table)} including all)`, values: [] }, options)
      await db.query({ text: `revoke all on ${silverOf(table, true)} from public`, values: [] }, options)
      return { live: `silver.${table.name}`, shadow: `silver.${name}` }
    },
    compare: async ({ table, since }, options) => {
      const { rows } = await db.query({ text: comparisonOf(table), values: [since] }, options)
      return differencesOf(rows)
    },
    follow: async ({ table, from }, options) => {
      const { rows } = await db.query(
        { text: 'select copied, next from ops.follow_shadow($1, $2, $3)', values: [table.name, from ?? '0', BLOCKS_AT_ONCE] },
        options,
      )
      const next = rows[0]?.['next']
      // Rows move to any place of the table: another round looks at all of it.
      return { copied: Number(rows[0]?.['copied']), next: typeof next === 'string' ? next : '0', ended: typeof next !== 'string' }
    },
    swap: async ({ table, job, fence }, options) => {
      const { consumer, topic, partition, epoch } = fence
      const { rows } = await db.query(
        { text: 'select held, obstacles, copied from ops.swap_shadow($1, $2, $3, $4, $5, $6)', values: [consumer, topic, partition, epoch, job, table.name] },
        options,
      )
      const [row] = rows
      if (row?.['held'] !== 't') throw fenced(fence)
      const why = row['obstacles']
      if (typeof why === 'string')
        return {
          status: 'obstructed',
          why: `On silver.${table.name} hangs what a swap can't hand over: ${why}. Take it off, or give it to ${shadowOf(table.name)} as well.`,
        }
      return { status: 'swapped', copied: Number(row['copied']) }
    },
    drop: async ({ table }, options) => {
      await db.query({ text: `drop table if exists ${silverOf(table, true)}`, values: [] }, options)
    },
  }
}

/**
 * One pass over both: counts, and a few rows of each kind with the values of their defined columns. Living rows alone: a deleted row is not there.
 * The keys are printed as they stand on topics.
 */
function comparisonOf(table: SourceTable): string {
  const columns = Object.keys(table.columns)
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
  from ${silverOf(table)} as l full join ${silverOf(table, true)} as s on ${same})
, counts as (select kind, count(*) as rows, count(*) filter (where in_live) as in_live, count(*) filter (where in_shadow) as in_shadow from compared group by kind)
, chosen as (select kind, live_at, shadow_at from (select *, row_number() over (partition by kind order by live_at, shadow_at) as at from compared where kind in ('onlyLive', 'onlyShadow', 'different')) as c where at <= ${SAMPLES})
select kind, rows, in_live, in_shadow, null as key, null as live_version, null as shadow_version, null as columns from counts
union all
select c.kind, 1, 0, 0, ${key}, case when l._deleted_at is null then l._version end, case when s._deleted_at is null then s._version end,
  (select json_agg(d) from unnest(array[${differing.length === 0 ? 'null::json' : differing.join(', ')}]) as d where d is not null and c.kind = 'different')
from chosen as c left join ${silverOf(table)} as l on l.ctid = c.live_at left join ${silverOf(table, true)} as s on s.ctid = c.shadow_at`
}

type Row = Readonly<Record<string, unknown>>

function differencesOf(rows: readonly Row[]): Differences {
  const counts = rows.filter((row) => row['key'] === null)
  const count = (kind: string) => Number(counts.find((row) => row['kind'] === kind)?.['rows'] ?? 0)
  const sum = (name: string) => counts.reduce((total, row) => total + Number(row[name]), 0)
  const samples = (kind: string) => rows.filter((row) => row['key'] !== null && row['kind'] === kind).map(sampleOf)
  return {
    live: sum('in_live'),
    shadow: sum('in_shadow'),
    onlyLive: count('onlyLive'),
    onlyShadow: count('onlyShadow'),
    different: count('different'),
    newer: count('newer'),
    samples: { onlyLive: samples('onlyLive'), onlyShadow: samples('onlyShadow'), different: samples('different') },
  }
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
