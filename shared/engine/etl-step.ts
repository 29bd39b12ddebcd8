/** One bounded step of an ETL run: what a short function does before it lets the next one go on. */
import type { EtlRun } from '../ports/etl-control.ts'

export interface EtlStepOptions {
  /** The run's id, as `EtlControl.start` was given it. */
  readonly run: string
  /** Who works: unique to this function's life. */
  readonly owner: string
  /** No page is begun after so many milliseconds. Each step does one at least. */
  readonly budgetMs: number
  readonly signal: AbortSignal
  /** Told after each page, with the counts as they are written. */
  readonly onProgress?: (run: EtlRun) => void
}

export type EtlStepEnd =
  /** The budget is spent and there is more to do: call again at once. */
  | { readonly status: 'more'; readonly run: EtlRun }
  /** A fault that may pass; the run says which. Call again after `retryMs`. */
  | { readonly status: 'waiting'; readonly run: EtlRun; readonly retryMs: number }
  /** The run is over: success, failed or cancelled. Also when it was over before. */
  | { readonly status: 'ended'; readonly run: EtlRun }
  /** Somebody else works on the job: nothing was done. Call again after `retryMs`, in case that he dies. */
  | { readonly status: 'busy'; readonly run: EtlRun; readonly retryMs: number }
  /** No run has this id. */
  | { readonly status: 'unknown' }

/**
 * Does a part of a run under the job's lease, page by page, each page written with its checkpoint. May be killed anywhere and called again, by anybody.
 * Faults end in the run's record and in the answer; it throws only what makes that record unreachable, and when the signal aborts.
 */
export type EtlStep = (options: EtlStepOptions) => Promise<EtlStepEnd>
