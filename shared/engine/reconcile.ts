/**
 * Compares a table with its copies. First by numbers: counts and sums of hashes over ranges of keys, computed inside each database. Then the
 * ranges that differ are opened, and their keys looked at until it is clear what is wrong. Whatever is repaired goes through the outbox.
 * Killed at any instruction it has changed nothing but what it sent; the reading goes on where it was.
 */
import { qualifiedName } from '../tables/table.ts'
import type { Discrepancy, Finding, Outcome, SinkVerdict } from '../ports/reconciliations.ts'
import { passBarrier } from './reconcile-barrier.ts'
import type { ComparedTable, Doing, OnProgress, Persistently, ReconcileDeps } from './reconcile-deps.ts'
import { actionFor } from './errors.ts'
import { explain, reasonOf } from './reason.ts'
import { judge } from './reconcile-judge.ts'
import { partsOf, suspectsOf } from './reconcile-open.ts'
import { repair } from './reconcile-repair.ts'
import { isRead, readSides } from './reconcile-sides.ts'
import { newPass, type Pass, readPass, totalOf, writtenPass } from './reconcile-sums.ts'
import { isClean } from './reconcile-verdict.ts'
import { retrying } from './retry.ts'
import { settle, unwrap } from './settled.ts'

export interface ReconcileRun {
  readonly of: ComparedTable
  /** Who asked, as it stands with the result. */
  readonly actor: string
  /** Unique to this run. */
  readonly owner: string
  readonly repair: boolean
  /** False goes on with the reading of a run that was killed. */
  readonly anew: boolean
  /** Somebody sees what this throws. Where nobody does, that it could not begin stands with the verdicts as well. */
  readonly watched: boolean
  /** The reading ends there, to be gone on with; null for no end. Milliseconds since 1970. */
  readonly untilMs: number | null
  readonly most: {
    /** Rows of opened ranges that are held in memory at once. */
    readonly rows: number
    /** How often so many are opened. */
    readonly parts: number
  }
  readonly signal: AbortSignal
  readonly onProgress?: OnProgress
  /** Told before anything is sent. */
  readonly onRepair?: (findings: readonly Finding[]) => Promise<void>
}

export type ReconcileEnd =
  | { readonly ending: 'done'; readonly outcome: Outcome; readonly found: readonly Finding[] }
  /** Its time was over; the next run goes on. */
  | { readonly ending: 'paused' }
  /** Somebody else works on it, or has taken it over. */
  | { readonly ending: 'busy' }
  | { readonly ending: 'refused'; readonly reason: string }

const LEASE_MS = 120_000
const KEEP_MS = 5_000
const RETRY = { baseMs: 200, maxMs: 2_000, attempts: 6 } as const
/** As many keys stand with the result. */
const KEYS_TOLD = 100
const NEVER = new AbortController().signal

/** Throws what retrying doesn't mend; the result then says so. */
export async function runReconcile(run: ReconcileRun, deps: ReconcileDeps): Promise<ReconcileEnd> {
  const { of, signal } = run
  const persistently = persisting(run, deps)
  // Before anything is changed anywhere: a source that can't be read ends it here.
  const readable = await settle(deps.source.pages(of.table, run))
  if (run.watched) unwrap(readable)
  const table = qualifiedName(of.table)
  const taken = await persistently('take', () =>
    deps.reconciliations.take({ table, actor: run.actor, repair: run.repair, owner: run.owner, leaseMs: LEASE_MS, anew: run.anew }, run),
  )
  if (taken.status === 'busy') return { ending: 'busy' }
  const held = { id: taken.id, epoch: taken.epoch }
  const beganAt = deps.clock.now()
  // What was read before is not thrown away for that: whoever comes next goes on with it.
  if (!readable.ok && taken.pass !== null && actionFor(readable.error) === 'retry') {
    await settle(deps.reconciliations.release(held, { signal: NEVER }))
    throw readable.error
  }
  try {
    unwrap(readable)
    const end = await reconcile({ run, deps, persistently, held, kept: taken.pass })
    deps.log.info('reconcile.ended', { table, reconciliation: held.id, ending: end.ending, ms: deps.clock.now() - beganAt, ...countsOf(end) })
    return end
  } catch (error) {
    if (error instanceof TakenOver) return { ending: 'busy' }
    deps.log.error('reconcile.failed', { table, reconciliation: held.id, reason: reasonOf(error) })
    await settle(deps.reconciliations.fail({ ...held, problem: signal.aborted ? 'It was interrupted.' : explain(error) }, { signal: NEVER }))
    throw error
  }
}

class TakenOver extends Error {
  override readonly name = 'TakenOver'
}

interface Work {
  readonly run: ReconcileRun
  readonly deps: ReconcileDeps
  readonly persistently: Persistently
  readonly held: { readonly id: number; readonly epoch: number }
  readonly kept: unknown
}

