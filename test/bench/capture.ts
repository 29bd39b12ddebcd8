/** What capturing a table costs those who write to it, against the same table without it in the same run; and what claiming costs. */
import { claims } from './capture-claims.ts'
import { singleRows } from './capture-single-rows.ts'
import type { CaptureSource } from './capture-source.ts'
import { statements } from './capture-statements.ts'
import type { Part } from './options.ts'
import type { Report } from './report.ts'

export interface CaptureOptions {
  /** In one statement. */
  readonly rows: number
  /** By turns, without capture and with it. */
  readonly rounds: number
  /** Changes in the outbox while claim is measured. */
  readonly claims: number
  readonly only: readonly Part[]
}

export async function capture(source: CaptureSource, report: Report, options: CaptureOptions): Promise<void> {
  if (options.only.includes('rows')) await singleRows(source, report, options.rounds)
  if (options.only.includes('statements')) await statements(source, report, options)
  if (options.only.includes('claims')) await claims(source, report, options.claims)
}
