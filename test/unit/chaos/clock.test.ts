import { runInNewContext } from 'node:vm'
import { expect, test } from 'vitest'
import { clockShiftOf, shiftClock } from '../../../infra/local/shifted-clock.ts'

/** As workerd and Deno get it: by its text, in a scope of its own. */
function scopeWith(shift: { offMs: number; afterMs: number }, realNow: () => number): { run: (code: string) => unknown } {
  const scope = { realNow }
  runInNewContext('globalThis.Date.now = realNow', scope)
  runInNewContext(`(${shiftClock.toString()})(globalThis, ${JSON.stringify(shift)})`, scope)
  return { run: (code) => runInNewContext(code, scope) }
}

test('is off from the moment on that was asked for, for Date.now and new Date alike', () => {
  let real = 1_000_000
  const { run } = scopeWith({ offMs: -300_000, afterMs: 5_000 }, () => real)
  expect(run('Date.now()')).toBe(1_000_000)
  real += 4_999
  expect(run('Date.now()')).toBe(1_004_999)
  real += 1
  expect(run('Date.now()')).toBe(705_000)
  expect(run('new Date().getTime()')).toBe(705_000)
})

test('leaves everything else of Date as it was', () => {
  const { run } = scopeWith({ offMs: 60_000, afterMs: 0 }, () => 0)
  expect(run("new Date('2026-01-02T03:04:05.006Z').toISOString()")).toBe('2026-01-02T03:04:05.006Z')
  expect(run('new Date(5).getTime() + Date.UTC(1970, 0, 1) + Date.parse("1970-01-01T00:00:00Z")')).toBe(5)
  expect(run('new Date() instanceof Date && typeof Date() === "string"')).toBe(true)
})

test('an environment that asks for none has none', () => {
  expect(clockShiftOf({})).toBeUndefined()
  expect(clockShiftOf({ CLOCK_OFF_MS: '' })).toBeUndefined()
  expect(clockShiftOf({ CLOCK_OFF_MS: '-60000', CLOCK_OFF_AFTER_MS: '500' })).toEqual({ offMs: -60_000, afterMs: 500 })
})
