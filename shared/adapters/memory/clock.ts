/** Time that moves when it is told to: each sleep ends when `next` or `advance` reaches it. */
import type { Clock } from '../../ports/clock.ts'

export interface MemoryClock extends Clock {
  /** Moves to the end of the earliest sleep and wakes it. False when nobody sleeps. */
  next(): boolean
  /** Moves by `ms` and wakes whoever's sleep has ended by then, earliest first. */
  advance(ms: number): void
}

interface Sleeper {
  readonly until: number
  readonly wake: () => void
}

export function memoryClock({ start = Date.UTC(2026, 10, 22, 18) }: { readonly start?: number } = {}): MemoryClock {
  let now = start
  const sleepers = new Set<Sleeper>()
  const earliest = () => [...sleepers].reduce<Sleeper | null>((first, one) => (first === null || one.until < first.until ? one : first), null)
  const wake = (sleeper: Sleeper) => {
    now = Math.max(now, sleeper.until)
    sleepers.delete(sleeper)
    sleeper.wake()
  }
  return {
    now: () => now,
    sleep: (ms, { signal }) =>
      new Promise((resolve) => {
        if (signal.aborted) return resolve()
        const woken = () => {
          signal.removeEventListener('abort', woken)
          sleepers.delete(sleeper)
          resolve()
        }
        const sleeper: Sleeper = { until: now + Math.max(0, ms), wake: woken }
        sleepers.add(sleeper)
        signal.addEventListener('abort', woken, { once: true })
      }),
    next: () => {
      const sleeper = earliest()
      if (sleeper !== null) wake(sleeper)
      return sleeper !== null
    },
    advance: (ms) => {
      const target = now + ms
      for (let sleeper = earliest(); sleeper !== null && sleeper.until <= target; sleeper = earliest()) wake(sleeper)
      now = target
    },
  }
}
