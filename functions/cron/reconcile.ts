/** The scheduled comparing of tables with their copies: some seconds of it each minute, going on where the last minute's was. Knows no runtime. */
import { type Comparable, comparables } from '../../shared/engine/reconcile-definition.ts'
import type { ReconcileDeps } from '../../shared/engine/reconcile-deps.ts'
import { DEFAULT_SCHEDULE, dueOf } from '../../shared/engine/reconcile-schedule.ts'
import { isClean, verdictText } from '../../shared/engine/reconcile-verdict.ts'
import { runReconcile } from '../../shared/engine/reconcile.ts'
import type { AnyPipeline } from '../../shared/engine/define.ts'
import type { Cancellable } from '../../shared/ports/cancellable.ts'
import type { Clock } from '../../shared/ports/clock.ts'
import type { Log } from '../../shared/ports/log.ts'
import type { Operations } from '../../shared/ports/operations.ts'
import type { Outbox } from '../../shared/ports/outbox.ts'
import type { Reconciliations } from '../../shared/ports/reconciliations.ts'

export interface ScheduledReconcileDeps {
  readonly pipeline: AnyPipeline
  readonly outbox: Pick<Outbox, 'backlog'>
  readonly operations: Pick<Operations, 'audit'>
  readonly reconciliations: Reconciliations
  readonly depsFor: (comparable: Comparable) => ReconcileDeps
  /** Unique to this tick. */
  readonly owner: string
  readonly clock: Clock
  readonly log: Log
}

/** The reading of a large table goes on with the next minute. */
const READING_MS = 40_000
/** What a Worker can hold: about 150 bytes a key, on three sides. What lies beyond is told, and is the command line's. */
const MOST = { rows: 50_000, parts: 1 } as const

/** One table a tick. Resolves when it was compared, its time was over, or nothing is due. */
export async function reconcileDue(deps: ScheduledReconcileDeps, options: Cancellable): Promise<void> {
  const { clock, log, outbox, pipeline, reconciliations } = deps
  const schedule = pipeline.reconcile ?? DEFAULT_SCHEDULE
  if (schedule === 'never') return
  const [{ refused, tables }, verdicts] = await Promise.all([outbox.backlog(options), reconciliations.latest(options)])
  // The sweep says so already.
  if (refused !== null) return
  const [one] = dueOf(comparables(pipeline), schedule, { verdicts, tables, nowMs: clock.now() })
  if (one === undefined) return
  const end = await runReconcile(
    {
      of: one,
      actor: 'schedule',
      owner: deps.owner,
      repair: schedule.repair === true,
      anew: false,
      watched: false,
      untilMs: clock.now() + READING_MS,
      most: MOST,
      onRepair: (findings) =>
        deps.operations.audit({ actor: 'schedule', action: 'reconcile.repair', subject: one.name, details: { findings: findings.length } }, options),
      ...options,
    },
    deps.depsFor(one),
  )
  if (end.ending !== 'done') return
  const fields = { table: one.name, verdict: verdictText(end.outcome, clock.now()) }
  if (isClean(end.outcome)) log.info('reconcile.in-step', fields)
  else log.error('reconcile.differs', fields)
}
