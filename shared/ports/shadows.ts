import type { SourceTable } from '../tables/table.ts'
import type { Cancellable } from './cancellable.ts'
import type { Fence, Sink } from './sink.ts'

/** What the sink calls the live one and its copy. */
export interface ShadowNames {
  readonly live: string
  readonly shadow: string
}

/** One row in which the two differ. */
export interface Difference {
  readonly key: string
  /** Null: not there, or deleted. */
  readonly liveVersion: number | null
  readonly shadowVersion: number | null
  /** What differs by name, as kind and size; empty where one of the two has no such row. */
  readonly columns: Readonly<Record<string, { readonly live: unknown; readonly shadow: unknown }>>
}

export const differenceKinds = ['onlyLive', 'onlyShadow', 'different'] as const
export type DifferenceKind = (typeof differenceKinds)[number]

/** Living rows alone: a deleted row is not there. */
export interface Differences extends Readonly<Record<DifferenceKind, number>> {
  /** How many rows each has. */
  readonly live: number
  readonly shadow: number
  /** Written into the live one since the replay began: no differences; a swap brings them along. */
  readonly newer: number
  /** A few of each kind. */
  readonly samples: Readonly<Record<DifferenceKind, readonly Difference[]>>
}

export interface Followed {
  /** How many rows the live one had newer, in this step. */
  readonly copied: number
  /** Where the next step begins. */
  readonly next: string
  /** This step reached what was the end when it began. */
  readonly ended: boolean
}

export type Swapped =
  | { readonly status: 'swapped'; readonly copied: number }
  /** Nothing was changed. */
  | { readonly status: 'obstructed'; readonly why: string }

interface Of {
  readonly table: SourceTable
  readonly names: ShadowNames
}

/**
 * Copies of a consumer's live table or index, beside it: made, filled through `sink` as the live one is, compared, made the live one, removed.
 * Every step is idempotent. Errors: `unavailable`, `misconfigured`, `refused`; `fenced` where a fence is given.
 */
export interface Shadows {
  /** Writes into shadows what the consumer's sink writes into the live ones, under the same guards. */
  readonly sink: Sink
  /** An empty copy, made if it isn't there, and what the two are called. */
  make(table: SourceTable, options: Cancellable): Promise<ShadowNames>
  /** Compares the two row by row. `since`: a row that was written into the live one later is no difference, only newer. */
  compare(of: Of & { readonly since: string; readonly told: (rows: number) => Promise<void> }, options: Cancellable): Promise<Differences>
  /** One bounded step beside the stream: what the live one has newer is copied. `from`: null begins. */
  follow(of: Of & { readonly from: string | null }, options: Cancellable): Promise<Followed>
  /**
   * The shadow becomes the live one and the other way round, at one moment for all readers, and no write is lost between them: what the stream wrote into
   * the live one is in the shadow by then, and what it writes next goes there. Done again after it was done it changes nothing. `from`: where following ended.
   */
  swap(of: Of & { readonly job: string; readonly fence: Fence; readonly from: string }, options: Cancellable): Promise<Swapped>
  /** Removes the one that is named `shadow`; nothing when it is gone. Errors also: `refused` when readers are led to it. */
  drop(of: Of, options: Cancellable): Promise<void>
}
