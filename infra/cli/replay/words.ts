/** Replays and shadows in words. Keys, counts and kinds of values only. */
import { barOf, count, timeLeft } from '../backfill/words.ts'
import type { Difference, Differences, Job } from './answers.ts'

const NAMES = { replay: 'replay', shadow: 'shadow', swap: 'swap' } as const

/** What moves on a terminal. `perSecond`: events, while it fills. */
export function progressLine(job: Job, perSecond: number): string {
  const name = `${NAMES[job.kind]} ${job.id} (${job.table} of ${job.consumer})`
  if (job.phase === 'comparing') return `${name}: comparing · ${count(job.steps)} rows`
  if (job.phase === 'following') return `${name}: takes along what came meanwhile · ${count(job.steps)} rows`
  if (job.phase === 'switching') return `${name}: switching`
  const share = job.total === 0 ? 1 : Math.min(1, job.done / job.total)
  const left = perSecond < 1 ? '' : ` · ${timeLeft(Math.max(0, job.total - job.done) / perSecond)} left`
  return `${name} ${barOf(share)} · ${count(job.done)} of ${count(job.total)} · ${count(Math.round(perSecond))}/s${left}`
}

export function jobLine(job: Job): string {
  const { accepted, done, duplicate, failed, id, kind, late, problem, state, steps, table, consumer, total } = job
  const head = `${NAMES[kind]} ${id} (${table} of ${consumer}) ${state}`
  const held = problem === null ? '' : ` (${state === 'running' ? 'held up: ' : ''}${problem})`
  if (kind === 'swap') return `${head}: ${count(steps)} row(s) taken along${held}`
  return `${head}: ${count(done)} of ${count(total)} events, ${count(accepted)} accepted, ${count(duplicate)} there already, ${count(late)} older than what is there, ${count(failed)} could not be applied${held}`
}

/** Everything that a job has found. */
export function reportLines({ finishedAt, report }: Job): readonly string[] {
  const failures = (report.failures ?? []).map(({ eventId, code, message }) => `  ${eventId}: ${code}: ${message}`)
  const { differences } = report
  return [
    ...(failures.length === 0 ? [] : ['could not be applied:', ...failures]),
    ...(differences === undefined ? [] : differenceLines(differences, finishedAt)),
  ]
}

function differenceLines(found: Differences, asOf: string | null): readonly string[] {
  const newer = found.newer === 0 ? '' : `; ${count(found.newer)} came meanwhile, and a swap takes them along`
  return [
    `rows: live ${count(found.live)}, shadow ${count(found.shadow)}; only live ${count(found.onlyLive)}, only in the shadow ${count(found.onlyShadow)}, different ${count(found.different)}${newer}${asOf === null ? '' : `; as of ${asOf.slice(0, 19)}Z`}`,
    ...samples('only live', found.samples.onlyLive, found.onlyLive),
    ...samples('only in the shadow', found.samples.onlyShadow, found.onlyShadow),
    ...samples('different', found.samples.different, found.different),
  ]
}

function samples(title: string, some: readonly Difference[], all: number): readonly string[] {
  if (some.length === 0) return []
  return [`  ${title}${all > some.length ? `, ${some.length} of ${count(all)}` : ''}:`, ...some.map((one) => `    ${one.key} ${whyOf(one)}`)]
}

function whyOf({ columns, liveVersion, shadowVersion }: Difference): string {
  const versions = [...(liveVersion === null ? [] : [`live version ${liveVersion}`]), ...(shadowVersion === null ? [] : [`shadow version ${shadowVersion}`])]
  const changes = Object.entries(columns).map(([name, { live, shadow }]) => `${name}: ${said(live)} → ${said(shadow)}`)
  return [...versions, ...changes].join(', ')
}

function said(kind: unknown): string {
  return typeof kind === 'string' ? kind : 'null'
}
