/** Waiting longer after each failure, never in step with others; and the one place where the error table's `retry` is carried out. */
import type { Clock } from '../ports/clock.ts'
import { actionFor } from './errors.ts'

export interface BackoffOptions {
  /** The first wait is between half of it and all of it. */
  readonly baseMs: number
  /** No wait is longer. */
  readonly maxMs: number
  /** From 0 up to but not 1. */
  readonly random: () => number
}

/** Waits in milliseconds, without end: doubling up to `maxMs`, each drawn from the upper half of its step, so that many who failed together do not come back together. */
export function* backoff({ baseMs, maxMs, random }: BackoffOptions): Generator<number, never> {
  for (let step = baseMs; ; step = Math.min(step * 2, maxMs)) {
    const most = Math.min(step, maxMs)
    yield Math.round(most / 2 + (most / 2) * random())
  }
}

export interface RetryOptions extends BackoffOptions {
  readonly clock: Clock
  readonly signal: AbortSignal
  /** How often the work is tried in all; left out, until it succeeds or the signal aborts. */
  readonly attempts?: number
  /** Told before each wait. */
  readonly onRetry?: (failure: { readonly error: unknown; readonly attempt: number; readonly waitMs: number }) => void
}

/**
 * Runs `work` until it succeeds. Only errors whose action is `retry` (`unavailable`, and what nobody classified) are tried
 * again; others, the last attempt's, and the one at hand when the signal aborts are thrown as they are.
 */
export async function retrying<T>(work: (attempt: number) => Promise<T>, options: RetryOptions): Promise<T> {
  const { attempts = Number.POSITIVE_INFINITY, clock, onRetry, signal } = options
  const waits = backoff(options)
  for (let attempt = 1; ; attempt += 1) {
    try {
      return await work(attempt)
    } catch (error) {
      if (actionFor(error) !== 'retry' || attempt >= attempts || signal.aborted) throw error
      const waitMs = waits.next().value
      onRetry?.({ error, attempt, waitMs })
      await clock.sleep(waitMs, { signal })
      if (signal.aborted) throw error
    }
  }
}
