import type { Clock } from '../ports/clock.ts'

/**
 * The machine's own clock. Set back, it goes on from where it stood, since every wait here counts by it: a run would sleep until
 * the old time had come again. A sleep that was cut short leaves no timer behind.
 */
export function systemClock(): Clock {
  let ahead = 0
  let last = Number.NEGATIVE_INFINITY
  return {
    now: () => {
      const real = Date.now()
      if (real >= last) ahead = 0
      else if (real + ahead < last) ahead = last - real
      last = real + ahead
      return last
    },
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
