import type { Cancellable } from './cancellable.ts'

export const loadTypes = ['incremental', 'full', 'backfill', 'reconcile'] as const
/**
 * incremental: what has changed since the watermark; a job that never loaded loads all. full: everything, then what the source no longer has is
 * taken out. backfill: rows whose cursor lies in a span. reconcile: source and copy compared by key ranges, and only what differs is read.
 */
export type LoadType = (typeof loadTypes)[number]

export const runStatuses = ['running', 'success', 'failed', 'cancelled'] as const
export type RunStatus = (typeof runStatuses)[number]

export const runTriggers = ['manual', 'scheduler', 'api'] as const
export type RunTrigger = (typeof runTriggers)[number]

/** Times are ISO 8601, UTC, microseconds: text, for a Date cuts them. */
export interface EtlRun {
  readonly id: string
  readonly job: string
  readonly loadType: LoadType
  readonly triggeredBy: RunTrigger
  readonly status: RunStatus
  readonly startedAt: string
  readonly completedAt: string | null
  /** Of a run that has ended. */
  readonly durationSeconds: number | null
  readonly watermarkStart: string | null
  readonly watermarkEnd: string | null
  /** The span of a backfill: both ends are part of it. */
  readonly from: string | null
  readonly to: string | null
  /** Everything is counted, and no row written. */
  readonly dryRun: boolean
  /** Rows that the source no longer has are taken out however many they are. */
  readonly acceptDeletes: boolean
  readonly cancelAsked: boolean
  /** extracted = inserted + updated + unchanged + rejected. A reconcile extracts the rows that differ, and those alone. */
  readonly extracted: number
  readonly inserted: number
  readonly updated: number
  readonly unchanged: number
  /** Marked or removed, as the job says. */
  readonly deleted: number
  /** Kept as dead letters. */
  readonly rejected: number
  /** New or changed at or below the highest cursor that was read before: a reader of `cursor > last` would have lost them. */
  readonly caughtByOverlap: number
  /** Rows that differed though nothing at the cursor said so, deletes included: nobody but a comparison finds them. */
  readonly caughtByReconcile: number
  /** Values without a word of their own: `unknown(7)`. */
  readonly unknownWords: number
  readonly pages: number
  /** Rows looked at so far, for a bar: those extracted, and those that a reconcile has compared. */
  readonly seen: number
  /** About how many there are to look at; null when nobody knows. */
  readonly expected: number | null
  /** 1 for a run that nothing disturbed; one more for each time that it was taken up again after a fault or a kill. */
  readonly attempt: number
  /** What is wrong and what to do next: class, code, words. Also of a run that will try again. Never a row's value, never a credential. */
  readonly error: string | null
  /** Where in the program, file and line alone. */
  readonly errorTraceback: string | null
  /** When a run that met a fault tries again; null when it needs not wait. */
  readonly retryAt: string | null
  readonly codeVersion: string | null
}

export interface EtlRequest {
  /** A uuid of the caller's: the same id again is the same run. */
  readonly id: string
  readonly job: string
  readonly loadType: LoadType
  readonly triggeredBy: RunTrigger
  /** Of a backfill: a time with a zone; null: open at that end. */
  readonly from: string | null
  readonly to: string | null
  readonly dryRun: boolean
  /** Left out: a run that would take more than half of the copy out fails instead. */
  readonly acceptDeletes?: boolean
  readonly codeVersion: string | null
}

export type Started =
  | { readonly status: 'started'; readonly run: EtlRun }
  /** This id was started before; nothing was begun. */
  | { readonly status: 'repeated'; readonly run: EtlRun }
  /** Another run of the job is going, and nothing was begun. */
  | { readonly status: 'busy'; readonly run: EtlRun }

/** What stands in the control tables about a job. A job that never ran has nulls. */
export interface EtlJobState {
  readonly job: string
  /** Where the next incremental run begins, before its overlap. */
  readonly watermark: string | null
  readonly running: EtlRun | null
  /** The latest that has ended. */
  readonly last: EtlRun | null
  /** The latest ended well, dry runs aside. */
  readonly lastSuccess: EtlRun | null
  readonly lastReconcile: EtlRun | null
  /** The latest reconcile that ended well or failed, dry runs aside. */
  readonly lastCompared: EtlRun | null
  /** Of the definition that filled the table, see `definitionHash`; null before the first full load. */
  readonly definitionHash: string | null
  /** Somebody works on it until then. */
  readonly leasedUntil: string | null
  /** Every transaction that could still write a cursor up to then has ended. */
  readonly provenUntil: string | null
}

export type WatermarkSet =
  | { readonly status: 'set'; readonly before: string | null; readonly after: string }
  /** `reason`: what is wrong with it, and what is allowed. Nothing was changed. */
  | { readonly status: 'refused'; readonly reason: string }
  | { readonly status: 'busy'; readonly run: EtlRun }

/**
 * Runs of ETL jobs as people and schedules see them. Promises: of a job one run is going at a time, also when two ask at once; an id is one run for
 * ever; a watermark that somebody sets stands in the audit with the same commit. Not its job: to work on runs (see `createEtlStep`), to know jobs.
 * Errors: `unavailable`, `misconfigured`.
 */
export interface EtlControl {
  start(request: EtlRequest, options: Cancellable): Promise<Started>
  /** Asks a run to end before its next page. Unchanged when it has ended; null when there is none. */
  cancel(of: { readonly id: string; readonly actor: string }, options: Cancellable): Promise<EtlRun | null>
  find(id: string, options: Cancellable): Promise<EtlRun | null>
  /** The latest first; of every job where it is null. `before`: an id, those older than it. */
  list(of: { readonly job: string | null; readonly limit: number; readonly before: string | null }, options: Cancellable): Promise<readonly EtlRun[]>
  /** Runs that are to be worked on, of every job: a sweep wakes them. */
  running(options: Cancellable): Promise<readonly EtlRun[]>
  /** One entry a name, in their order. */
  states(jobs: readonly string[], options: Cancellable): Promise<readonly EtlJobState[]>
  /** Refused: what is no time with a zone, and what lies in the future of the database's clock. */
  setWatermark(of: { readonly job: string; readonly to: string; readonly actor: string }, options: Cancellable): Promise<WatermarkSet>
}
