import { afterEach, expect, test, vi } from 'vitest'
import { systemClock } from '../../../shared/adapters/clock.ts'

afterEach(() => vi.useRealTimers())

test('a sleep takes its time', async () => {
  vi.useFakeTimers()
  let woken = false
  void systemClock()
    .sleep(1_000, { signal: new AbortController().signal })
    .then(() => (woken = true))
  await vi.advanceTimersByTimeAsync(999)
  expect(woken).toBe(false)
  await vi.advanceTimersByTimeAsync(1)
  expect(woken).toBe(true)
})

test('an aborted sleep ends at once and leaves no timer', async () => {
  vi.useFakeTimers()
  const stop = new AbortController()
  const sleeping = systemClock().sleep(1_000, { signal: stop.signal })
  stop.abort()
  await sleeping
  expect(vi.getTimerCount()).toBe(0)
  await systemClock().sleep(1_000, { signal: stop.signal })
  expect(vi.getTimerCount()).toBe(0)
})
