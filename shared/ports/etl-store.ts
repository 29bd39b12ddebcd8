import type { Change } from '../events/change.ts'
import type { EtlJob } from '../tables/etl-job.ts'
import type { Cancellable } from './cancellable.ts'
import type { EtlRun } from './etl-control.ts'
import type { EtlPage, Noted, RangeDigest } from './etl-source.ts'

/** The right to work on a job. A write under an epoch that has moved on is refused as `fenced`. */
export interface EtlLease {
  readonly job: string
  readonly run: string
  readonly epoch: number
}

/** What a step goes on from. */
export interface EtlProgress {
  readonly run: EtlRun
  /** Null: the run has not begun. */
  readonly position: { readonly phase: EtlPhase; readonly after: readonly string[] | null } | null
  /** The moment that was proven when the run began: its watermark may come up to there, less the margin. */
  readonly proven: string | null
  /** Cursors that are read, both ends included: ISO 8601; null: open. */
  readonly readFrom: string | null
  readonly readTo: string | null
  /** The highest cursor that was read before this run began. */
  readonly seenBefore: string | null
  /** Noted by an earlier run and not yet proven. */
  readonly noted: Noted | null
  readonly provenUntil: string | null
  /** Of the definition under which the run began; null: it has not begun. */
  readonly definitionHash: string | null
  /** Changed rows of an earlier page wait for their topic. */
  readonly unpublished: boolean
}

export const etlPhases = ['changes', 'rows', 'ranges'] as const
/** changes: by cursor and key. rows: by key, with what the source no longer has. ranges: comparing. */
export type EtlPhase = (typeof etlPhases)[number]

export type Taken =
  | { readonly status: 'held'; readonly lease: EtlLease; readonly progress: EtlProgress }
  | { readonly status: 'busy'; readonly run: EtlRun; readonly retryMs: number }
  | { readonly status: 'ended'; readonly run: EtlRun }
  | { readonly status: 'unknown' }

export interface Beginning {
  readonly phase: EtlPhase
  readonly loadType: EtlRun['loadType']
  readonly expected: number | null
  readonly definitionHash: string
  /** The source's clock. A watermark that lies above it was made by a clock that has stepped back since: it is lowered to it. */
  readonly now: string
  /** What is read: from the watermark less an overlap up to now and a margin (both in milliseconds); or the run's own span; or all. */
  readonly span: { readonly overlapMs: number; readonly marginMs: number } | 'asked' | 'all'
  readonly proven: string | null
  /** To be proven by a later run; null: there is nothing to wait for. */
  readonly noted: Noted | null
}

export interface PageWrite {
  readonly lease: EtlLease
  readonly job: EtlJob
  readonly page: EtlPage
  readonly phase: EtlPhase
  readonly dryRun: boolean
  /** Rows of silver in it that the page has not are taken out; null: none are. */
  readonly gone: { readonly after: readonly string[] | null; readonly upTo: readonly string[] | null } | null
  /** A page that repairs a range: what is unchanged in it is not counted, and what is changed at or below `watermark` was caught. */
  readonly repairs: boolean
  /** Changed at or below it: caught by the overlap, or by the comparison where the page repairs. Null: nothing is. */
  readonly caughtUpTo: string | null
  /** Where the run is then; null: where it was. */
  readonly position: readonly string[] | null
}

export interface EtlEnding {
  readonly status: 'success' | 'failed' | 'cancelled'
  /** Becomes the watermark, less the margin in milliseconds, where it is later than the one before. Null: the watermark stays. */
  readonly proven: { readonly at: string; readonly marginMs: number } | null
  readonly error: string | null
  readonly errorTraceback: string | null
  /** Of the definition under which the table was gone through; null: it was not. */
  readonly definitionHash: string | null
}

/**
 * Silver and the control tables, as a run writes them. Promises: a page's rows, its dead letters, what its topic is to have, the counts and the position are
 * one commit, under the present epoch alone; a row whose hash is the one that stands there is not touched, nor published. Errors: `unavailable`, `refused`, `fenced`, `misconfigured`.
 */
export interface EtlStore {
  take(of: { readonly run: string; readonly owner: string; readonly leaseMs: number }, options: Cancellable): Promise<Taken>
  begin(lease: EtlLease, beginning: Beginning, options: Cancellable): Promise<EtlProgress>
  write(write: PageWrite, options: Cancellable): Promise<EtlRun>
  /** Changes that were written and not yet `published`: the lowest versions first, those of a key in the order in which they were written. */
  unpublished(lease: EtlLease, most: { readonly maxRows: number; readonly maxBytes: number }, options: Cancellable): Promise<readonly Change[]>
  /** Kafka has all changes of the job up to this version: forgets them. */
  published(lease: EtlLease, upTo: number, options: Cancellable): Promise<void>
  /** Keys of rows that silver shows, as text, taken from all over the table: at most so many, and all where there are fewer. */
  sample(job: EtlJob, most: number, options: Cancellable): Promise<readonly (readonly string[])[]>
  /** Which of these ranges silver has otherwise; the first begins above `after`. */
  differing(
    of: { readonly job: EtlJob; readonly after: readonly string[] | null; readonly ranges: readonly RangeDigest[] },
    options: Cancellable,
  ): Promise<readonly number[]>
  /** Ranges that are equal: the run is behind them. */
  pass(lease: EtlLease, of: { readonly position: readonly string[]; readonly rows: number }, options: Cancellable): Promise<EtlRun>
  /** Keeps the run for another try, and lets go. */
  suspend(
    lease: EtlLease,
    of: { readonly error: string; readonly errorTraceback: string | null; readonly retryMs: number },
    options: Cancellable,
  ): Promise<EtlRun>
  end(lease: EtlLease, ending: EtlEnding, options: Cancellable): Promise<EtlRun>
  release(lease: EtlLease, options: Cancellable): Promise<void>
}
