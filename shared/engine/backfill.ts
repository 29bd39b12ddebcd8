/**
 * Works on a backfill: reads keys in their order, has their rows sent chunk by chunk, and the keys that somebody held again until they
 * are. Can be killed at any instruction, paused, or run twice: how far it got is noted with each sending, under one epoch.
 */
import type { Backfill, Backfills, Hold } from '../ports/backfills.ts'
import type { Clock } from '../ports/clock.ts'
import type { Log } from '../ports/log.ts'
import type { SourceRow, SourceRows } from '../ports/source-rows.ts'
import { createPace, type Pace } from './backfill-pace.ts'
import { createPages, type Pages } from './backfill-pages.ts'
import { createSender, type Sender } from './backfill-sender.ts'
import { reasonOf } from './reason.ts'
import { retrying } from './retry.ts'
import { settle } from './settled.ts'

export interface BackfillDeps {
  readonly backfills: Backfills
  readonly rows: SourceRows
  readonly clock: Clock
  readonly log: Log
  /** From 0 up to but not 1. */
  readonly random: () => number
}

/** What it does at the moment. waiting-for-room: Kafka is behind. waiting-for-locks: only rows are left that somebody holds. */
export type Doing = 'sending' | 'paused' | 'waiting-for-room' | 'waiting-for-locks' | 'waiting-for-the-database'

export interface BackfillRun {
  readonly id: number
  /** Unique to this run. */
  readonly owner: string
  /** Rows a second at most. */
  readonly rate?: number | undefined
  readonly signal: AbortSignal
  /** Told after each step. */
  readonly onProgress?: (backfill: Backfill, doing: Doing) => void
  /** The rows that were seen for the first time, once they have been sent or wait. */
  readonly onRows?: (rows: readonly SourceRow[]) => void
}

export type BackfillEnd =
  | { readonly ending: 'done' | 'cancelled' | 'interrupted' | 'already-ended'; readonly backfill: Backfill }
  /** Somebody else works on it. */
  | { readonly ending: 'busy'; readonly retryMs: number; readonly backfill: Backfill }
  /** Somebody else took it over while this run was paused. */
  | { readonly ending: 'taken-over' }
  | { readonly ending: 'unknown' }

const LEASE_MS = 10_000
/** How often one that is paused, or waits for room, looks again. */
const LOOK_MS = 500
const ROOM_MS = 50
/** Keys that wait: beyond so many nothing new is read. */
const MOST_WAITING = 1_000
const LOCKS_MS = { first: 50, most: 2_000 } as const
const RETRY = { baseMs: 200, maxMs: 5_000, attempts: 60 } as const

/** Runs until all is sent, or somebody says otherwise. The lease is let go in any case. Throws what retrying doesn't mend. */
export async function runBackfill(run: BackfillRun, deps: BackfillDeps): Promise<BackfillEnd> {
  const hold = await take(run, deps)
  if (hold.status === 'unknown') return { ending: 'unknown' }
  if (hold.status === 'ended') return { ending: 'already-ended', backfill: hold.backfill }
  if (hold.status === 'busy') return { ending: 'busy', retryMs: hold.retryMs, backfill: hold.backfill }
  const beganAt = deps.clock.now()
  const work = workOf(run, deps, hold)
  const end = await moveOrLetGo(work, run, deps, hold.epoch)
  deps.log.info('backfill.ended', { backfill: run.id, table: hold.backfill.table, ending: end.ending, ms: deps.clock.now() - beganAt })
  if (end.ending === 'taken-over') return end
  const released = await release(run.id, hold.epoch, end.ending === 'done', deps)
  return released === null ? { ending: 'taken-over' } : { ...end, backfill: released }
}

type MoveEnd = Exclude<BackfillEnd, { ending: 'busy' | 'unknown' | 'already-ended' }>

async function moveOrLetGo(work: Work, run: BackfillRun, deps: BackfillDeps, epoch: number): Promise<MoveEnd> {
  try {
    return await move(work, run, deps)
  } catch (error) {
    // What was under way when the signal came.
    if (run.signal.aborted) return { ending: 'interrupted', backfill: work.sender.backfill }
    deps.log.error('backfill.failed', { backfill: run.id, reason: reasonOf(error) })
    await settle(release(run.id, epoch, false, deps))
    throw error
  }
}

