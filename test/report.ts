/** What a step of `npm test` counted, and what vitest's JSON report says of it. */
import { relative } from 'node:path'

export interface Counts {
  readonly passed: number
  readonly failed: number
  /** A line or more for each test that failed: its file, its name and what it said. */
  readonly failures?: readonly string[]
}

interface Ended {
  readonly code: number
  readonly output: string
}

const OUTSIDE = 'Unhandled Errors'

/** A run that crashed, reported nothing or skipped a test counts as failed, whatever else it says. */
export function vitestCounts({ code, output }: Ended, report: string | null): Counts {
  if (report === null) return { passed: 0, failed: 1 }
  const { numPassedTests, numTotalTests, testResults } = JSON.parse(report) as VitestReport
  const notPassed = numTotalTests - numPassedTests
  const failures = testResults.flatMap(failuresOf)
  // An error that no test had to itself: it stands in the output alone.
  const outside = code !== 0 && failures.length === 0 ? [output.slice(Math.max(0, output.indexOf(OUTSIDE))).slice(0, MESSAGE_CHARACTERS)] : []
  return {
    passed: numPassedTests,
    failed: Math.max(notPassed, code !== 0 || numTotalTests === 0 ? 1 : 0),
    failures: [...failures, ...outside],
  }
}

/** What we read of vitest's JSON report. A file that failed before its first test has a message of its own. */
interface VitestReport {
  readonly numPassedTests: number
  readonly numTotalTests: number
  readonly testResults: readonly {
    readonly name: string
    readonly status: string
    readonly message: string
    readonly assertionResults: readonly { readonly fullName: string; readonly status: string; readonly failureMessages?: readonly string[] }[]
  }[]
}

/** A message can hold whole tables: its beginning tells what broke (a property's seed stands there too). */
const MESSAGE_CHARACTERS = 1500

function failuresOf({ name, status, message, assertionResults }: VitestReport['testResults'][number]): string[] {
  const file = relative('.', name)
  const failed = assertionResults.filter((test) => test.status !== 'passed')
  if (failed.length === 0) return status === 'passed' ? [] : [`${file}: ${message.slice(0, MESSAGE_CHARACTERS)}`]
  return failed.map((test) => `${file} > ${test.fullName} (${test.status}): ${(test.failureMessages ?? []).join('\n').slice(0, MESSAGE_CHARACTERS)}`)
}
