/** A key as a person has it → the text that stands on topics and in the sinks. Pure. */
import { elementsOf } from '../events/json-text.ts'
import type { ColumnType, SourceTable } from '../tables/table.ts'

/**
 * The key's text as Postgres prints `jsonb_build_array(<key columns>)::text`. `given` is the value itself where the key has one column,
 * or that text, blanks as one likes. Null when it can be no key of the table: another number of columns, letters where a number belongs.
 */
export function keyTextOf(table: SourceTable, given: string): string | null {
  const elements = elementsOf(given)
  const values = elements?.length === table.key.length ? elements.map(valueOf) : table.key.length === 1 ? [given] : null
  const printed = values?.map((value, at) => printedAs(table.columns[table.key[at] ?? ''] ?? 'text', value))
  return printed === undefined || printed.includes(null) ? null : `[${printed.join(', ')}]`
}

/** What `keyTextOf` takes for the table, for people. */
export function keyShapeOf(table: SourceTable): string {
  const columns = table.key.map((name) => `${name} (${table.columns[name] ?? 'text'})`).join(', ')
  return table.key.length === 1 ? `the value of ${columns}` : `a JSON array of ${columns}: ["…", "…"]`
}

/** The text within a JSON string, any other value as it stands. */
function valueOf(json: string): string {
  const value: unknown = json.startsWith('"') ? JSON.parse(json) : json
  return typeof value === 'string' ? value : json
}

function printedAs(type: ColumnType, value: string): string | null {
  if (/^(smallint|integer|bigint)$/.test(type)) return /^[-+]?\d+$/.test(value.trim()) ? String(BigInt(value)) : null
  if (/^(numeric|real|double)/.test(type)) return /^-?\d+(\.\d+)?([eE][-+]?\d+)?$/.test(value.trim()) ? value.trim() : JSON.stringify(value)
  if (type === 'boolean') return /^(t|true)$/.test(value) ? 'true' : /^(f|false)$/.test(value) ? 'false' : null
  if (type === 'uuid') return /^[\da-f]{8}(-[\da-f]{4}){3}-[\da-f]{12}$/i.test(value.trim()) ? JSON.stringify(value.trim().toLowerCase()) : null
  return type.endsWith('[]') || type === 'jsonb' ? value : JSON.stringify(value)
}
