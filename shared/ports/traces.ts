/** Where the changes of one key are, asked of each place on its own. All of it reads only, and none gives a row's values. */
import type { Op } from '../events/change.ts'
import type { SourceTable } from '../tables/table.ts'
import type { Cancellable } from './cancellable.ts'

export interface KeyOf {
  readonly table: SourceTable
  /** JSON array text of the key columns, as it stands on the topic. */
  readonly key: string
}

/** A change that is committed, and not acknowledged as being in Kafka. */
export interface WaitingChange {
  readonly version: number
  readonly op: Op
  /** ISO 8601, UTC, microseconds; so are all times here. */
  readonly occurredAt: string
  readonly traceparent: string | null
}

/** The source's outbox. Errors: `unavailable`, `misconfigured`. */
export interface WaitingChanges {
  /** The latest ones, newest first. */
  waiting(of: KeyOf, limit: number, options: Cancellable): Promise<readonly WaitingChange[]>
}

/** An event as bronze keeps it, but for its images. */
export interface KeptEvent {
  readonly eventId: string
  readonly version: number
  readonly op: string
  readonly occurredAt: string | null
  readonly claimedAt: string | null
  readonly publishedAt: string | null
  readonly receivedAt: string
  readonly topic: string
  readonly partition: number
  readonly offset: string
  readonly traceparent: string | null
}

/** A dead letter of the key. */
export interface TracedLetter {
  readonly id: string
  readonly consumer: string
  readonly eventId: string
  readonly topic: string
  readonly partition: number
  readonly offset: string
  readonly code: string
  readonly state: string
  readonly attempts: number
  readonly firstSeen: string
}

/** What the analytics database keeps of a key's past. Errors: `unavailable`, `misconfigured`. */
export interface History {
  /** The latest ones by version, newest first. */
  events(of: KeyOf, limit: number, options: Cancellable): Promise<readonly KeptEvent[]>
  letters(of: KeyOf, limit: number, options: Cancellable): Promise<readonly TracedLetter[]>
}

/** The key as a sink has it now. */
export interface Copy {
  readonly version: number
  readonly eventId: string | null
  readonly deleted: boolean
  /** When the sink took it. */
  readonly syncedAt: string | null
}

/** A sink that keeps the present row of each key. Errors: `unavailable`, `misconfigured`. */
export interface Copies {
  /** Null when the sink has nothing of the key, not even that it was deleted. */
  copy(of: KeyOf, options: Cancellable): Promise<Copy | null>
}
