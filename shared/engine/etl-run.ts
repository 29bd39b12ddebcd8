/** Works on runs of ETL jobs, a bounded step at a time. */
import type { Clock } from '../ports/clock.ts'
import type { EtlRun } from '../ports/etl-control.ts'
import type { EtlSource } from '../ports/etl-source.ts'
import type { EtlEnding, EtlLease, EtlProgress, EtlStore } from '../ports/etl-store.ts'
import type { Log } from '../ports/log.ts'
import type { EtlJob } from '../tables/etl-job.ts'
import { AfluenteError, actionFor, isAfluenteError } from './errors.ts'
import { beginRun } from './etl-begin.ts'
import type { TypeJudge } from './etl-check.ts'
import { definitionHash } from './etl-definition.ts'
import { movePages } from './etl-pages.ts'
import { type EtlTopics, publishAll, publishing } from './etl-publish.ts'
import { moveRanges } from './etl-ranges.ts'
import type { EtlStep, EtlStepEnd, EtlStepOptions } from './etl-step.ts'
import { milliseconds } from './duration.ts'
import { placeOf, reasonOf } from './reason.ts'
import { backoff, retrying } from './retry.ts'
import { settle } from './settled.ts'

export interface EtlRunDeps {
  readonly jobs: Readonly<Record<string, EtlJob>>
  /** The source of a job, made anew for each step: what a relation has may change. */
  readonly sources: (database: EtlJob['source']['database']) => EtlSource
  readonly store: EtlStore
  /** Of jobs that have one; nothing connects before there is something to publish. */
  readonly topics: EtlTopics
  readonly judge: TypeJudge
  readonly clock: Clock
  readonly log: Log
  /** From 0 up to but not 1. */
  readonly random: () => number
}

/** What a part of a run works with. */
export interface Work extends Pick<EtlStepOptions, 'onProgress' | 'signal'> {
  readonly name: string
  readonly job: EtlJob
  readonly salt: string
  readonly source: EtlSource
  readonly store: EtlStore
  readonly lease: EtlLease
  readonly clock: Clock
  readonly log: Log
  /** True once no further page may begin. */
  readonly isSpent: () => boolean
}

/** What became of a part: all done, or ended by the budget or a cancel. */
export type Moved = { readonly all: boolean; readonly run: EtlRun }

const LEASE_MS = 30_000
/** Tries of a run, counted over its life: beyond, it has failed. */
const MOST_ATTEMPTS = 6
/** Of writing down that it failed. */
const RECORD = { baseMs: 50, maxMs: 500, attempts: 4 } as const
const RETRY = { baseMs: 1_000, maxMs: 60_000 } as const

export function createEtlStep(deps: EtlRunDeps): EtlStep {
  return async (options) => {
    const { store } = deps
    const { owner, run, signal } = options
    const taken = await store.take({ run, owner, leaseMs: LEASE_MS }, { signal })
    if (taken.status !== 'held') return taken
    try {
      return await work(deps, options, taken.lease, taken.progress)
    } catch (error) {
      return await fail(deps, taken.lease, taken.progress.run, error, signal)
    }
  }
}

