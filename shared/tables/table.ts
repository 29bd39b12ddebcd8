/**
 * What a source table is, as data. One file a table stands beside this one; `pipeline.ts` imports them.
 */

/** The types a column may have, beside `numeric(p,s)` and arrays of each. */
export const plainTypes = [
  'uuid',
  'text',
  'citext',
  'smallint',
  'integer',
  'bigint',
  'numeric',
  'real',
  'double precision',
  'boolean',
  'date',
  'time',
  'timestamp',
  'timestamptz',
  'interval',
  'json',
  'jsonb',
  'bytea',
  'inet',
  /** Any enum of the source. Sinks keep its label as text, so that a new label never stops them. */
  'enum',
] as const

type Scalar = (typeof plainTypes)[number] | `numeric(${number},${number})`

/** A column's type as Postgres names it; `text[]` and the like are arrays. */
export type ColumnType = Scalar | `${Scalar}[]`

/** Whether a text is a column's type; for what the compiler has not seen. */
export function isColumnType(text: string): text is ColumnType {
  const scalar = text.replace(/\[\]$/, '')
  return /^numeric\(\d+,-?\d+\)$/.test(scalar) || plainTypes.some((type) => type === scalar)
}

export type Columns = Readonly<Record<string, ColumnType>>

export interface SourceTable<C extends Columns = Columns> {
  readonly schema: string
  readonly name: string
  /** The columns of the primary key, in the key's order. */
  readonly key: readonly (keyof C & string)[]
  /** The columns that sinks keep. A column of the source that is not listed still reaches bronze. */
  readonly columns: C
}

/** Types a table where it is written: the key must name columns, and each column a known type. */
export function table<const S extends string, const N extends string, const C extends Columns>(definition: {
  readonly schema: S
  readonly name: N
  readonly key: readonly (keyof C & string)[]
  readonly columns: C
}): { readonly schema: S; readonly name: N; readonly key: readonly (keyof C & string)[]; readonly columns: C } {
  return definition
}

/** `<schema>.<table>`, unquoted: how a table is named in event ids, in bronze and in messages. */
export function qualifiedName(of: { readonly schema: string; readonly name: string }): string {
  return `${of.schema}.${of.name}`
}
