import type { EtlJob } from '../tables/etl-job.ts'
import type { Cancellable } from './cancellable.ts'

/** What a relation really has: column → type, as Postgres names it. */
export interface EtlRelation {
  readonly columns: Readonly<Record<string, string>>
  /** Its rows are copied from a primary: who is open there can't be seen. */
  readonly isStandby: boolean
  /** Where it is a column of a table without an index that begins with it: how to make one. */
  readonly missingIndex: string | null
}

/** A moment of the source's clock, and who was open then and might still write. */
export interface Noted {
  /** As Postgres prints it, with microseconds. */
  readonly at: string
  readonly open: readonly string[]
}

/** A column of a page, as Postgres sends an array of its type. */
export interface PackedColumn {
  /** Of the elements. */
  readonly type: string
  readonly bytes: Uint8Array
}

/** A row that will never fit its columns. */
export interface RejectedRow {
  readonly key: readonly (string | null)[]
  readonly column: string
  readonly code: string
  /** Never the value. */
  readonly reason: string
  /** The row as the source printed it: JSON, name → text or null. */
  readonly row: string
}

export interface EtlPage {
  /** How many were read, those rejected as well. */
  readonly rows: number
  /** Cleaned, without those rejected. */
  readonly columns: Readonly<Record<string, PackedColumn>>
  readonly hashes: PackedColumn
  /** Where the next page begins: the last row's key, with its cursor before it where the page is in the cursor's order. Null: no row. */
  readonly last: readonly string[] | null
  /** False: these were the last. */
  readonly hasMore: boolean
  readonly rejected: readonly RejectedRow[]
  readonly unknownWords: number
}

/** In the order of keys, or of cursor and key. Ends are text, as `last` gives them. */
export interface PageRequest {
  readonly order: 'key' | 'cursor'
  /** Not part of the page; null: from the first. */
  readonly after: readonly string[] | null
  /** The last key that is part of it; null: no end. Only in the order of keys. */
  readonly upTo: readonly string[] | null
  /** Cursors outside are left out; both ends are part of it. Null: open. */
  readonly from: string | null
  readonly to: string | null
  /** Null: all up to the end. */
  readonly limit: number | null
}

/** Rows with keys above the one before's `last`, up to its own. */
export interface RangeDigest {
  readonly last: readonly string[]
  readonly rows: number
  /** Of the rows' hashes: exact, a whole number as text. */
  readonly sum: string
}

export interface JobOnSource {
  readonly job: EtlJob
  /** What hashes are salted with: see `definitionHash`. Hashes under other salts never agree. */
  readonly salt: string
}

/**
 * A database that is only read. Promises: each call has a snapshot of its own, and none outlives it; what `note` gives was open at `at` or
 * later, and whoever is not in it and writes began after `at`; hashes are of the row as it stands in the source, and equal for equal rows alone (but for one in 2^64).
 * Errors: `unavailable`, `misconfigured` (no relation, no right, a column gone).
 */
export interface EtlSource {
  /** Null: there is no such relation. */
  inspect(job: EtlJob, options: Cancellable): Promise<EtlRelation | null>
  note(options: Cancellable): Promise<Noted>
  /** Those of `noted` that have not ended; who prepared a transaction since then counts among them. */
  stillOpen(noted: Noted, options: Cancellable): Promise<readonly string[]>
  page(of: JobOnSource, request: PageRequest, options: Cancellable): Promise<EtlPage>
  /** Up to `ranges` ranges of `rows` rows each, in the order of keys. None: there is no row above `after`. */
  digests(
    of: JobOnSource,
    request: { readonly after: readonly string[] | null; readonly ranges: number; readonly rows: number },
    options: Cancellable,
  ): Promise<readonly RangeDigest[]>
  /** How many of these keys, each different, it has. */
  has(job: EtlJob, keys: readonly (readonly string[])[], options: Cancellable): Promise<number>
  /** About how many rows a request would bring. */
  estimate(job: EtlJob, request: Pick<PageRequest, 'from' | 'to'>, options: Cancellable): Promise<number>
}
