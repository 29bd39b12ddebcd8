import { resolve } from 'node:path'
import { describe, expect, test } from 'vitest'
import { vitestCounts } from '../report.ts'

const passed = { fullName: 'a row arrives', status: 'passed' }
const ended = (code: number, output = '') => ({ code, output })
const file = (assertionResults: readonly object[], status = 'failed', message = '') => ({
  name: resolve('test/unit/a.test.ts'),
  status,
  message,
  assertionResults,
})
const report = (numPassedTests: number, numTotalTests: number, ...testResults: readonly object[]) =>
  JSON.stringify({ numPassedTests, numTotalTests, testResults })

describe('what a suite counted', () => {
  test('all passed', () => {
    expect(vitestCounts(ended(0), report(1, 1, file([passed], 'passed')))).toEqual({ passed: 1, failed: 0, failures: [] })
  })

  test('a test that failed is named with its file and the beginning of what it said', () => {
    const failed = { fullName: 'a row is lost', status: 'failed', failureMessages: [`seed 7 ${'x'.repeat(9_000)}`] }
    const { failed: count, failures } = vitestCounts(ended(1), report(1, 2, file([passed, failed])))
    expect(count).toBe(1)
    expect(failures?.[0]).toMatch(/^test\/unit\/a\.test\.ts > a row is lost \(failed\): seed 7 x{1493}$/)
  })

  test('a skipped test has failed', () => {
    const skipped = { fullName: 'a row waits', status: 'pending' }
    expect(vitestCounts(ended(0), report(1, 2, file([passed, skipped], 'passed')))).toEqual({
      passed: 1,
      failed: 1,
      failures: ['test/unit/a.test.ts > a row waits (pending): '],
    })
  })

  test('a file that never came to its first test is named with why', () => {
    expect(vitestCounts(ended(1), report(0, 0, file([], 'failed', 'no such module')))).toEqual({
      passed: 0,
      failed: 1,
      failures: ['test/unit/a.test.ts: no such module'],
    })
  })

  test('an error outside of any test is told with the output from there on', () => {
    expect(vitestCounts(ended(1, 'all well … Unhandled Errors: ended by the server'), report(1, 1, file([passed], 'passed')))).toEqual({
      passed: 1,
      failed: 1,
      failures: ['Unhandled Errors: ended by the server'],
    })
  })

  test('no report, or one without tests, is a failure', () => {
    expect(vitestCounts(ended(0), null)).toMatchObject({ passed: 0, failed: 1 })
    expect(vitestCounts(ended(0), report(0, 0))).toMatchObject({ passed: 0, failed: 1 })
    expect(vitestCounts(ended(1), report(3, 3, file([passed], 'passed')))).toMatchObject({ passed: 3, failed: 1 })
  })
})