interface Work {
  readonly pace: Pace
  readonly pages: Pages
  readonly sender: Sender
  /** When keys that wait are due, and how long the next wait is. */
  locks: { dueAt: number; nextMs: number }
}

function workOf(run: BackfillRun, deps: BackfillDeps, { backfill, epoch }: Extract<Hold, { status: 'held' }>): Work {
  const pace = createPace({ clock: deps.clock, rate: run.rate })
  const persistently: Persistently = (what, work) => persisting(what, work, run, deps)
  return {
    pace,
    pages: createPages({ rows: deps.rows, backfill, read: (work) => persistently('read', work), signal: run.signal }),
    sender: createSender({
      backfills: deps.backfills,
      id: run.id,
      epoch,
      leaseMs: LEASE_MS,
      backfill,
      persistently,
      pace,
      clock: deps.clock,
      signal: run.signal,
    }),
    locks: { dueAt: 0, nextMs: LOCKS_MS.first },
  }
}

async function move(work: Work, run: BackfillRun, { clock }: BackfillDeps): Promise<MoveEnd> {
  const { pace, pages, sender } = work
  const { signal } = run
  const rest = async (ms: number, doing: Doing): Promise<void> => {
    run.onProgress?.(sender.backfill, doing)
    await clock.sleep(ms, { signal })
    if (!signal.aborted) await sender.renew()
  }
  for (;;) {
    const { backfill } = sender
    if (sender.lost) return { ending: 'taken-over' }
    if (signal.aborted) return { ending: 'interrupted', backfill }
    if (backfill.state === 'cancelled') return { ending: 'cancelled', backfill }
    if (backfill.state !== 'running') await rest(LOOK_MS, 'paused')
    else if (!sender.room) await rest(ROOM_MS, 'waiting-for-room')
    else if (pace.waitMs() > 0) await clock.sleep(Math.min(pace.waitMs(), LOOK_MS), { signal })
    else if (backfill.waiting.length > 0 && clock.now() >= work.locks.dueAt) await sendWaiting(work, clock)
    else if (backfill.waiting.length < MOST_WAITING && (await pages.fill(backfill))) await sendNew(work, run)
    else if (backfill.waiting.length === 0) return { ending: 'done', backfill }
    else await rest(Math.max(1, Math.min(work.locks.dueAt - clock.now(), LOOK_MS)), 'waiting-for-locks')
    if (sender.moved()) run.onProgress?.(sender.backfill, 'sending')
  }
}

/** Rows that were seen for the first time. */
async function sendNew({ pace, pages, sender }: Work, { onRows }: BackfillRun): Promise<void> {
  const rows = pages.take(pace.size)
  await sender.send(
    rows.map(({ key }) => key),
    true,
  )
  if (sender.backfill.state === 'running' && !sender.lost) onRows?.(rows)
  else pages.forget()
}

/** Keys that somebody held: asked for again, later each time that none of them was free. */
async function sendWaiting(work: Work, clock: Clock): Promise<void> {
  const { pace, sender } = work
  const { waiting } = sender.backfill
  await sender.send(waiting.slice(0, pace.size), false)
  const stuck = sender.backfill.waiting.length >= waiting.length
  work.locks = { dueAt: clock.now() + work.locks.nextMs, nextMs: stuck ? Math.min(work.locks.nextMs * 2, LOCKS_MS.most) : LOCKS_MS.first }
}

export type Persistently = <T>(what: string, work: () => Promise<T>) => Promise<T>

function persisting<T>(what: string, work: () => Promise<T>, run: BackfillRun, { clock, log, random }: Omit<BackfillDeps, 'rows'>): Promise<T> {
  return retrying(work, {
    ...RETRY,
    random,
    clock,
    signal: run.signal,
    onRetry: ({ attempt, error, waitMs }) => log.warn('backfill.database-retry', { backfill: run.id, what, attempt, waitMs, reason: reasonOf(error) }),
  })
}

function take(run: BackfillRun, deps: BackfillDeps): Promise<Hold> {
  return persisting('hold', () => deps.backfills.hold({ id: run.id, owner: run.owner, leaseMs: LEASE_MS }, run), run, deps)
}

/** Also after the run's signal: a lease that is let go need not run out. */
function release(id: number, epoch: number, done: boolean, { backfills }: BackfillDeps): Promise<Backfill | null> {
  return backfills.release({ id, epoch, done }, { signal: new AbortController().signal })
}
