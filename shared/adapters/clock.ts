import type { Clock } from '../ports/clock.ts'

/** The machine's own clock. A sleep that was cut short leaves no timer behind. */
export function systemClock(): Clock {
  return {
    now: () => Date.now(),
    sleep: (ms, { signal }) =>
      new Promise((resolve) => {
        if (signal.aborted) return resolve()
        const end = () => {
          clearTimeout(timer)
          signal.removeEventListener('abort', end)
          resolve()
        }
        const timer = setTimeout(end, ms)
        signal.addEventListener('abort', end)
      }),
  }
}
