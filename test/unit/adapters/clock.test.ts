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

test('a clock that is set back goes on from where it stood; one that is set forward, or right again, is followed', async () => {
  vi.useFakeTimers({ now: 1_000_000 })
  const clock = systemClock()
  expect(clock.now()).toBe(1_000_000)
  vi.setSystemTime(400_000)
  expect(clock.now()).toBe(1_000_000)
  await vi.advanceTimersByTimeAsync(250)
  expect(clock.now()).toBe(1_000_250)
  vi.setSystemTime(1_000_300)
  expect(clock.now()).toBe(1_000_300)
  vi.setSystemTime(9_000_000)
  expect(clock.now()).toBe(9_000_000)
})
