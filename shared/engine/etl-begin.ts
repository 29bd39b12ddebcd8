/** How a run begins: its source checked, a moment proven, its span and its way decided, once. */
import type { EtlRun } from '../ports/etl-control.ts'
import type { EtlPhase, EtlProgress } from '../ports/etl-store.ts'
import { AfluenteError } from './errors.ts'
import { checkEtlSource, type TypeJudge } from './etl-check.ts'
import { refuseEmptying } from './etl-emptying.ts'
import { prove } from './etl-prove.ts'
import type { Work } from './etl-run.ts'
import { milliseconds } from './duration.ts'

/** Who is open now has mostly ended a moment later; the first load is long, and without a watermark all of it would be read again. */
const PATIENCE_MS = { incremental: 150, first: 3_000 } as const

export async function beginRun(
  { clock, job, lease, log, name, salt, signal, source, store }: Work,
  taken: EtlProgress,
  judge: TypeJudge,
): Promise<EtlProgress> {
  const { faults, warnings } = await checkEtlSource(name, job, source, judge, { signal })
  if (faults.length > 0) throw new AfluenteError('misconfigured', 'source-differs', faults.join('\n'))
  for (const warning of warnings) log.warn('etl.source', { job: name, warning })
  const loadType = wayOf(taken.run)
  if ((loadType === 'full' || loadType === 'reconcile') && !taken.run.dryRun && !taken.run.acceptDeletes)
    await refuseEmptying({ name, job, loadType, source, store }, { signal })
  const marks = loadType === 'incremental' || loadType === 'full'
  const proof = await prove(
    { noted: taken.noted, proven: taken.provenUntil },
    { source, clock, signal, patienceMs: marks ? (loadType === 'full' ? PATIENCE_MS.first : PATIENCE_MS.incremental) : 0 },
  )
  const span =
    loadType === 'incremental'
      ? ({ overlapMs: milliseconds(job.overlap), marginMs: milliseconds(job.margin) } as const)
      : loadType === 'backfill'
        ? 'asked'
        : 'all'
  const phase: EtlPhase = loadType === 'reconcile' ? 'ranges' : loadType === 'full' ? 'rows' : 'changes'
  const expected = loadType === 'incremental' ? null : await source.estimate(job, loadType === 'backfill' ? taken.run : { from: null, to: null }, { signal })
  log.info('etl.begun', { job: name, run: lease.run, loadType, proven: proof.proven, open: proof.noted?.open.length ?? 0 })
  return store.begin(lease, { phase, loadType, span, expected, definitionHash: salt, now: proof.now, proven: proof.proven, noted: proof.noted }, { signal })
}

/** A job that has no watermark has nothing to go on from: all is read. */
function wayOf({ loadType, watermarkStart }: EtlRun): EtlRun['loadType'] {
  return loadType === 'incremental' && watermarkStart === null ? 'full' : loadType
}
