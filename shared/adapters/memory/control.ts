import type { Clock } from '../../ports/clock.ts'
import type { Control } from '../../ports/control.ts'
import { buryLetter } from './letters.ts'
import { assertEpoch, count, type MemoryAnalytics, placeOf } from './analytics.ts'

/** The control tables in memory. */
export function memoryControl({ analytics, clock }: { readonly analytics: MemoryAnalytics; readonly clock: Clock }): Control {
  return {
    take: async (of, { signal }) => {
      signal.throwIfAborted()
      const epoch = (analytics.epochs.get(placeOf(of)) ?? 0) + 1
      analytics.epochs.set(placeOf(of), epoch)
      return epoch
    },
    advance: async (fence, nextOffset, consumed, { accepted, duplicate, late }, { signal }) => {
      signal.throwIfAborted()
      assertEpoch(analytics, fence)
      count(analytics, fence, nextOffset, { consumed, accepted, duplicate, late, dead: 0 }, clock.now())
    },
    bury: async (letters, fence, nextOffset, { signal }) => {
      signal.throwIfAborted()
      assertEpoch(analytics, fence)
      for (const letter of letters) {
        buryLetter(analytics, fence.consumer, letter, clock.now())
      }
      count(analytics, fence, nextOffset, { consumed: letters.length, accepted: 0, duplicate: 0, late: 0, dead: letters.length }, clock.now())
    },
    raiseFloor: async (floor, fence, { signal }) => {
      signal.throwIfAborted()
      assertEpoch(analytics, fence)
      const present = analytics.floors.get(floor.table)
      if (present !== undefined && present.version >= floor.version) return present
      analytics.floors.set(floor.table, floor)
      return floor
    },
    floors: async ({ signal }) => {
      signal.throwIfAborted()
      return [...analytics.floors.values()]
    },
    progress: async ({ signal }) => {
      signal.throwIfAborted()
      return [...analytics.progress.values()]
    },
  }
}
