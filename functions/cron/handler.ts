/** The sweep of each minute: finds what lost wake-ups left behind. Knows no runtime. */
import { codeOf, explain } from '../../shared/engine/reason.ts'
import type { Cancellable } from '../../shared/ports/cancellable.ts'
import type { Log } from '../../shared/ports/log.ts'
import type { Outbox } from '../../shared/ports/outbox.ts'

export interface CronDeps {
  /** The name of each consumer of the definition. */
  readonly consumers: readonly string[]
  /** Wakes every instance of one; those that an operator stopped stay so. */
  readonly wake: (consumer: string) => Promise<unknown>
  /** `going`: the jobs of which a run is going. `tick` asks a job's object to begin what is due, and to work on such a run. */
  readonly etl: {
    readonly jobs: readonly string[]
    readonly going: (options: Cancellable) => Promise<readonly string[]>
    readonly tick: (job: string, of: { readonly going: boolean }) => Promise<unknown>
  }
  readonly outbox: Pick<Outbox, 'backlog'>
  /** Rings capture's doorbell. */
  readonly ring: (options: Cancellable) => Promise<void>
  /** Purges the tombstones that are due. */
  readonly purge: (options: Cancellable) => Promise<void>
  /** Compares the table whose turn it is with its copies. It has a time of its own: a sweep's is too short. */
  readonly reconcile: () => Promise<void>
  readonly log: Log
}

/** What lies longer than this was missed by the doorbell. */
const OVERDUE_MS = 3_000

/** Resolves when every part has been tried; what failed is logged, holds up nothing else, and is tried again with the next minute. */
export async function sweep(deps: CronDeps, { signal }: Cancellable): Promise<void> {
  await Promise.all([
    ...deps.consumers.map((consumer) => attempt(deps, `wake:${consumer}`, () => deps.wake(consumer))),
    ...(deps.etl.jobs.length === 0 ? [] : [attempt(deps, 'etl', () => sweepEtl(deps, signal))]),
    attempt(deps, 'outbox', () => sweepOutbox(deps, signal)),
    attempt(deps, 'purge', () => deps.purge({ signal })),
    attempt(deps, 'reconcile', () => deps.reconcile()),
  ])
}

/** A job's schedule is asked also while nobody can say what is going. */
async function sweepEtl(deps: CronDeps, signal: AbortSignal): Promise<void> {
  const { jobs, tick } = deps.etl
  let going: readonly string[] = []
  await attempt(deps, 'etl:going', async () => {
    going = await deps.etl.going({ signal })
  })
  await Promise.all(jobs.map((job) => attempt(deps, `etl:${job}`, () => tick(job, { going: going.includes(job) }))))
}

async function sweepOutbox({ outbox, ring, log }: CronDeps, signal: AbortSignal): Promise<void> {
  const { keeps, oldestMs, refused, rows, tables } = await outbox.backlog({ signal })
  for (const { table, problem } of tables) {
    if (problem !== null) log.warn('source.table-problem', { table, problem })
  }
  if (keeps !== 'images') log.warn('source.outbox-above-budget', { keeps, rows, oldest_ms: oldestMs })
  if (refused !== null) {
    // Ringing would only make capture say the same.
    log.error('source.refused', { reason: refused })
    return
  }
  if (oldestMs === null || oldestMs <= OVERDUE_MS) return
  await ring({ signal })
  log.info('cron.rang', { rows, oldest_ms: oldestMs })
}

async function attempt({ log }: CronDeps, part: string, work: () => Promise<unknown>): Promise<void> {
  try {
    await work()
  } catch (error) {
    log.error('cron.failed', { part, code: codeOf(error), reason: explain(error) })
  }
}
