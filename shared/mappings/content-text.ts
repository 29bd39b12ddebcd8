/**
 * What a reconcile compares of a row, as SQL that gives the same text in the source and in silver where silver holds what the source's row
 * says. Silver's types are looser (numeric without precision, enum and citext as text), but each prints what it was given: so the text is that of
 * the types' own output, under the settings under which rows are printed for the outbox.
 */
import type { ColumnType, SourceTable } from '../tables/table.ts'
import { quoted } from './column-types.ts'

export type Side = 'source' | 'silver'

/** Blanks around a `json` value don't travel. */
const BLANKS = `E' \\t\\n\\r'`

/** Types whose values are the same where their bytes are: printing them takes longer than all else. */
const HASHED_AS_THEY_ARE: ReadonlySet<ColumnType> = new Set(['uuid', 'timestamptz', 'timestamp'])

/**
 * An expression over the row `alias`: a 64-bit hash of its columns of the definition, the key's included. The hash of a record is a sum over its
 * columns, and sums of sums don't tell whose value is whose: so it is hashed once more.
 */
export function contentHash(table: SourceTable, side: Side, alias: string): string {
  const columns = Object.entries(table.columns).map(([name, type]) => ({ column: `${alias}.${quoted(name)}`, type }))
  const whole = columns.filter(({ type }) => HASHED_AS_THEY_ARE.has(type)).map(({ column, type }) => `${column}::${type}`)
  const texts = columns.filter(({ type }) => !HASHED_AS_THEY_ARE.has(type)).map(({ column, type }) => columnText(column, type, side))
  const ofTexts = `hashtextextended(row(${texts.join(', ')})::text collate "C", 0)`
  return whole.length === 0 ? ofTexts : `hashint8extended(hash_record_extended(row(${[...whole, ofTexts].join(', ')}), 0), 0)`
}

/** The key as triggers write it. */
export function keyText(table: SourceTable, alias: string): string {
  return `jsonb_build_array(${table.key.map((name) => `${alias}.${quoted(name)}`).join(', ')})::text`
}

/** What 32 bits of key and version as `checkOf` gives them are taken of. Both are expressions; so is `digest`, named once and read four times. */
export function checkDigest(key: string, version: string): string {
  return `sha256(convert_to(${key} || ':' || ${version}, 'UTF8'))`
}

export function checkOfDigest(digest: string): string {
  const byte = (at: number) => `get_byte(${digest}, ${at})`
  return `((${byte(0)}::bigint << 24) | (${byte(1)} << 16) | (${byte(2)} << 8) | ${byte(3)})`
}

/** Arrays travel as JSON, which knows no lower bounds; the null of json arrives as NULL. */
function columnText(column: string, type: ColumnType, side: Side): string {
  if (type.endsWith('[]')) return `array_to_json(${column})::text`
  if (type === 'json') return side === 'source' ? `nullif(btrim(${column}::text, ${BLANKS}), 'null')` : `btrim(${column}::text, ${BLANKS})`
  if (type === 'jsonb' && side === 'source') return `nullif(${column}::text, 'null')`
  return column
}
