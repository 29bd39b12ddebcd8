/**
 * pg_cron's background worker: runs the active jobs of cron.job as the database's owner, each on a connection of its own.
 * A job never overlaps itself, and a time that passed while it ran is not made up for.
 */
import pg from 'pg'
import { codeOf, reasonOf, type Log } from '../log.ts'
import { isDue, parseSchedule, type Schedule } from './schedule.ts'

export interface SchedulerDeps {
  readonly url: string
  readonly log: Log
  readonly now: () => number
  /** How often the jobs are looked at. */
  readonly tickMs: number
}

export interface Scheduler {
  stop(): Promise<void>
}

interface Job {
  readonly jobid: string
  readonly schedule: string
  readonly command: string
}

export function createScheduler(deps: SchedulerDeps): Scheduler {
  const pool = new pg.Pool({ connectionString: deps.url, max: 8, application_name: 'pg_cron stand-in' })
  pool.on('error', () => undefined)
  const startedAt = deps.now()
  const lastStart = new Map<string, number>()
  const running = new Map<string, Promise<void>>()
  const complaints = new Map<string, string>()

  /** Says a thing once, and again when it changes. */
  const complain = (about: string, problem: string, fields: Readonly<Record<string, unknown>> = {}): void => {
    if (complaints.get(about) === problem) return
    complaints.set(about, problem)
    deps.log('cron.problem', { about, problem, ...fields })
  }

  const start = (job: Job, at: number): void => {
    lastStart.set(job.jobid, at)
    const run = pool
      .query(job.command)
      .then(() => void complaints.delete(`job ${job.jobid}`))
      .catch((error: unknown) => complain(`job ${job.jobid}`, reasonOf(error), { code: codeOf(error) }))
      .finally(() => running.delete(job.jobid))
    running.set(job.jobid, run)
  }

  const look = async (at: number): Promise<void> => {
    const { rows } = await pool.query<Job>('select jobid::text, schedule, command from cron.job where active order by jobid')
    complaints.delete('cron.job')
    for (const job of rows) {
      const schedule = parseSchedule(job.schedule)
      if (schedule === undefined) complain(`job ${job.jobid}`, `The schedule "${job.schedule}" is neither "<1-59> seconds" nor five cron fields.`)
      else if (!running.has(job.jobid) && isDue(schedule, at, since(schedule, job))) start(job, at)
    }
  }

  /** An interval counts from the scheduler's start, so that a restart doesn't fire everything at once. */
  const since = (schedule: Schedule, job: Job): number | undefined => lastStart.get(job.jobid) ?? (schedule.kind === 'interval' ? startedAt : undefined)

  let looking: Promise<void> | undefined
  const timer = setInterval(() => {
    looking ??= look(deps.now())
      .catch((error: unknown) => complain('cron.job', reasonOf(error)))
      .finally(() => (looking = undefined))
  }, deps.tickMs)

  return {
    stop: async () => {
      clearInterval(timer)
      await Promise.allSettled([looking, ...running.values()])
      await pool.end()
    },
  }
}
