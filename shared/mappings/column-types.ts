/** Which type a column of the source has in silver. */
import type { ColumnType, SourceTable } from '../tables/table.ts'

/**
 * The Postgres type that silver keeps a column in. The rule is that no row that was good in the source is refused here:
 * enums are text (a new label must not stop the sink), `numeric` has no precision (the source may be widened before the
 * definition is, and `1.50` keeps its digits), citext is text (the extension may be missing, and keys then keep their case).
 */
export function silverType(type: ColumnType): string {
  const array = type.endsWith('[]')
  const scalar = array ? type.slice(0, -2) : type
  return `${silverScalar(scalar)}${array ? '[]' : ''}`
}

function silverScalar(scalar: string): string {
  if (scalar === 'enum' || scalar === 'citext') return 'text'
  return scalar.startsWith('numeric') ? 'numeric' : scalar
}

/** Columns whose text has to reach silver unread: a `json` value may hold what Postgres' JSON functions refuse (`\u0000`). */
export function rawJsonColumns(table: SourceTable): readonly string[] {
  return Object.entries(table.columns)
    .filter(([, type]) => type === 'json')
    .map(([name]) => name)
}

/** An identifier as SQL text. */
export function quoted(name: string): string {
  return `"${name.replaceAll('"', '""')}"`
}
