/**
 * What a source table is, as data. One file a table stands beside this one; `pipeline.ts` imports them.
 */

type Scalar =
  | 'uuid'
  | 'text'
  | 'citext'
  | 'smallint'
  | 'integer'
  | 'bigint'
  | 'numeric'
  | `numeric(${number},${number})`
  | 'real'
  | 'double precision'
  | 'boolean'
  | 'date'
  | 'time'
  | 'timestamp'
  | 'timestamptz'
  | 'interval'
  | 'json'
  | 'jsonb'
  | 'bytea'
  | 'inet'
  /** Any enum of the source. Sinks keep its label as text, so that a new label never stops them. */
  | 'enum'

/** A column's type as Postgres names it; `text[]` and the like are arrays. */
export type ColumnType = Scalar | `${Scalar}[]`

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
