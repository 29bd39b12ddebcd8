import type { Change } from '../events/change.ts'
import type { Cancellable } from './cancellable.ts'

export interface ClaimRequest {
  readonly shard: number
  /** Unique to this invocation of capture. */
  readonly owner: string
  readonly leaseMs: number
  /** Only versions above it are read. Zero reads all there is: a lower version may be committed late, and must go before a later one of its key. */
  readonly floor: number
  /** Versions that this owner has claimed and not yet seen acknowledged: they are left out. */
  readonly beside: readonly number[]
  readonly maxRows: number
  readonly maxBytes: number
  /** How long the database may wait for a row or for the lease before it answers with nothing. Must stay below `leaseMs`. */
  readonly waitMs: number
}

export type Claim =
  | { readonly status: 'held'; readonly epoch: number; readonly changes: readonly Change[]; readonly more: boolean }
  | { readonly status: 'busy'; readonly retryMs: number }
  /** The outbox may not be read now; `reason` tells a person why and what to do. */
  | { readonly status: 'refused'; readonly reason: string }

export type Settled = { readonly status: 'done' } | { readonly status: 'fenced'; readonly epoch: number }

/** What is older than it should be, for the sweep and for people. */
export interface Backlog {
  readonly rows: number
  readonly oldestMs: number | null
  readonly leased: boolean
  readonly failures: number
  /** Why claim refuses, with what to do; null when it serves. */
  readonly refused: string | null
  /** What is kept of new changes: above the outbox's budget their keys alone, far above it nothing. */
  readonly keeps: Keeps
  readonly tables: readonly TableBacklog[]
}

export type Keeps = 'images' | 'keys' | 'nothing'

export interface TableBacklog {
  readonly table: string
  readonly topic: string
  readonly failures: number
  /** What keeps the table from being captured, with what to do. */
  readonly problem: string | null
  /** Since when it has to be reconciled (ISO 8601). */
  readonly reconcileSince: string | null
  /** Since when its history may have gaps, for only keys were kept: the present rows arrive, what they were in between doesn't. */
  readonly keysOnlySince: string | null
}

/**
 * The outbox of the source database. Promises: a change is there once its transaction has committed, and until it is
 * acknowledged under the present epoch; changes of one key come in version order; one owner at a time holds a shard.
 * Not its job: retries, budgets, publishing. Errors: `unavailable`, `misconfigured`.
 */
export interface Outbox {
  claim(request: ClaimRequest, options: Cancellable): Promise<Claim>
  /** Deletes what Kafka has. Refused (`fenced`) when the epoch has moved on. */
  acknowledge(shard: number, epoch: number, versions: readonly number[], options: Cancellable): Promise<Settled>
  release(shard: number, epoch: number, options: Cancellable): Promise<Settled>
  backlog(options: Cancellable): Promise<Backlog>
}
