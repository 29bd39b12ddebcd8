/** One ETL job: begins its runs when they are due and works on the one that is going, step by step, each called by an alarm. Knows no runtime. */
import { nextFires } from '../../shared/engine/etl-schedule.ts'
import type { EtlStep } from '../../shared/engine/etl-step.ts'
import { codeOf, explain } from '../../shared/engine/reason.ts'
import { backoff } from '../../shared/engine/retry.ts'
import type { Clock } from '../../shared/ports/clock.ts'
import type { EtlControl, EtlRun } from '../../shared/ports/etl-control.ts'
import type { Log } from '../../shared/ports/log.ts'
import type { EtlJob } from '../../shared/tables/etl-job.ts'
import { runIdOf } from './run-id.ts'

/** What begins by itself. */
const kinds = ['schedule', 'reconcile'] as const
type Kind = (typeof kinds)[number]
const LOADS = { schedule: 'incremental', reconcile: 'reconcile' } as const satisfies Readonly<Record<Kind, EtlRun['loadType']>>

/** A step begins no page after that: far within a Worker's 30 s of CPU, and long enough that connecting costs nothing. */
const STEP_BUDGET_MS = 10_000
/** A step that takes longer hangs. An alarm may take 15 minutes. */
const STEP_LIMIT_MS = 600_000
/** After a step that could not even say what went wrong; the minute's sweep comes anyway. */
const BACKOFF = { baseMs: 1_000, maxMs: 60_000 } as const
/** An alarm that should have come so long ago was lost with its process. */
const LOST_MS = 5_000

export interface EtlJobStatus {
  readonly job: string
  readonly working: boolean
  /** Since when its schedules count: ISO 8601, UTC. */
  readonly since: string
}

export interface EtlSession {
  readonly control: Pick<EtlControl, 'start' | 'states'>
  readonly step: EtlStep
}

export interface EtlWorkerDeps {
  readonly job: string
  readonly schedules: Pick<EtlJob, Kind>
  /** Unique to this object's life. */
  readonly owner: string
  /** Opens what a piece of work needs, and closes it after it. */
  readonly session: <T>(work: (of: EtlSession) => Promise<T>) => Promise<T>
  /** Outlives the process: up to when each schedule has been answered, in milliseconds since 1970. */
  readonly memory: { readonly read: (name: Kind | 'since') => Promise<number | undefined>; readonly write: (name: Kind | 'since', ms: number) => Promise<void> }
  /** Calls `alarm` at a moment, once, also after the process has died meanwhile. Setting it replaces the one that was set. */
  readonly alarm: { readonly at: () => Promise<number | null>; readonly set: (ms: number) => Promise<void> }
  readonly codeVersion: string
  readonly clock: Clock
  readonly log: Log
  readonly random: () => number
}

export interface EtlWorker {
  /** Each minute: begins to work where a run is `going` or due, unless that is under way. */
  tick(of: { readonly going: boolean }): Promise<EtlJobStatus>
  /** Somebody has begun or cancelled a run: works on it at once. */
  hurry(): Promise<EtlJobStatus>
  /** One step of the run that is going, or the first of one that is due. Never throws: what went wrong is tried again later. */
  alarm(): Promise<void>
  status(): Promise<EtlJobStatus>
}

export function createEtlWorker({ alarm, clock, codeVersion, job, log, memory, owner, random, schedules, session }: EtlWorkerDeps): EtlWorker {
  let working = false
  /** Somebody came while a step was under way, which may have looked before. */
  let hurried = false
  let waits = backoff({ ...BACKOFF, random })

  const sinceOf = async (): Promise<number> => {
    const known = await memory.read('since')
    if (known !== undefined) return known
    const now = clock.now()
    await memory.write('since', now)
    return now
  }

  /** The first moment of a schedule that no run has answered; null where none has come. However many have, they are one run. */
  const missed = async (kind: Kind): Promise<number | null> => {
    const schedule = schedules[kind]
    if (schedule === undefined) return null
    const [moment] = nextFires(schedule, (await memory.read(kind)) ?? (await sinceOf()), 1)
    return moment !== undefined && moment <= clock.now() ? moment : null
  }

  const isDue = async (): Promise<boolean> => (await missed('schedule')) !== null || (await missed('reconcile')) !== null

  /** The run's id follows from the moment: whoever else begins it, before or after a crash, begins the same run. */
  const beginDue = async (control: Pick<EtlControl, 'start'>, signal: AbortSignal): Promise<EtlRun | null> => {
    for (const kind of kinds) {
      const moment = await missed(kind)
      if (moment === null) continue
      const now = clock.now()
      const id = await runIdOf(['scheduled', job, kind, String(moment)])
      const request = { id, job, loadType: LOADS[kind], triggeredBy: 'scheduler', from: null, to: null, dryRun: false, codeVersion } as const
      const begun = await control.start(request, { signal })
      // The moment waits until the other run has ended.
      if (begun.status === 'busy') return begun.run
      await memory.write(kind, now)
      log.info('etl.due', { job, run: id, load_type: LOADS[kind], late_ms: now - moment, status: begun.status })
      if (begun.run.status === 'running') return begun.run
    }
    return null
  }

  /** Milliseconds until the next step; null where nothing is left to do. */
  const work = (signal: AbortSignal): Promise<number | null> =>
    session(async ({ control, step }) => {
      const [state] = await control.states([job], { signal })
      const run = state?.running ?? (await beginDue(control, signal))
      if (run === null) return null
      const end = await step({ run: run.id, owner, budgetMs: STEP_BUDGET_MS, signal })
      if (end.status === 'more' || end.status === 'unknown') return 0
      if (end.status !== 'ended') return end.retryMs
      return (await isDue()) ? 0 : null
    })

  const status = async (): Promise<EtlJobStatus> => ({ job, working, since: new Date(await sinceOf()).toISOString() })

  return {
    status,
    tick: async ({ going }) => {
      const present = await status()
      if (working || !(going || (await isDue()))) return present
      const pending = await alarm.at()
      if (pending === null || pending < clock.now() - LOST_MS) await alarm.set(clock.now())
      return present
    },
    hurry: async () => {
      hurried = true
      if (!working) await alarm.set(clock.now())
      return status()
    },
    alarm: async () => {
      if (working) return
      working = true
      hurried = false
      let waitMs: number | null
      try {
        waitMs = await work(AbortSignal.timeout(STEP_LIMIT_MS))
        waits = backoff({ ...BACKOFF, random })
      } catch (error) {
        waitMs = waits.next().value
        log.error('etl.step-failed', { job, code: codeOf(error), reason: explain(error), again_ms: waitMs })
      }
      working = false
      if (hurried) waitMs = 0
      if (waitMs !== null) await alarm.set(clock.now() + waitMs)
    },
  }
}
