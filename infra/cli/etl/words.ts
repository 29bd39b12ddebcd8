/** ETL jobs and runs in words. Names, counts and times only. */
import { onItsClock } from '../../../shared/engine/etl-schedule.ts'
import { firstLine } from '../../../shared/engine/reason.ts'
import { seconds } from '../../local/progress.ts'
import { count } from '../backfill/words.ts'
import type { Job, Run } from './answers.ts'

const MARKS = { running: '…', success: '✓', failed: '✗', cancelled: '–' } as const satisfies Readonly<Record<Run['status'], string>>

export function jobLines({ faults, into, job, last, reconcile, running, schedule, source, watermark }: Job): readonly string[] {
  return [
    `${job}  ${source} → ${into}`,
    `    loads        ${plannedText(schedule)}`,
    `    reconciled   ${plannedText(reconcile)}`,
    `    watermark    ${watermark ?? 'none: the first run loads everything'}`,
    ...(last === null ? ['    last run     none yet'] : [`    last run     ${runLine(last)}`]),
    ...(running === null ? [] : [`    running      ${runLine(running)}`]),
    ...faults.flatMap(faultLines),
  ]
}

export function faultLines({ hint, problem }: Job['faults'][number]): readonly string[] {
  return [`  ✗ ${problem}`, `    ${hint}`]
}

function plannedText(planned: Job['schedule']): string {
  if (planned === null) return 'when somebody asks'
  return `'${planned.cron}' ${planned.timeZone}, next ${planned.next.map((moment) => onItsClock(Date.parse(moment), planned)).join(', ')}`
}

export function runLine(run: Run): string {
  const { attempt, dryRun, durationSeconds, error, id, loadType, startedAt, status, triggeredBy } = run
  return [
    `${MARKS[status]} ${id}  ${startedAt.slice(0, 19)}Z  ${loadType}${dryRun ? ' (dry run)' : ''}, by ${triggeredBy}`,
    `${status}${durationSeconds === null ? '' : ` in ${seconds(durationSeconds * 1_000)}`}${attempt === 1 ? '' : `, attempt ${attempt}`}`,
    countsOf(run),
    ...(error === null ? [] : [firstLine(error)]),
  ].join(' · ')
}

/** Every row that was read is one of the first four; the last two are what a plain reader loses. */
export function countsOf(run: Run): string {
  const { caughtByOverlap, caughtByReconcile, deleted, inserted, rejected, unchanged, updated } = run
  return [
    `${count(inserted)} inserted`,
    `${count(updated)} updated`,
    `${count(unchanged)} unchanged`,
    `${count(deleted)} deleted`,
    ...(rejected === 0 ? [] : [`${count(rejected)} rejected`]),
    `caught by the overlap ${count(caughtByOverlap)}, by reconcile ${count(caughtByReconcile)}`,
  ].join(', ')
}

/** Of fewer rows a rate says nothing. */
const FEW = 1_000

/** What there is to say of a run that has ended. */
export function endLines(run: Run): readonly string[] {
  const { dryRun, durationSeconds, error, id, job, loadType, rejected, seen, status, unknownWords } = run
  const took = durationSeconds === null ? '' : ` in ${durationSeconds < 1 ? `${Math.round(durationSeconds * 1_000)} ms` : seconds(durationSeconds * 1_000)}`
  const rate = durationSeconds === null || durationSeconds === 0 || seen < FEW ? '' : ` (${count(Math.round(seen / durationSeconds))} rows/s)`
  const what = `${job}, ${loadType}${dryRun ? ', dry run: nothing was written' : ''}`
  const told = status === 'success' ? `✓ ${what}${took}${rate}` : status === 'cancelled' ? `– ${what}: cancelled${took}` : `✗ ${what}: failed${took}`
  return [
    `${told}: ${countsOf(run)}`,
    ...(error === null ? [] : [`  ${error}`]),
    ...(rejected === 0 ? [] : [`  ! ${count(rejected)} row(s) hold what their column can't: they are kept as dead letters (npx afluente dlq list)`]),
    ...(unknownWords === 0
      ? []
      : [`  ! ${count(unknownWords)} value(s) have no word of their own and stand as unknown(…): complete the words of their column`]),
    ...(status === 'success' ? [] : [`  npx afluente etl show ${id}`]),
  ]
}

export function showLines(run: Run): readonly string[] {
  const pairs: readonly (readonly [string, string | null])[] = [
    ['job', run.job],
    ['load', `${run.loadType}${run.dryRun ? ' (dry run)' : ''}, by ${run.triggeredBy}`],
    ['span', run.from === null && run.to === null ? null : `${run.from ?? 'the beginning'} – ${run.to ?? 'now'}`],
    ['status', `${run.status}${run.status === 'running' && run.cancelAsked ? ', cancel asked' : ''}`],
    ['started', run.startedAt],
    ['completed', run.completedAt],
    ['seconds', run.durationSeconds === null ? null : run.durationSeconds.toFixed(3)],
    ['attempt', String(run.attempt)],
    ['watermark', `${run.watermarkStart ?? 'none'} → ${run.watermarkEnd ?? 'unchanged'}`],
    ['seen', `${count(run.seen)}${run.expected === null ? '' : ` of ${count(run.expected)}`}, ${count(run.pages)} page(s)`],
    ['extracted', count(run.extracted)],
    ['counts', countsOf(run)],
    ['unknown', run.unknownWords === 0 ? null : `${count(run.unknownWords)} value(s) without a word of their own`],
    ['error', run.error],
    ['at', run.errorTraceback],
    ['again at', run.retryAt],
    ['version', run.codeVersion],
  ]
  return [`run ${run.id}`, ...pairs.flatMap(([name, value]) => (value === null ? [] : [`  ${name.padEnd(10)} ${value}`]))]
}
