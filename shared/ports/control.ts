import type { Cancellable } from './cancellable.ts'
import type { DeadLetter, Fence, WriteReport } from './sink.ts'

export interface Progress {
  readonly consumer: string
  readonly topic: string
  readonly partition: number
  readonly epoch: number
  readonly nextOffset: string
  readonly consumed: number
  readonly accepted: number
  readonly duplicate: number
  readonly late: number
  readonly dead: number
  /** ISO 8601 UTC. */
  readonly updatedAt: string
}

/** The version at or below which every row of a table is dead: a TRUNCATE drew it. */
export interface Floor {
  /** `<schema>.<table>` */
  readonly table: string
  /** 0: none was ever raised. */
  readonly version: number
  /** When the TRUNCATE occurred: ISO 8601, UTC, microseconds. Null while there is no floor. */
  readonly occurredAt: string | null
}

/**
 * The control tables in the analytics database (schema `ops`). Promises: an epoch is given out once; counters,
 * offsets and floors never go back. Errors: `unavailable`, `fenced`, `misconfigured`.
 */
export interface Control {
  /** Takes a partition for `owner` and gives its new epoch; every older epoch is refused from then on. */
  take(of: { readonly consumer: string; readonly topic: string; readonly partition: number; readonly owner: string }, options: Cancellable): Promise<number>
  /** Records what a sink has settled when the sink itself keeps no progress (`consumed` is the batch's own count). */
  advance(fence: Fence, nextOffset: string, consumed: number, report: WriteReport, options: Cancellable): Promise<void>
  /** Stores dead letters (the same record again is the same letter with one attempt more), and counts them as consumed and dead. */
  bury(letters: readonly DeadLetter[], fence: Fence, nextOffset: string, options: Cancellable): Promise<void>
  /**
   * Raises a table's floor and gives the present one: the highest that anybody raised. Resolves when no batch that knew a lower one is under way any more,
   * so that what was written below it can be swept. Errors also: `refused` for a floor that can't be stored.
   */
  raiseFloor(floor: Floor, fence: Fence, options: Cancellable): Promise<Floor>
  /** The floors of all tables that ever had one. */
  floors(options: Cancellable): Promise<readonly Floor[]>
  progress(options: Cancellable): Promise<readonly Progress[]>
}