async function work(deps: EtlRunDeps, options: EtlStepOptions, lease: EtlLease, taken: EtlProgress): Promise<EtlStepEnd> {
  const { clock, jobs, log, random, sources, store, topics } = deps
  const { budgetMs, onProgress, signal } = options
  const job = jobs[lease.job]
  if (job === undefined)
    throw new AfluenteError('misconfigured', 'unknown-job', `shared/pipeline.ts has no job ${lease.job}; there are ${Object.keys(jobs).join(', ')}.`)
  if (taken.run.cancelAsked) return { status: 'ended', run: await end({ store, lease, log, job }, 'cancelled', taken, signal) }
  const beganAt = clock.now()
  const outgoing = { ...topics, store, lease, clock, log, random }
  // Left by a process that died between a page's commit and Kafka's answer; of a job that has no topic any more, too.
  if (taken.unpublished) await publishAll(outgoing, { signal })
  const salt = await definitionHash(job)
  const part: Work = {
    name: lease.job,
    job,
    salt,
    source: sources(job.source.database),
    store: job.topic === undefined ? store : publishing(outgoing),
    lease,
    clock,
    log,
    signal,
    isSpent: () => clock.now() - beganAt >= budgetMs,
    ...(onProgress === undefined ? {} : { onProgress }),
  }
  const progress = taken.position === null ? await beginRun(part, taken, deps.judge) : taken
  const moved = progress.position?.phase === 'ranges' ? await moveRanges(part, progress) : await movePages(part, progress)
  if (moved.run.cancelAsked) return { status: 'ended', run: await end(part, 'cancelled', progress, signal) }
  if (moved.all) return { status: 'ended', run: await end(part, 'success', progress, signal) }
  await store.release(lease, { signal })
  return { status: 'more', run: moved.run }
}

/** A run that went through has its watermark, and a table that was gone through wholly the definition that this began under: a later one offers a backfill. */
async function end(
  { job, lease, log, store }: Pick<Work, 'job' | 'lease' | 'log' | 'store'>,
  status: 'success' | 'cancelled',
  { definitionHash: begunUnder, position, proven, run }: EtlProgress,
  signal: AbortSignal,
): Promise<EtlRun> {
  const isWhole = status === 'success' && !run.dryRun
  const ending: EtlEnding = {
    status,
    error: null,
    errorTraceback: null,
    proven: isWhole && proven !== null && marks(run) ? { at: proven, marginMs: milliseconds(job.margin) } : null,
    definitionHash: isWhole && position?.phase !== 'changes' ? begunUnder : null,
  }
  const ended = await store.end(lease, ending, { signal })
  log.info('etl.ended', {
    job: ended.job,
    run: ended.id,
    status,
    rows: ended.extracted,
    deleted: ended.deleted,
    rejected: ended.rejected,
    attempt: ended.attempt,
  })
  return ended
}

/** A backfill reads a span, and a reconcile compares what is there: neither says that nothing newer was missed. */
function marks({ loadType }: EtlRun): boolean {
  return loadType === 'incremental' || loadType === 'full'
}

async function fail({ clock, log, random, store }: EtlRunDeps, lease: EtlLease, run: EtlRun, error: unknown, signal: AbortSignal): Promise<EtlStepEnd> {
  const always = new AbortController().signal
  if (signal.aborted) {
    await settle(store.release(lease, { signal: always }))
    throw error
  }
  if (isAfluenteError(error) && error.kind === 'fenced') {
    log.warn('etl.fenced', { job: lease.job, run: lease.run, epoch: lease.epoch })
    return { status: 'busy', run, retryMs: RETRY.baseMs }
  }
  const reason = { error: reasonOf(error), errorTraceback: placeOf(error) }
  const again = actionFor(error) === 'retry' && run.attempt < MOST_ATTEMPTS
  log[again ? 'warn' : 'error']('etl.fault', { job: lease.job, run: lease.run, attempt: run.attempt, again, reason: reason.error })
  // What broke a page may have broken other connections as well: the next one is new.
  const surely = <T>(write: () => Promise<T>) => retrying(write, { ...RECORD, clock, random, signal: always })
  if (!again) {
    return {
      status: 'ended',
      run: await surely(() => store.end(lease, { status: 'failed', ...reason, proven: null, definitionHash: null }, { signal: always })),
    }
  }
  const waits = backoff({ ...RETRY, random })
  let retryMs = waits.next().value
  for (let attempt = 1; attempt < run.attempt; attempt += 1) retryMs = waits.next().value
  const kept = await surely(() => store.suspend(lease, { ...reason, retryMs }, { signal: always }))
  return { status: 'waiting', run: kept, retryMs }
}
