import type { Cancellable } from './cancellable.ts'
import type { Doer, Letter, LetterFilter } from './letters.ts'
import type { Fence, WriteReport } from './sink.ts'

export const redriveStates = ['running', 'done', 'cancelled'] as const
export type RedriveState = (typeof redriveStates)[number]

/** A redrive of the letters of one consumer that its filter named when it was asked for. */
export interface RedriveJob {
  /** Text: a bigint. */
  readonly id: string
  readonly consumer: string
  readonly filter: LetterFilter
  readonly state: RedriveState
  /** How many letters the filter named when it was asked for. */
  readonly total: number
  /** How many have had their answer: accepted + duplicate + late + failed. Fewer than `total` in the end when others settled some. */
  readonly done: number
  readonly accepted: number
  readonly duplicate: number
  readonly late: number
  /** Could not be applied this time either. */
  readonly failed: number
  /** What holds it up now; null when nothing does. */
  readonly problem: string | null
  readonly actor: string
  /** ISO 8601, UTC. */
  readonly createdAt: string
  readonly updatedAt: string
  readonly finishedAt: string | null
}

/** A letter that could not be applied again. */
export interface Failure {
  readonly id: string
  readonly table: string | null
  readonly code: string
  readonly message: string
}

/** What became of the letters of one place under its fence. landed.length + failed.length = accepted + duplicate + late + failed.length */
export interface Settlement {
  readonly job: string
  readonly fence: Fence
  readonly landed: readonly string[]
  readonly failed: readonly Failure[]
  readonly report: Omit<WriteReport, 'rejected'>
}

/**
 * Redrives as jobs that anybody may go on with. Promises: a letter that was settled under a job is never taken by it again; what was taken
 * and not settled is taken again; letters that came after the job was asked for are none of its own. Errors: `unavailable`, `misconfigured`.
 */
export interface Redrives {
  /** A job for each of `consumers` that has open letters the filter names; with its entry in the audit. */
  start(of: Doer & { readonly filter: LetterFilter; readonly consumers: readonly string[] }, options: Cancellable): Promise<readonly RedriveJob[]>
  /** Those of a consumer that are to be done, the oldest first. */
  running(consumer: string, options: Cancellable): Promise<readonly RedriveJob[]>
  /** The latest first. */
  list(limit: number, options: Cancellable): Promise<readonly RedriveJob[]>
  find(id: string, options: Cancellable): Promise<RedriveJob | null>
  /**
   * The job's next letters, by id, now `redriven`: no more than `limit`, as many as fit into some megabytes, one at least. None: nothing is left, or
   * the job no longer runs. `after`: all letters up to this id are settled.
   */
  take(job: RedriveJob, after: string | null, limit: number, options: Cancellable): Promise<readonly Letter[]>
  /** Records the answers, counts what failed as consumed and dead under the fence, and moves the job on: all in one. Errors also: `fenced`. */
  settle(settlement: Settlement, options: Cancellable): Promise<void>
  /** Says what holds the job up. */
  hold(id: string, problem: string, options: Cancellable): Promise<void>
  /** After `take` gave none. */
  finish(id: string, options: Cancellable): Promise<void>
  /** Stops a running job; what it had taken is open again. False when it did not run. */
  cancel(of: Doer & { readonly id: string }, options: Cancellable): Promise<boolean>
}
