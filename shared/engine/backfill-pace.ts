/** How many rows go in one sending, and when the next may. */
import type { Clock } from '../ports/clock.ts'

export interface PaceDeps {
  readonly clock: Clock
  /** Rows a second at most. */
  readonly rate: number | undefined
}

export interface Pace {
  /** How many rows the next sending should have. */
  readonly size: number
  /** Milliseconds until it may go. */
  waitMs(): number
  /** So many rows went, in so long. */
  sent(rows: number, tookMs: number): void
  /** That many could not go at once. */
  tooMany(rows: number): void
}

const FIRST = 100
const MOST = 1_000
/** A writer who wants a row that is being sent waits for so long, about. */
const TARGET_MS = 100
/** A limited rate goes in steps of that length: even, and not a call for each row. */
const STEP_MS = 200

/** Promises: never more than a thousand rows at once, and fewer the longer they take, so that a row is locked for a moment. */
export function createPace({ clock, rate }: PaceDeps): Pace {
  const most = rate === undefined ? MOST : Math.max(1, Math.min(MOST, Math.floor((rate * STEP_MS) / 1_000)))
  let size = Math.min(FIRST, most)
  let nextAt = clock.now()
  const set = (rows: number) => {
    size = Math.max(1, Math.min(most, Math.round(rows)))
  }
  return {
    get size() {
      return size
    },
    waitMs: () => Math.max(0, nextAt - clock.now()),
    sent: (rows, tookMs) => {
      // What was missed while there was no room is not made up for.
      if (rate !== undefined) nextAt = Math.max(nextAt, clock.now() - tookMs) + (rows * 1_000) / rate
      if (rows >= size) set(size * Math.max(0.5, Math.min(2, TARGET_MS / Math.max(1, tookMs))))
      else if (tookMs > TARGET_MS) set(Math.min(size, rows))
    },
    tooMany: (rows) => set(Math.min(size, rows) / 2),
  }
}
