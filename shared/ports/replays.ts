import type { KeptEvent } from '../events/kept-event.ts'
import type { Cancellable } from './cancellable.ts'
import type { Doer } from './letters.ts'
import type { Differences, ShadowNames } from './shadows.ts'
import type { Fence, WriteReport } from './sink.ts'

export const replayKinds = ['replay', 'shadow', 'swap'] as const
/** Into the consumer itself · into a copy of its table beside the live one · that copy becomes the live one. */
export type ReplayKind = (typeof replayKinds)[number]

export const replayStates = ['running', 'done', 'cancelled'] as const
export type ReplayState = (typeof replayStates)[number]

export const replayPhases = ['filling', 'comparing', 'following', 'switching'] as const
export type ReplayPhase = (typeof replayPhases)[number]

/** Which events of a table. */
export interface ReplayRange {
  /** `<schema>.<table>` */
  readonly table: string
  /** The key's text, for the events of one row. */
  readonly key: string | null
  /** Occurred at this time or later: ISO 8601. */
  readonly since: string | null
  /** Occurred before this time. */
  readonly until: string | null
}

/** What a job has found, beside its counts: no values. */
export interface ReplayReport {
  /** Some of what could not be applied. */
  readonly failures?: readonly { readonly eventId: string; readonly code: string; readonly message: string }[]
  /** Between the live one and its shadow. */
  readonly differences?: Differences
}

export interface ReplayJob extends ReplayRange {
  /** Text: a bigint. */
  readonly id: string
  readonly kind: ReplayKind
  readonly consumer: string
  readonly state: ReplayState
  readonly phase: ReplayPhase
  /** How many events there were when it was asked for. Bronze may have got more of that range meanwhile, as partitions are not in step: they are done as well. */
  readonly total: number
  /** How many have had their answer: accepted + duplicate + late + failed. */
  readonly done: number
  readonly accepted: number
  /** The sink had this very version. */
  readonly duplicate: number
  /** The sink had a newer one. */
  readonly late: number
  readonly failed: number
  /** Rows compared or copied in the present phase. */
  readonly steps: number
  /** What holds it up now, or why it ended without having done it; null when nothing does. */
  readonly problem: string | null
  /** A `ReplayReport` as it was stored. */
  readonly report: unknown
  readonly actor: string
  /** ISO 8601, UTC; so are all times here. */
  readonly createdAt: string
  readonly updatedAt: string
  readonly finishedAt: string | null
}

export const shadowStates = ['filling', 'ready', 'former'] as const
/** A replay writes it · it may be swapped · it was the live one until the last swap. */
export type ShadowState = (typeof shadowStates)[number]

/** A copy beside a consumer's live table or index. */
export interface ShadowEntry {
  readonly consumer: string
  /** `<schema>.<table>` */
  readonly table: string
  /** What the sink calls the two; null until the copy is made. */
  readonly live: string | null
  readonly shadow: string | null
  readonly state: ShadowState
  /** The last job that was asked for it. */
  readonly job: string
  readonly madeAt: string
}

export interface Page {
  readonly events: readonly KeptEvent[]
  /** The ids of those whose key was deleted later, in the range or not: their tombstones may be purged, and nothing but that delete keeps them from coming back. */
  readonly outlived: ReadonlySet<string>
  /** What the next page begins after. */
  readonly position: string
}

/** What became of the events up to `position`. accepted + duplicate + late + failed events were in the page. */
export interface PageSettlement {
  readonly job: string
  readonly fence: Fence
  readonly position: string
  readonly report: Omit<WriteReport, 'rejected'>
  readonly failures: readonly { readonly eventId: string; readonly code: string; readonly message: string }[]
  /** Whether nobody else counts the failures as consumed and dead under the fence. */
  readonly countsDead: boolean
}

/**
 * Replays, shadows and swaps as jobs that anybody may go on with. Promises: what was settled is never given again; what was given and not settled is
 * given again; a job that was cancelled gives nothing more, and one that switches can't be cancelled. Errors: `unavailable`, `misconfigured`; `fenced` where a fence is given.
 */
export interface Replays {
  /** How many events there are. */
  count(range: ReplayRange, options: Cancellable): Promise<number>
  /** The first and the last event of the range. */
  ends(range: ReplayRange, options: Cancellable): Promise<readonly KeptEvent[]>
  /** With its entry in the audit. For `shadow`, null when the consumer has one of the table already. */
  start(
    of: Doer & { readonly kind: 'replay' | 'shadow'; readonly consumer: string; readonly range: ReplayRange },
    options: Cancellable,
  ): Promise<ReplayJob | null>
  /** Asks for a swap; null when there is no shadow that may be swapped now. */
  swap(of: Doer & { readonly consumer: string; readonly table: string }, options: Cancellable): Promise<ReplayJob | null>
  /** Those of a consumer that are to be done, the oldest first. */
  running(consumer: string, options: Cancellable): Promise<readonly ReplayJob[]>
  /** The latest first. */
  list(limit: number, options: Cancellable): Promise<readonly ReplayJob[]>
  find(id: string, options: Cancellable): Promise<ReplayJob | null>
  /** The events after all that was settled: no more than `limit`, as many as fit into some megabytes, one at least. None: nothing is left, or the job no longer runs. */
  page(job: ReplayJob, limit: number, options: Cancellable): Promise<Page>
  /** Records the answers and moves the job on, in one; sent twice it counts once. */
  settle(settlement: PageSettlement, options: Cancellable): Promise<void>
  /** Says what the job does now and how far it is; false when it no longer runs. */
  tell(of: { readonly job: string; readonly fence: Fence; readonly phase: ReplayPhase; readonly steps: number }, options: Cancellable): Promise<boolean>
  /** Says what holds the job up. */
  hold(id: string, problem: string, options: Cancellable): Promise<void>
  /** Ends a job that did what was asked, once: a shadow is `ready` then; after a swap it is `former`, and live and shadow have each other's name. */
  finish(of: { readonly job: ReplayJob; readonly report: ReplayReport }, options: Cancellable): Promise<void>
  /** Ends a job that can't be done, with the reason. */
  giveUp(id: string, problem: string, options: Cancellable): Promise<void>
  /** Stops a running job; false when it did not run, or switches just now. */
  cancel(of: Doer & { readonly id: string }, options: Cancellable): Promise<boolean>
  shadows(options: Cancellable): Promise<readonly ShadowEntry[]>
  /** Records under which names the copy was made. */
  made(of: { readonly consumer: string; readonly table: string } & ShadowNames, options: Cancellable): Promise<void>
  /** Forgets a shadow that was removed, with an entry in the audit; false when a job works on it, or there is none. */
  forget(of: Doer & { readonly consumer: string; readonly table: string }, options: Cancellable): Promise<boolean>
}
