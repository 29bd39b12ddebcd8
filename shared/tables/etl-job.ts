/** What an ETL job is, as data. One file a job stands beside this one; `pipeline.ts` imports them. */
import type { ColumnType } from './table.ts'

/** What is done to a column's text before its type is looked at; in this order, whatever the order of the list. */
export const cleanings = ['trim', 'blank-to-null', 'nan-to-null', 'infinity-to-null', 'email', 'phone', 'utc'] as const
/**
 * `blank-to-null`: text of nothing or of spaces. `nan-to-null`: NaN, NaT, None, null as words. `infinity-to-null`: of numbers and times.
 * `email`: trimmed, lower case. `phone`: `+` and digits. `utc`: a time without a zone is read as UTC.
 */
export type Cleaning = (typeof cleanings)[number]

export interface EtlColumn {
  /** The type in silver. */
  readonly type: ColumnType
  readonly clean?: readonly Cleaning[]
  /** Numbers outside are rejected: both ends are allowed. */
  readonly between?: readonly [least: number, most: number]
  /** Words for the numbers 0, 1, 2, …; any other number is kept as `unknown(7)`, and counted. */
  readonly words?: readonly string[]
}

export type EtlColumns = Readonly<Record<string, EtlColumn>>

/** The databases that jobs may read, by the name of their setting. */
export const etlDatabases = ['chatwoot'] as const
export const deleteModes = ['ignore', 'mark', 'remove'] as const

/** Five cron fields (minute, hour, day, month, weekday), read on the clock of a named time zone. */
export interface EtlSchedule {
  readonly cron: string
  readonly timeZone: string
}

/** What a job reads, in one of those databases; it gives every column by its name. */
export type EtlOrigin = { readonly database: (typeof etlDatabases)[number] } & (
  | {
      /** A table or view, `<schema>.<name>`. */
      readonly relation: string
    }
  | {
      /**
       * One SELECT. A page is a condition around it: where Postgres can move that to the tables (no LIMIT, no aggregate over whole
       * tables, no window), a page costs a page.
       */
      readonly query: string
    }
)

/** As people are told of it. */
export function originName(source: EtlOrigin): string {
  return 'query' in source ? 'its query' : source.relation
}

/** A job with its names forgotten: what the engine runs. */
export interface EtlJob {
  readonly source: EtlOrigin
  /** What makes a row one: never null, never twice. Whole numbers or uuid, whose order is the same in every database. */
  readonly key: readonly string[]
  /** A time that the source raises when it writes a row, as far as it does. */
  readonly cursor: string
  /** Its table in the schema silver. */
  readonly into: string
  readonly columns: EtlColumns
  /** Read again before the last watermark: what clocks that step back may hide. A number and ms, s, m, h or d. */
  readonly overlap: string
  /** How far the clocks of those who write the cursor may be apart from the database's. */
  readonly margin: string
  readonly pageRows: number
  /** What becomes of a row that the source no longer has: nothing, `_deleted_at`, or it goes. */
  readonly deletes: (typeof deleteModes)[number]
  /** When it loads by itself what has changed; left out: only when somebody asks. Moments that were missed are one run. */
  readonly schedule?: EtlSchedule
  /** When source and copy are compared: what was written past the cursor, and what was deleted, is found then. */
  readonly reconcile?: EtlSchedule
  /** Rows that it changes are published there, at least once, as a source table's changes are: the key's changes in their order. Of no table or other job. */
  readonly topic?: string
  /** Columns that look like secrets and are wanted all the same. */
  readonly secrets?: readonly string[]
}

/** Types a job where it is written: key, cursor and secrets must name columns. */
export function etlJob<const C extends EtlColumns>(
  definition: Omit<EtlJob, 'key' | 'cursor' | 'columns' | 'secrets'> & {
    readonly key: readonly (keyof C & string)[]
    readonly cursor: keyof C & string
    readonly columns: C
    readonly secrets?: readonly (keyof C & string)[]
  },
): EtlJob {
  return definition
}
