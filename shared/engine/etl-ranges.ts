/** Source and silver compared by ranges of keys: a range that is equal costs a sum on each side, one that differs is read and written anew. */
import type { EtlRun } from '../ports/etl-control.ts'
import type { RangeDigest } from '../ports/etl-source.ts'
import type { EtlProgress } from '../ports/etl-store.ts'
import type { Moved, Work } from './etl-run.ts'

/** Rows of a range: few, so that one row that differs has few read again; and ranges compared at once. */
const RANGE_ROWS = 500
const RANGES = 40

export async function moveRanges(work: Work, progress: EtlProgress): Promise<Moved> {
  const { job, lease, salt, signal, source, store } = work
  let after = progress.position?.after ?? null
  let run: EtlRun = progress.run
  for (;;) {
    const ranges = await source.digests({ job, salt }, { after, ranges: RANGES, rows: RANGE_ROWS }, { signal })
    const last = ranges.at(-1)?.last ?? null
    if (last === null) return { all: true, run: await repair(work, progress, { after, upTo: null }) }
    for (const nth of await store.differing({ job, after, ranges }, { signal })) {
      const upTo = ranges[nth]?.last
      if (upTo === undefined) continue
      run = await repair(work, progress, { after: lowEnd(ranges, nth, after), upTo })
      work.onProgress?.(run)
      if (run.cancelAsked) return { all: false, run }
    }
    run = await store.pass(lease, { position: last, rows: ranges.reduce((sum, { rows }) => sum + rows, 0) }, { signal })
    work.onProgress?.(run)
    after = last
    if (run.cancelAsked || work.isSpent()) return { all: false, run }
  }
}

function lowEnd(ranges: readonly RangeDigest[], nth: number, after: readonly string[] | null): readonly string[] | null {
  return nth === 0 ? after : (ranges[nth - 1]?.last ?? after)
}

/** Read anew, in a snapshot of its own: it may be equal by now. The position stays; what is written twice is equal the second time. */
async function repair(
  { job, lease, salt, signal, source, store }: Work,
  { run }: EtlProgress,
  { after, upTo }: { readonly after: readonly string[] | null; readonly upTo: readonly string[] | null },
): Promise<EtlRun> {
  const page = await source.page({ job, salt }, { order: 'key', after, upTo, from: null, to: null, limit: null }, { signal })
  return store.write(
    {
      lease,
      job,
      // Counted as looked at when the run passes its range.
      page: { ...page, rows: 0 },
      phase: 'ranges',
      dryRun: run.dryRun,
      repairs: true,
      gone: { after, upTo },
      caughtUpTo: run.watermarkStart,
      position: null,
    },
    { signal },
  )
}
