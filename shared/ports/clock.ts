import type { Cancellable } from './cancellable.ts'

export interface Clock {
  /** Milliseconds since 1970, UTC. */
  now(): number
  /** Resolves after `ms`, or at once when the signal aborts: look at the signal afterwards. */
  sleep(ms: number, options: Cancellable): Promise<void>
}
