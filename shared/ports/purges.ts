/** What the purge of tombstones needs of the world. */
import type { SourceTable } from '../tables/table.ts'
import type { Cancellable } from './cancellable.ts'

/** The right to purge one table of a consumer's sink, for a lease. A write under an epoch that has moved on is refused as `fenced`. */
export interface PurgeHold {
  readonly consumer: string
  /** `<schema>.<table>` */
  readonly table: string
  readonly epoch: number
  /** Where the pass goes on; null for its beginning. */
  readonly position: number | null
}

export interface Horizon {
  /** What the sink took as deleted before this moment may go: ISO 8601, UTC. Null: nothing may. */
  readonly before: string | null
  /** Why it is no later than it is, in words; empty when only age counts. */
  readonly heldBack: readonly string[]
}

/** How the purge of a table stands. */
export interface PurgeState extends Horizon {
  readonly consumer: string
  readonly table: string
  /** When it was last looked at: ISO 8601, UTC; null before the first time. */
  readonly lookedAt: string | null
  /** How many tombstones have gone, ever. */
  readonly purged: number
}

/** Dead letters that may still be redriven. */
export interface UnsettledLetters {
  readonly letters: number
  /** When the oldest of their records was published (milliseconds since 1970); null when there are none. */
  readonly oldestMs: number | null
}

export interface Replays {
  /** They bring past events from bronze. */
  readonly running: number
  /** A tombstone that is missing in the live one or in the copy alone would let a late event bring a row back with the swap. */
  readonly shadows: number
}

/**
 * The purges' own tables, and what the analytics database knows of older events on their way. Promises: one holder at a time for a table of
 * a consumer. Errors: `unavailable`, `fenced`, `misconfigured`.
 */
export interface Purges {
  /** Those of `tables` that are due and that nobody holds. */
  take(
    of: { readonly consumer: string; readonly tables: readonly string[]; readonly owner: string; readonly leaseMs: number },
    options: Cancellable,
  ): Promise<readonly PurgeHold[]>
  /** Records what was found out before anything is purged. */
  look(hold: PurgeHold, horizon: Horizon, options: Cancellable): Promise<void>
  /** Counts and audits what a step has purged, and moves the pass on. For sinks that can't do it with the step itself. */
  count(hold: PurgeHold, step: PurgeStep & { readonly before: string }, options: Cancellable): Promise<void>
  /** Lets go. With `dueInMs` the pass is over, and the next is due then; without, it goes on where it is. */
  release(hold: PurgeHold, dueInMs: number | null, options: Cancellable): Promise<void>
  /** Letters of a topic that these consumers may still redrive. */
  unsettled(of: { readonly topic: string; readonly consumers: readonly string[] }, options: Cancellable): Promise<UnsettledLetters>
  /** Replays of a table into these consumers, and copies that stand beside its live ones. */
  replays(of: { readonly table: string; readonly consumers: readonly string[] }, options: Cancellable): Promise<Replays>
  /** Of every table that was ever looked at. */
  states(options: Cancellable): Promise<readonly PurgeState[]>
}

export interface PurgeStep {
  readonly rows: number
  /** Where the next step begins; null when the pass is over. */
  readonly next: number | null
}

/**
 * The tombstones of a sink. Promises: a step is of bounded size, and takes away nothing but rows whose deletion the sink took before the
 * horizon, as they stand at that moment; what it took is counted in `ops.purge` and audited. Errors: `unavailable`, `fenced`, `misconfigured`.
 */
export interface Tombstones {
  purge(
    of: { readonly table: SourceTable; readonly hold: PurgeHold; readonly from: number | null; readonly before: string },
    options: Cancellable,
  ): Promise<PurgeStep>
}

/** What topics hold. Errors: `unavailable`, `misconfigured`. */
export interface RecordAges {
  /** A moment before which no record of the topic was published, at most an hour too early; `until` (milliseconds since 1970) when none is older than that. */
  since(topic: string, untilMs: number, options: Cancellable): Promise<number>
}
