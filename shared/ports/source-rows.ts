import type { Cancellable } from './cancellable.ts'

export interface Selection {
  /** `<schema>.<table>` */
  readonly table: string
  /** A condition in SQL over the table's columns; null for every row. */
  readonly condition: string | null
  /** Only rows whose own times are not before it (ISO 8601). */
  readonly since: string | null
}

export interface SourceRow {
  /** As the triggers write it. */
  readonly key: string
  /** What stands in a column `status`; null without one. */
  readonly status: string | null
  /** The day of its last change, of its beginning where it has no other (YYYY-MM-DD, UTC); null without such a column. */
  readonly day: string | null
}

export type Checked = { readonly ok: true } | { readonly ok: false; /** With what to do. */ readonly reason: string }

/**
 * Rows as they stand in the source database, read and never written. Promises: pages come in the order of the keys and hold each row that
 * stood there all the time; no snapshot outlives a call. Errors: `unavailable`, `misconfigured`.
 */
export interface SourceRows {
  /** Whether rows can be selected so: the table and its key are there, the condition can be asked of it, and there are times to compare. */
  check(selection: Selection, options: Cancellable): Promise<Checked>
  /** About how many rows there are; exact for few. */
  estimate(selection: Selection, options: Cancellable): Promise<number>
  /** Up to `limit` rows behind a key; from the first where it is null. */
  page(selection: Selection, after: string | null, limit: number, options: Cancellable): Promise<readonly SourceRow[]>
}
