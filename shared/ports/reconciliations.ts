import type { Cancellable } from './cancellable.ts'

/** Where the copy is: the rows of silver, or the documents of the index. */
export type ComparedSink = 'silver' | 'index'

/** missing: the source has it, the sink has not. extra: the other way round. different: other content in silver, another version in the index. */
export type Discrepancy = 'missing' | 'different' | 'extra'

export interface Finding {
  readonly sink: ComparedSink
  readonly what: Discrepancy
  /** As it stands on the topic. */
  readonly key: string
}

export interface SinkVerdict {
  readonly sink: ComparedSink
  readonly missing: number
  readonly different: number
  readonly extra: number
}

export interface Outcome {
  /** What was committed before it was compared: ISO 8601, UTC. */
  readonly asOf: string
  /** Rows of the source. */
  readonly rows: number
  /** What is wrong now: where something was repaired, what is left. */
  readonly sinks: readonly SinkVerdict[]
  /** Some of what is wrong. */
  readonly keys: readonly Finding[]
  /** Keys that were written again and again while they were looked at, and so were not judged. */
  readonly moving: number
  /** Rows in ranges that differ and were not opened, since it were too many at once. */
  readonly unopened: number
  /** Findings that a repair has mended. */
  readonly mended: number
}

/** The last reconcile of a table that has ended. */
export interface Verdict {
  readonly id: number
  /** `<schema>.<table>` */
  readonly table: string
  readonly actor: string
  /** ISO 8601, UTC; so are all times here. */
  readonly endedAt: string
  /** The last that came to an end; null before the first. */
  readonly outcome: Outcome | null
  /** Why the last one failed, where a later one than that of the outcome did; null otherwise. */
  readonly problem: string | null
}

export type Taken =
  /** `pass` is what was kept last, null for one that begins now. */
  | { readonly status: 'taken'; readonly id: number; readonly epoch: number; readonly pass: unknown }
  /** Somebody else works on it. */
  | { readonly status: 'busy' }

interface Held {
  readonly id: number
  readonly epoch: number
}

/**
 * Reconciles under way and over, in the analytics database. Promises: one at a time for each table and actor; who lost the lease changes
 * nothing any more (false). Errors: `unavailable`, `misconfigured`.
 */
export interface Reconciliations {
  /** Begins one, or goes on with the one of the same table and actor that nobody works on any more, unless `anew`: then that one has failed. */
  take(
    of: { readonly table: string; readonly actor: string; readonly repair: boolean; readonly owner: string; readonly leaseMs: number; readonly anew: boolean },
    options: Cancellable,
  ): Promise<Taken>
  /** Renews the lease, and notes how far it has come where `pass` is given. */
  keep(of: Held & { readonly leaseMs: number; readonly pass?: unknown }, options: Cancellable): Promise<boolean>
  finish(of: Held & { readonly outcome: Outcome }, options: Cancellable): Promise<boolean>
  fail(of: Held & { readonly problem: string }, options: Cancellable): Promise<boolean>
  /** Lets go of it, for whoever comes next to go on. */
  release(of: Held, options: Cancellable): Promise<boolean>
  /** One a table, by name. */
  latest(options: Cancellable): Promise<readonly Verdict[]>
}
