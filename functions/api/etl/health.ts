/** Is an ETL job well? Pure: the same judgement for /ready, /metrics, `afluente status` and `afluente etl health`. */
import { isOverdue, nextFires } from '../../../shared/engine/etl-schedule.ts'
import { firstLine } from '../../../shared/engine/reason.ts'
import type { EtlJobState } from '../../../shared/ports/etl-control.ts'
import { type EtlJob, type EtlSchedule, originName } from '../../../shared/tables/etl-job.ts'

/** A run that nobody has worked on for so long waits for a wake-up that should have come with the minute's cron. */
const UNATTENDED_MS = 150_000
const SHOWN_MOMENTS = 3

export interface EtlFault {
  readonly problem: string
  /** What to do next. */
  readonly hint: string
}

export interface Planned extends EtlSchedule {
  /** The next three moments: ISO 8601, UTC. */
  readonly next: readonly string[]
}

export interface EtlSurvey extends EtlJobState {
  readonly source: string
  readonly into: string
  readonly schedule: Planned | null
  readonly reconcile: Planned | null
  readonly ok: boolean
  readonly faults: readonly EtlFault[]
}

export interface Judged {
  readonly definition: EtlJob
  readonly state: EtlJobState
  /** Since when the schedules count, where no run has ended well; null when nobody knows. */
  readonly sinceMs: number | null
  /** Of the definition that is deployed. */
  readonly hash: string
  readonly now: number
}

export function etlSurvey(judged: Judged): EtlSurvey {
  const { definition, now, state } = judged
  const faults = [...endFaults(judged), ...runningFaults(judged), ...overdueFaults(judged), ...definitionFaults(judged)]
  return {
    ...state,
    source: `${definition.source.database}: ${originName(definition.source)}`,
    into: `silver.${definition.into}`,
    schedule: planned(definition.schedule, now),
    reconcile: planned(definition.reconcile, now),
    ok: faults.length === 0,
    faults,
  }
}

function planned(schedule: EtlSchedule | undefined, now: number): Planned | null {
  return schedule === undefined ? null : { ...schedule, next: nextFires(schedule, now, SHOWN_MOMENTS).map((moment) => new Date(moment).toISOString()) }
}

/** A reconcile that failed stands until another ends well: loads that go well after it say nothing of what it would have found. */
function endFaults({ state: { job, last, lastCompared } }: Judged): readonly EtlFault[] {
  const failed = [last, ...(lastCompared?.id === last?.id ? [] : [lastCompared])].filter((run) => run?.status === 'failed')
  return failed.flatMap((run) => {
    if (run === null) return []
    const { completedAt, error, id, loadType, startedAt } = run
    const what = loadType === 'reconcile' ? 'its last reconcile' : `its last run (${loadType})`
    return [
      {
        problem: `${what} failed at ${completedAt ?? startedAt}: ${firstLine(error ?? 'it left no reason')}`,
        hint: `npx afluente etl show ${id} tells more; once it is mended: npx afluente etl ${loadType === 'reconcile' ? 'reconcile' : 'run'} ${job}`,
      },
    ]
  })
}

function runningFaults({ now, state: { job, leasedUntil, running } }: Judged): readonly EtlFault[] {
  if (running === null) return []
  const { error, id, retryAt, startedAt } = running
  if (error !== null && retryAt !== null)
    return [
      {
        problem: `run ${id} meets a fault and tries again at ${retryAt}: ${error}`,
        hint: `It goes on by itself once that is mended; npx afluente etl cancel ${job} gives it up.`,
      },
    ]
  const seen = Math.max(Date.parse(startedAt), leasedUntil === null ? 0 : Date.parse(leasedUntil))
  if (now - seen < UNATTENDED_MS) return []
  return [
    {
      problem: `run ${id} is going, and nobody has worked on it since ${new Date(seen).toISOString()}`,
      hint: "The Worker's cron takes it up each minute: see that it fires, and what its log says.",
    },
  ]
}

function overdueFaults({ definition, now, sinceMs, state: { job, lastReconcile, lastSuccess, running } }: Judged): readonly EtlFault[] {
  // Of one that is going the run itself tells.
  if (running !== null) return []
  const fault = (schedule: EtlSchedule | undefined, well: string | undefined, what: string, command: string): readonly EtlFault[] => {
    const since = well === undefined ? sinceMs : Date.parse(well)
    if (schedule === undefined || since === null || !isOverdue(schedule, since, now)) return []
    const told = well === undefined ? `no ${what} has ended well yet` : `no ${what} has ended well since the one that began at ${well}`
    return [
      {
        problem: `overdue: ${told}, though '${schedule.cron}' (${schedule.timeZone}) has come twice or more`,
        hint: `See that the Worker's cron fires; npx afluente etl ${command} ${job} begins one now.`,
      },
    ]
  }
  return [
    ...fault(definition.schedule, lastSuccess?.startedAt, 'run', 'run'),
    ...fault(definition.reconcile, lastReconcile?.startedAt, 'reconcile', 'reconcile'),
  ]
}

function definitionFaults({ hash, state: { definitionHash, job } }: Judged): readonly EtlFault[] {
  if (definitionHash === null || definitionHash === hash) return []
  return [
    {
      problem: 'its columns, cleaning or source have changed since its table was filled: rows that were there before are as the former definition made them',
      hint: `npx afluente etl run ${job} --full writes them anew, beside whoever reads them.`,
    },
  ]
}
