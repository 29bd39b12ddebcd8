import type { Clock } from '../../ports/clock.ts'

/** A larger batch is a sign of load: then the index's own refresh interval of a second is enough. */
const SMALL_BATCH = 200
const LEAST_PAUSE_MS = 25
/** A refreshing write is followed by a pause of so many times its length, so that a slow cluster is not kept refreshing. */
const PAUSE_FACTOR = 1
/** One cold, slow refresh must not hide what comes after it for long. */
const LONGEST_PAUSE_MS = 250
/** A turn that nobody gives back (its write failed) counts as over after this. */
const LONGEST_TURN_MS = 1_000

export interface RefreshTurn {
  done(): void
}

export interface RefreshTurns {
  /** Null: not now. */
  take(index: string, documents: number): RefreshTurn | null
}

/**
 * Decides which writes make their documents visible at once: small ones, one at a time an index, with pauses that grow
 * with what refreshing costs. What is written between two turns is seen with the next one, or after the index's refresh interval.
 */
export function refreshTurns(clock: Pick<Clock, 'now'>): RefreshTurns {
  const notBefore = new Map<string, number>()
  return {
    take(index, documents) {
      const begin = clock.now()
      if (documents >= SMALL_BATCH || begin < (notBefore.get(index) ?? 0)) return null
      notBefore.set(index, begin + LONGEST_TURN_MS)
      return {
        done() {
          const end = clock.now()
          notBefore.set(index, end + Math.min(LONGEST_PAUSE_MS, Math.max(LEAST_PAUSE_MS, PAUSE_FACTOR * (end - begin))))
        },
      }
    },
  }
}
