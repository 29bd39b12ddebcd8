import type { Cancellable } from './cancellable.ts'

/** offered: rows that were there before their table was captured; nobody has begun. */
export type BackfillState = 'offered' | 'running' | 'paused' | 'cancelled' | 'done'

export interface Backfill {
  readonly id: number
  /** `<schema>.<table>` */
  readonly table: string
  /** A condition in SQL; null for every row. */
  readonly condition: string | null
  /** Rows whose own times lie before it are left out (ISO 8601); null for none. */
  readonly since: string | null
  readonly limit: number | null
  readonly state: BackfillState
  /** Somebody holds its lease. One that is running and not worked on was interrupted. */
  readonly worked: boolean
  /** The last key that was sent or waits; null before the first. */
  readonly reached: string | null
  /** Keys that somebody held, or for which there was no room: to be sent again. */
  readonly waiting: readonly string[]
  /** About how many rows there are to see; null when nobody knows. */
  readonly estimate: number | null
  readonly seen: number
  readonly sent: number
  /** Deleted between the reading of their keys and their turn: their end was captured. */
  readonly gone: number
  /** Could not be printed. The table is marked to be reconciled. */
  readonly failed: number
  /** ISO 8601. */
  readonly beganAt: string
  readonly endedAt: string | null
}

export interface BackfillRequest {
  /** `<schema>.<table>`, captured. */
  readonly table: string
  readonly condition: string | null
  /** How far back the rows' own times may lie from now. */
  readonly spanMs: number | null
  readonly limit: number | null
  readonly estimate: number | null
}

export type Hold =
  | { readonly status: 'held'; readonly epoch: number; readonly backfill: Backfill }
  /** Somebody else works on it. */
  | { readonly status: 'busy'; readonly retryMs: number; readonly backfill: Backfill }
  | { readonly status: 'ended'; readonly backfill: Backfill }
  | { readonly status: 'unknown' }

export interface Sending {
  readonly id: number
  readonly epoch: number
  /** Of rows to be sent; none renews the lease alone. */
  readonly keys: readonly string[]
  /** How many of the rows were never seen before, and the last key of those; 0 and null for keys that were waiting. */
  readonly seen: number
  readonly reached: string | null
  /** Keys whose rows can not be printed: counted, and not asked for again. */
  readonly failed: readonly string[]
  readonly leaseMs: number
}

export type Sent =
  | {
      readonly status: 'held'
      readonly backfill: Backfill
      /** False while so much waits for Kafka that users' changes would wait behind more. */ readonly room: boolean
    }
  /** Somebody else has taken it over, and nothing was sent. */
  | { readonly status: 'fenced' }

export type Steering = 'pause' | 'resume' | 'cancel'

export type Steered = { readonly status: 'done' | 'unchanged' | 'declined'; readonly backfill: Backfill } | { readonly status: 'unknown' }

/**
 * The backfills of the source database. Promises: keys are sent, and how far a backfill got is noted, in one transaction, under the
 * present epoch alone; a read is never older than what was written before it; a row that somebody holds is not waited
 * for; nothing is sent of one that is not running. Not its job: reading keys, retries, pace. Errors: `unavailable`, `misconfigured`
 * (a table that is not captured: code `not-captured`), `refused` for rows that can't be printed, or take too long together: fewer may go.
 */
export interface Backfills {
  /** Begins one, or gives the one that was asked for in the same words and has not ended. */
  start(request: BackfillRequest, options: Cancellable): Promise<Backfill>
  hold(of: { readonly id: number; readonly owner: string; readonly leaseMs: number }, options: Cancellable): Promise<Hold>
  send(sending: Sending, options: Cancellable): Promise<Sent>
  /** Lets go; with `done`, notes that every row was sent (none may be waiting). Null when somebody else has it. */
  release(of: { readonly id: number; readonly epoch: number; readonly done: boolean }, options: Cancellable): Promise<Backfill | null>
  steer(id: number, action: Steering, options: Cancellable): Promise<Steered>
  /** Newest first. */
  list(options: Cancellable): Promise<readonly Backfill[]>
}
