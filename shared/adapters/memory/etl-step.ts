/** A step that moves rows which aren't there: for tests of whoever calls steps. */
import type { EtlStep } from '../../engine/etl-step.ts'
import type { Clock } from '../../ports/clock.ts'
import type { MemoryEtl } from './etl-control.ts'

export interface MemoryStepDeps {
  readonly etl: MemoryEtl
  readonly clock: Clock
  /** Pages that a run takes, each a step. */
  readonly pages: number
  readonly pageRows: number
}

/** Each step is a page of new rows; the last one ends the run well, with the clock as its watermark. A cancel that was asked ends it before its next page. */
export function memoryEtlStep({ clock, etl, pageRows, pages }: MemoryStepDeps): EtlStep {
  return async ({ onProgress, run: id }) => {
    const run = etl.runs.get(id)
    if (run === undefined) return { status: 'unknown' }
    if (run.status !== 'running') return { status: 'ended', run }
    const now = new Date(clock.now()).toISOString().replace('Z', '000Z')
    const ended = { completedAt: now, durationSeconds: (clock.now() - Date.parse(run.startedAt)) / 1_000 }
    if (run.cancelAsked) {
      const cancelled = { ...run, ...ended, status: 'cancelled' } as const
      etl.runs.set(id, cancelled)
      return { status: 'ended', run: cancelled }
    }
    const rows = run.extracted + pageRows
    const moved = { ...run, extracted: rows, inserted: rows, seen: rows, pages: run.pages + 1, expected: pages * pageRows }
    const isLast = moved.pages >= pages
    const after = isLast ? { ...moved, ...ended, status: 'success' as const, watermarkEnd: run.dryRun ? null : now } : moved
    etl.runs.set(id, after)
    onProgress?.(after)
    return { status: isLast ? 'ended' : 'more', run: after }
  }
}
