import type { Cancellable } from './cancellable.ts'

export interface AuditEntry {
  /** Who: `operator`, or the part that acts by itself. */
  readonly actor: string
  /** What: `consumer.stop`. */
  readonly action: string
  /** To what: a consumer's name. */
  readonly subject: string
  /** Whatever more tells what was done: JSON values, no row's values. */
  readonly details?: Readonly<Record<string, unknown>>
}

export interface DeadLetterCount {
  readonly consumer: string
  readonly state: string
  readonly letters: number
}

/** From the change in the source to its row in bronze. */
export interface Latency {
  readonly windowMs: number
  readonly events: number
  /** Null when no event came in the window. */
  readonly p50Ms: number | null
  readonly p99Ms: number | null
}

/** What an operator asks of the analytics database beside the control tables. Errors: `unavailable`, `misconfigured`. */
export interface Operations {
  /** Resolves when the entry is durable. */
  audit(entry: AuditEntry, options: Cancellable): Promise<void>
  deadLetters(options: Cancellable): Promise<readonly DeadLetterCount[]>
  latency(windowMs: number, options: Cancellable): Promise<Latency>
}
