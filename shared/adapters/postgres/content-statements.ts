/**
 * The statements that compare a table, for the source and for silver. Each takes two arrays of text, and answers one JSON array a line.
 * Key texts are put into ranges as the type `name`, whose length is fixed: among thousands of boundaries Postgres finds a text's place by
 * walking, and a name's by halving. A name keeps 63 bytes, so boundaries have 60 at most: both ways of comparing then agree.
 */
import { checkDigest, checkOfDigest, contentHash, keyText, type Side } from '../../mappings/content-text.ts'
import { quoted } from '../../mappings/column-types.ts'
import type { Pages } from '../../ports/reconcile.ts'
import type { SourceTable } from '../../tables/table.ts'

/** How a side of the comparison names its table. */
export interface ComparedTable {
  readonly table: SourceTable
  readonly side: Side
  /** Quoted, with `only` where partitions are none of it. */
  readonly from: string
  /** The types of the key's columns there, in the key's order. */
  readonly keyTypes: readonly string[]
}

export interface Statement {
  readonly text: string
  readonly texts: readonly [readonly string[], readonly string[]]
}

/** Rows a range: what has to be opened where one of them differs. */
const RANGE_ROWS = 250
const MOST_RANGES = 4_096
/** As many pages are looked at for the boundaries. */
const SAMPLED_PAGES = 1_600
const LONGEST_BOUNDARY = 60

export function sumsStatement(of: ComparedTable, boundaries: readonly string[], pages: Pages): Statement {
  const { side, table } = of
  const silver = side === 'silver'
  return {
    // Each `offset 0` keeps an expression that is read more than once from being computed as often.
    text: `select json_build_array(k.range, count(*), sum(k.content)::text${silver ? `, sum(${checkOfDigest('k.digest')})::text` : ''})::text as line from (
      select ${rangeOf('k.key')} as range, k.content${silver ? `, ${checkDigest('k.key', 'k.version')} as digest` : ''} from (
        select ${keyText(table, 'r')} as key, ${contentHash(table, side, 'r')} as content${silver ? ', r._version as version' : ''}
        from ${of.from} r where ${within(of, pages)} offset 0
      ) k offset 0
    ) k group by k.range`,
    texts: [boundaries, []],
  }
}

export function openStatement(of: ComparedTable, boundaries: readonly string[], ranges: readonly number[], pages: Pages): Statement {
  const { side, table } = of
  return {
    text: `select json_build_array(${keyText(table, 'r')}, ${contentHash(table, side, 'r')}::text${side === 'silver' ? ', r._version' : ''})::text as line
      from ${of.from} r where ${within(of, pages)} and ${rangeOf(keyText(table, 'r'))} = any ($2::text[]::int[])`,
    texts: [boundaries, ranges.map(String)],
  }
}

/** By key, through the key's index: a text that is another way of writing a value finds nothing. */
export function findStatement(of: ComparedTable, keys: readonly string[]): Statement {
  const { from, keyTypes, side, table } = of
  const members = table.key.map((_, nth) => `'key${nth + 1}', f.key::json -> ${nth}`).join(', ')
  const types = keyTypes.map((type, nth) => `key${nth + 1} ${type}`).join(', ')
  const same = table.key.map((name, nth) => `r.${quoted(name)} = c.key${nth + 1}`).join(' and ')
  const content = `${contentHash(table, side, 'r')}::text`
  const found = side === 'silver' ? `case when r._deleted_at is null then ${content} end, r._version` : content
  return {
    text: `select json_build_array(f.key, ${found})::text as line
      from unnest($1::text[]) f (key), json_to_record(json_build_object(${members})) c (${types}), ${from} r
      where ${same} and ${keyText(table, 'r')} = f.key`,
    texts: [keys, []],
  }
}

export function sampleStatement(of: ComparedTable, pages: number): Statement {
  const share = Math.min(1, SAMPLED_PAGES / Math.max(1, pages))
  const rows = `${keyText(of.table, 'r')} as key from ${of.from} r tablesample system (${share * 100})${of.side === 'silver' ? ' where r._deleted_at is null' : ''}`
  return {
    text: `select to_json(k.key)::text as line from (
      select k.key, row_number() over (order by k.key collate "C") as nth, count(*) over () as sampled from (select ${rows}) k
    ) k
    where k.nth % greatest(1, ceil(k.sampled / least(${MOST_RANGES}, greatest(1, k.sampled / ${share} / ${RANGE_ROWS}))))::bigint = 0
    order by k.nth`,
    texts: [[], []],
  }
}

/** Beginnings of keys in their order, each once. */
export function boundariesOf(keys: readonly string[]): readonly string[] {
  return [...new Set(keys.map(beginningOf))]
}

function beginningOf(key: string): string {
  const bytes = new TextEncoder().encode(key)
  if (bytes.length <= LONGEST_BOUNDARY) return key
  let end = LONGEST_BOUNDARY
  // Not within a letter.
  while (((bytes[end] ?? 0) & 0xc0) === 0x80) end -= 1
  return new TextDecoder().decode(bytes.subarray(0, end))
}

function rangeOf(key: string): string {
  return `width_bucket((${key})::name, $1::text[]::name[])`
}

function within({ side }: ComparedTable, { from, to }: Pages): string {
  const place = (page: number) => `'(${Math.trunc(page)},0)'::tid`
  return `r.ctid >= ${place(from)}${to === null ? '' : ` and r.ctid < ${place(to)}`}${side === 'silver' ? ' and r._deleted_at is null' : ''}`
}
