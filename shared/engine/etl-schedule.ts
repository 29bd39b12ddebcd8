/**
 * When a job runs by itself. Pure: the time is an argument. Cron fields are read on the clock of a named time zone, across its changes: a time
 * that the clock leaves out is taken when it comes out of the gap, one that it shows twice is taken once; every few minutes stays every few minutes.
 */
import { Cron } from 'croner'
import type { EtlSchedule } from '../tables/etl-job.ts'

const EXAMPLE = `{ cron: '0 3 * * *', timeZone: 'America/Sao_Paulo' }`
/** The cron of the Worker looks each minute; what should have begun a moment ago is not late. */
const GRACE_MS = 90_000

/** What is wrong with a schedule, in words; an empty list is a good one. */
export function scheduleFaults(at: string, { cron, timeZone }: EtlSchedule): readonly string[] {
  if (!isZone(timeZone)) return [`${at}.timeZone: '${timeZone}' is no time zone; write one like 'America/Sao_Paulo' or 'UTC'.`]
  const wrong = `${at}.cron: '${cron}' is no schedule: write minute, hour, day, month and weekday, as in ${EXAMPLE}`
  try {
    // The library also takes seconds and dates.
    if (cron.trim().split(/\s+/).length !== 5) return [`${wrong}.`]
    return parsed({ cron, timeZone }).nextRun() === null ? [`${at}.cron: '${cron}' names a day that never comes.`] : []
  } catch (error) {
    return [`${wrong} (${error instanceof Error ? error.message.replace(/^\w+: /, '') : 'not understood'}).`]
  }
}

/** The next moments after `afterMs`, in milliseconds since 1970. Fewer where no more come. Throws for a schedule that has faults. */
export function nextFires(schedule: EtlSchedule, afterMs: number, count: number): readonly number[] {
  return parsed(schedule)
    .nextRuns(count, new Date(afterMs))
    .map((moment) => moment.getTime())
}

/** A moment on the clock of its zone, for people: `2026-11-29 03:00`. */
export function onItsClock(moment: number, { timeZone }: EtlSchedule): string {
  // The Swedish order is year, month, day.
  return new Intl.DateTimeFormat('sv-SE', { timeZone, dateStyle: 'short', timeStyle: 'short' }).format(moment)
}

/** Whether a moment of the schedule has come since `sinceMs`. However many have, that is one run. */
export function isDue(schedule: EtlSchedule, sinceMs: number, nowMs: number): boolean {
  const [next] = nextFires(schedule, sinceMs, 1)
  return next !== undefined && next <= nowMs
}

/** Whether two moments have passed since `sinceMs`, when all was well, and the second long enough ago to have begun. */
export function isOverdue(schedule: EtlSchedule, sinceMs: number, nowMs: number): boolean {
  const [, second] = nextFires(schedule, sinceMs, 2)
  return second !== undefined && second + GRACE_MS <= nowMs
}

function parsed({ cron, timeZone }: EtlSchedule): Cron {
  return new Cron(cron, { timezone: timeZone, mode: '5-part', paused: true })
}

function isZone(timeZone: string): boolean {
  try {
    return timeZone !== '' && new Intl.DateTimeFormat('en', { timeZone }) instanceof Intl.DateTimeFormat
  } catch {
    return false
  }
}
