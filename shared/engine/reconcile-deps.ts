import type { SourceTable } from '../tables/table.ts'
import type { Cancellable } from '../ports/cancellable.ts'
import type { Clock } from '../ports/clock.ts'
import type { Control } from '../ports/control.ts'
import type { Log } from '../ports/log.ts'
import type { IndexContents, ReconcileSource, SilverContents, SourceContents } from '../ports/reconcile.ts'
import type { Reconciliations } from '../ports/reconciliations.ts'
import type { Watermarks } from '../ports/watermarks.ts'

export interface ReconcileDeps {
  readonly source: SourceContents
  readonly silver: SilverContents
  /** Null where no consumer keeps an index of the table. */
  readonly index: IndexContents | null
  readonly outbox: ReconcileSource
  readonly watermarks: Watermarks
  readonly control: Pick<Control, 'progress' | 'floors'>
  readonly reconciliations: Reconciliations
  readonly clock: Clock
  readonly log: Log
  /** From 0 up to but not 1. */
  readonly random: () => number
}

/** What of a definition a reconcile is about. */
export interface ComparedTable {
  readonly table: SourceTable
  readonly topic: string
  /** Those that write what is compared. */
  readonly consumers: readonly string[]
}

export type Doing = 'waiting for the sinks' | 'reading all sides' | 'opening what differs' | 'looking again' | 'repairing'

/** `done` of `total` pages, ranges or keys; null where nobody knows how many. */
export type OnProgress = (doing: Doing, done: number, total: number | null) => void

/** Tries until the other side answers, or the signal aborts: the run's, unless another is given. */
export type Persistently = <T>(what: string, work: () => Promise<T>, options?: Cancellable) => Promise<T>