async function reconcile(work: Work): Promise<ReconcileEnd> {
  const { deps, held, persistently, run } = work
  const { of, signal } = run
  const pass = readPass(work.kept) ?? (await beginPass(work))
  if ('reason' in pass) {
    await deps.reconciliations.fail({ ...held, problem: pass.reason }, { signal: NEVER })
    return { ending: 'refused', reason: pass.reason }
  }
  const touch = keeping(work)
  const told =
    (doing: Doing) =>
    async (done: number, total: number | null = null) => {
      run.onProgress?.(doing, done, total)
      await touch()
    }
  const barrier = () => passBarrier({ ...deps, of, persistently, onWait: told('waiting for the sinks') }, run)
  if (!(await readAll(pass, work, barrier))) {
    await persistently('keep', () => deps.reconciliations.keep({ ...held, leaseMs: LEASE_MS, pass: writtenPass(pass) }, { signal: NEVER }))
    await deps.reconciliations.release(held, { signal: NEVER })
    return { ending: 'paused' }
  }

  const looking = { ...deps, of, persistently, barrier, onKeys: told('looking again') }
  const parts = partsOf(pass, deps.index !== null, run.most.rows)
  const suspects: string[] = []
  for (const part of parts.slice(0, run.most.parts))
    suspects.push(...(await suspectsOf(part, pass, { ...deps, of, persistently, mostRows: run.most.rows, onOpened: told('opening what differs') }, run)))
  const first = await judge(suspects, looking, run)
  const last = run.repair && first.findings.length > 0 ? await mended(first.findings, work, told('repairing'), barrier, looking) : first
  const outcome = outcomeOf(pass, deps, {
    left: last.findings,
    moving: new Set([...first.moving, ...last.moving]).size,
    unopened: parts.slice(run.most.parts).reduce((sum, { rows }) => sum + rows, 0),
    mended: first.findings.length - last.findings.length,
  })
  signal.throwIfAborted()
  if (!(await persistently('finish', () => deps.reconciliations.finish({ ...held, outcome }, run)))) throw new TakenOver()
  if (isClean(outcome)) await persistently('end', () => deps.outbox.end(of.table, pass.reconciliation, run))
  return { ending: 'done', outcome, found: first.findings }
}

const FEW_BOUNDARIES = 16
const FEW_PAGES = 256

async function beginPass({ deps, persistently, run }: Work): Promise<Pass | { readonly reason: string }> {
  const { table } = run.of
  const begun = await persistently('begin', () => deps.outbox.begin(table, run))
  if (begun.status === 'refused') return { reason: begun.reason }
  const boundaries = await persistently('sample', () => deps.silver.sample(table, run))
  const pass = (of: readonly string[]) => newPass({ asOf: begun.at, reconciliation: begun.reconciliation, boundaries: of })
  // A copy that has lost its rows can't say where keys lie. Otherwise the source is not read for it.
  const isLarge = boundaries.length < FEW_BOUNDARIES && (await persistently('pages', () => deps.source.pages(table, run))) > FEW_PAGES
  return pass(isLarge ? await persistently('sample', () => deps.source.sample(table, run)) : boundaries)
}

/** False when its time was over before all was read. */
async function readAll(pass: Pass, work: Work, barrier: () => Promise<void>): Promise<boolean> {
  const { deps, persistently, run } = work
  const hasIndex = deps.index !== null
  if (!isRead(pass, hasIndex)) {
    // What was committed before has arrived, so that less of it looks as if it differed.
    await barrier()
    const touch = keeping(work, pass)
    const onRead = async (done: number, total: number) => {
      run.onProgress?.('reading all sides', done, total)
      await touch()
    }
    const inTime = () => run.untilMs === null || deps.clock.now() < run.untilMs
    await readSides(pass, { ...deps, of: run.of, persistently, onRead, inTime }, run)
  }
  if (!isRead(pass, hasIndex)) return false
  await barrier()
  return true
}

type Judging = Parameters<typeof judge>[1]

async function mended(
  findings: readonly Finding[],
  { deps, persistently, run }: Work,
  onSent: (done: number, total: number) => Promise<void>,
  barrier: () => Promise<void>,
  looking: Judging,
) {
  await run.onRepair?.(findings)
  await repair(findings, { ...deps, of: run.of, persistently, onSent }, run)
  await barrier()
  return judge(
    findings.map(({ key }) => key),
    looking,
    run,
  )
}

/** Renews the lease now and then, with how far the reading has come. */
function keeping({ deps, held, run }: Work, pass?: Pass): () => Promise<void> {
  let keptAt = deps.clock.now()
  return async () => {
    run.signal.throwIfAborted()
    if (deps.clock.now() - keptAt < KEEP_MS) return
    keptAt = deps.clock.now()
    const kept = await settle(deps.reconciliations.keep({ ...held, leaseMs: LEASE_MS, ...(pass === undefined ? {} : { pass: writtenPass(pass) }) }, run))
    // One that could not be renewed lasts for a while.
    if (kept.ok && !kept.value) throw new TakenOver()
  }
}

function persisting({ of, signal }: ReconcileRun, { clock, log, random }: ReconcileDeps): Persistently {
  return (what, work, options = { signal }) =>
    retrying(work, {
      ...RETRY,
      random,
      clock,
      ...options,
      onRetry: ({ attempt, error, waitMs }) => log.warn('reconcile.retry', { table: qualifiedName(of.table), what, attempt, waitMs, reason: reasonOf(error) }),
    })
}

function outcomeOf(
  { asOf, source }: Pass,
  { index }: ReconcileDeps,
  { left, ...counts }: { readonly left: readonly Finding[]; readonly moving: number; readonly unopened: number; readonly mended: number },
): Outcome {
  const sinks = [...(['silver'] as const), ...(index === null ? [] : (['index'] as const))].map((sink): SinkVerdict => {
    const count = (what: Discrepancy) => left.filter((finding) => finding.sink === sink && finding.what === what).length
    return { sink, missing: count('missing'), different: count('different'), extra: count('extra') }
  })
  return { asOf, rows: totalOf(source.sums), sinks, keys: left.slice(0, KEYS_TOLD), ...counts }
}

function countsOf(end: ReconcileEnd): Readonly<Record<string, number>> {
  return end.ending === 'done' ? { rows: end.outcome.rows, found: end.found.length, mended: end.outcome.mended, moving: end.outcome.moving } : {}
}
