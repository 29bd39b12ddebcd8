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

/** An expression over the row `alias`: a 64-bit hash of its columns of the definition, the key's included. */
export function contentHash(table: SourceTable, side: Side, alias: string): string {
  const columns = Object.entries(table.columns).map(([name, type]) => columnText(`${alias}.${quoted(name)}`, type, side))
  return `hashtextextended(row(${columns.join(', ')})::text collate "C", 0)`
}

/** The key as triggers write it. */
export function keyText(table: SourceTable, alias: string): string {
  return `jsonb_build_array(${table.key.map((name) => `${alias}.${quoted(name)}`).join(', ')})::text`
}

/** 32 bits of key and version as `checkOf` gives them. Both are expressions. */
export function checkText(key: string, version: string): string {
  return `('x' || left(encode(sha256(convert_to(${key} || ':' || ${version}, 'UTF8')), 'hex'), 8))::bit(32)::bigint`
}

/** Arrays travel as JSON, which knows no lower bounds; the null of json arrives as NULL. */
function columnText(column: string, type: ColumnType, side: Side): string {
  if (type.endsWith('[]')) return `array_to_json(${column})::text`
  if (type === 'json') return side === 'source' ? `nullif(btrim(${column}::text, ${BLANKS}), 'null')` : `btrim(${column}::text, ${BLANKS})`
  if (type === 'jsonb' && side === 'source') return `nullif(${column}::text, 'null')`
  return column
}
