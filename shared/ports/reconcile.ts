/** What a reconcile asks of the places it compares, and of the outbox through which it repairs. */
import type { SourceTable } from '../tables/table.ts'
import type { Cancellable } from './cancellable.ts'

/** A stretch of a table's pages, as they lie on disk: from one on, up to but not another; null for its end, however far that is by now. */
export interface Pages {
  readonly from: number
  readonly to: number | null
}

/**
 * The rows of a range of keys in numbers that their order doesn't change. Ranges are numbered by the boundaries below or at a key,
 * which are compared by the bytes of their UTF-8: range 0 lies below the first boundary.
 */
export interface RangeSum {
  readonly range: number
  readonly rows: number
  /** The sum of the rows' 64-bit content hashes. */
  readonly content: bigint
}

export interface SilverSum extends RangeSum {
  /** The sum of the rows' 32-bit checks of key and version, as each document has one. */
  readonly check: bigint
}

export interface IndexSum {
  readonly range: number
  readonly rows: number
  /** Exact below 2^53, so for up to 2^21 documents. */
  readonly check: bigint
}

export interface SourceContent {
  readonly key: string
  /** A hash of what sinks keep of the row, the same in source and silver where that is the same. */
  readonly content: bigint
}

/** A row of silver. `content` is null for what was deleted. */
export interface SilverCopy {
  readonly key: string
  readonly content: bigint | null
  readonly version: number
}

export interface IndexCopy {
  readonly key: string
  readonly version: number
  readonly living: boolean
}

/** A table read stretch by stretch, each in one statement, and by key. */
interface TableContents<Sum extends RangeSum, Row extends SourceContent, Found> {
  /** How many pages it has. */
  pages(table: SourceTable, options: Cancellable): Promise<number>
  /** Beginnings of keys (at most 60 bytes) that divide its rows into ranges of about the same size, in order; none where there are few rows. */
  sample(table: SourceTable, options: Cancellable): Promise<readonly string[]>
  /** Only ranges that have rows in the stretch. */
  sums(table: SourceTable, boundaries: readonly string[], pages: Pages, options: Cancellable): Promise<readonly Sum[]>
  /** The rows of these ranges in the stretch. */
  open(table: SourceTable, boundaries: readonly string[], ranges: readonly number[], pages: Pages, options: Cancellable): Promise<readonly Row[]>
  /** Those of these keys that are there. */
  find(table: SourceTable, keys: readonly string[], options: Cancellable): Promise<readonly Found[]>
}

/**
 * The source's rows, read alone. Errors: `unavailable`, `misconfigured` (a column of the definition is missing, or may not be read), and
 * `refused` for a key that its type can't hold.
 */
export type SourceContents = TableContents<RangeSum, SourceContent, SourceContent>

/** Silver's rows. Stretches give the living alone, `find` also what was deleted. Errors: `unavailable`, `misconfigured`, `refused` as above. */
export type SilverContents = TableContents<SilverSum, SourceContent & { readonly version: number }, SilverCopy>

/** The documents of a table, those that its alias shows: not deleted, and above `floor`. Errors: `unavailable`, `misconfigured`. */
export interface IndexContents {
  /** Resolves when searches see all that was written before. */
  settle(table: SourceTable, options: Cancellable): Promise<void>
  /** One sum a range, for ranges `from` up to but not `to`. */
  sums(
    table: SourceTable,
    of: { readonly boundaries: readonly string[]; readonly from: number; readonly to: number; readonly floor: number },
    options: Cancellable,
  ): Promise<readonly IndexSum[]>
  /** The documents of a range in the order of their keys, those after `after`, up to `limit`. */
  open(
    table: SourceTable,
    of: { readonly boundaries: readonly string[]; readonly range: number; readonly floor: number; readonly after: string | null; readonly limit: number },
    options: Cancellable,
  ): Promise<readonly { readonly key: string; readonly version: number }[]>
  /** As they are now, refreshed or not, and also those that are hidden. */
  find(table: SourceTable, keys: readonly string[], floor: number, options: Cancellable): Promise<readonly IndexCopy[]>
}

export type Begun =
  /** What was committed before `at` (ISO 8601, UTC) is seen by whoever reads from now on. */
  { readonly status: 'begun'; readonly reconciliation: number; readonly at: string } | { readonly status: 'refused'; readonly reason: string }

export interface Drained {
  readonly version: number
  /** How many changes up to the version wait for Kafka; 1001 for more. */
  readonly left: number
  /** Within another life of the database, waiting changes are numbered anew. */
  readonly life: string
  readonly refused: string | null
}

export interface Resent {
  readonly sent: number
  /** Somebody held them: to be asked for again. */
  readonly locked: readonly string[]
  readonly gone: readonly string[]
  readonly keeps: 'images' | 'keys' | 'nothing'
}

export interface DrawnDeletes {
  readonly fence: string
  readonly versions: readonly (readonly [key: string, version: number])[]
}

/**
 * The source's side of a reconcile, as the service role. Promises: a repaired key gets a new version; a delete kills no row. Tables are named
 * `<schema>.<table>`. Errors: `unavailable`, `misconfigured`, `refused` for keys that can't be sent.
 */
export interface ReconcileSource {
  begin(table: SourceTable, options: Cancellable): Promise<Begun>
  /** The sinks hold what the table held when it began: its mark is done with. */
  end(table: SourceTable, reconciliation: number, options: Cancellable): Promise<boolean>
  drained(version: number | null, options: Cancellable): Promise<Drained>
  resend(table: SourceTable, keys: readonly string[], options: Cancellable): Promise<Resent>
  drawDeletes(table: SourceTable, keys: readonly string[], options: Cancellable): Promise<DrawnDeletes>
  /** False while a transaction from before the drawing is open; nothing was sent then. */
  sendDeletes(table: SourceTable, drawn: DrawnDeletes, options: Cancellable): Promise<boolean>
}
