import type { LetterState } from '../events/dead-letter.ts'
import type { LogRecord } from '../events/envelope.ts'
import type { Cancellable } from './cancellable.ts'

/** Which letters: those that meet all that is given. An empty filter is every letter. */
export interface LetterFilter {
  readonly ids?: readonly string[]
  readonly consumer?: string
  /** `<schema>.<table>` */
  readonly table?: string
  readonly fingerprint?: string
  readonly state?: LetterState
  /** First seen at this time or later: ISO 8601. */
  readonly since?: string
  /** First seen before this time: ISO 8601. */
  readonly until?: string
}

/** What is known of a letter, but for what its event says. */
export interface LetterSummary {
  /** Text: a bigint. */
  readonly id: string
  readonly consumer: string
  readonly topic: string
  readonly partition: number
  readonly offset: string
  readonly eventId: string
  readonly table: string | null
  readonly key: string | null
  /** An SQLSTATE, an Elasticsearch error type or one of our own codes. */
  readonly code: string
  readonly message: string
  /** The same for letters that fail alike. */
  readonly fingerprint: string
  /** How often it could not be applied. */
  readonly attempts: number
  /** ISO 8601, UTC. */
  readonly firstSeen: string
  readonly lastSeen: string
  readonly state: LetterState
  /** The redrive that took it last. */
  readonly job: string | null
  /** Why it was discarded. */
  readonly reason: string | null
  /** The id of the event that was sent in its place. */
  readonly replacedBy: string | null
  readonly endedAt: string | null
}

/** A letter with its record as it came. */
export interface Letter extends LetterSummary {
  readonly record: LogRecord
}

export interface LetterPage<T> {
  readonly letters: readonly T[]
  /** What the next page begins after; null when there is none. */
  readonly next: string | null
}

/** Letters that fail alike. */
export interface LetterGroup {
  readonly fingerprint: string
  readonly consumer: string
  readonly table: string | null
  readonly code: string
  /** The latest message. */
  readonly message: string
  readonly letters: number
  readonly firstSeen: string
  readonly lastSeen: string
}

/** Who did it, as `ops.audit` names him. */
export interface Doer {
  readonly actor: string
}

/**
 * The dead letters as people look at them and decide about them. Every change keeps to the table of transitions, stands in the audit
 * with the same commit, and changes no letter that has moved on meanwhile. Not its job: redriving. Errors: `unavailable`, `misconfigured`.
 */
export interface Letters {
  /** Newest first. */
  list(of: { readonly filter: LetterFilter; readonly limit: number; readonly after: string | null }, options: Cancellable): Promise<LetterPage<LetterSummary>>
  /** The same with the records, as many as fit into some megabytes, one at least. */
  read(of: { readonly filter: LetterFilter; readonly limit: number; readonly after: string | null }, options: Cancellable): Promise<LetterPage<Letter>>
  find(id: string, options: Cancellable): Promise<Letter | null>
  /** The largest groups first, no more than `limit`. */
  groups(filter: LetterFilter, limit: number, options: Cancellable): Promise<readonly LetterGroup[]>
  /** How many there are by consumer and state. */
  count(filter: LetterFilter, options: Cancellable): Promise<readonly { readonly consumer: string; readonly state: LetterState; readonly letters: number }[]>
  /** Ends what the filter names and can be discarded, no more than `limit`; gives how many it were. Call it until that is none. */
  discard(of: Doer & { readonly filter: LetterFilter; readonly reason: string; readonly limit: number }, options: Cancellable): Promise<number>
  /** Ends a letter in whose place `eventId` was sent; false when it had moved on meanwhile. */
  replace(of: Doer & { readonly id: string; readonly eventId: string }, options: Cancellable): Promise<boolean>
}
