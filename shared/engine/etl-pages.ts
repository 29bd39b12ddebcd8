/** Pages by cursor or by key: the next is read while one is written. */
import type { EtlPage, PageRequest } from '../ports/etl-source.ts'
import type { EtlProgress, PageWrite } from '../ports/etl-store.ts'
import type { Moved, Work } from './etl-run.ts'
import { settle } from './settled.ts'

/** From where the run is to its end, its budget's or a cancel. */
export async function movePages(work: Work, progress: EtlProgress): Promise<Moved> {
  const { signal, source } = work
  const { job, salt } = work
  const request = requestOf(work, progress)
  const read = (after: readonly string[] | null) => source.page({ job, salt }, { ...request, after }, { signal })
  let after = progress.position?.after ?? null
  let next = read(after)
  for (;;) {
    const page = await next
    const goesOn = page.hasMore && !work.isSpent()
    next = goesOn ? read(page.last) : Promise.resolve(page)
    // Awaited below; until then it may fail with nobody listening.
    next.catch(() => undefined)
    let run
    try {
      run = await work.store.write(writeOf(work, progress, page, after), { signal })
    } catch (error) {
      // What was being read meanwhile is of no use, and its own fault nobody's.
      await settle(next)
      throw error
    }
    work.onProgress?.(run)
    if (!goesOn || run.cancelAsked) {
      await settle(next)
      return { all: !page.hasMore, run }
    }
    after = page.last
  }
}

function requestOf({ job }: Work, { position, readFrom, readTo }: EtlProgress): PageRequest {
  const byKey = position?.phase === 'rows'
  return { order: byKey ? 'key' : 'cursor', after: null, upTo: null, from: byKey ? null : readFrom, to: byKey ? null : readTo, limit: job.pageRows }
}

/** Of a page by key, what silver has between its ends and it has not, is gone from the source; the last page has no end. */
function writeOf({ job, lease }: Work, { position, run, seenBefore }: EtlProgress, page: EtlPage, after: readonly string[] | null): PageWrite {
  const phase = position?.phase ?? 'changes'
  return {
    lease,
    job,
    page,
    phase,
    dryRun: run.dryRun,
    repairs: false,
    gone: phase === 'rows' ? { after, upTo: page.hasMore ? page.last : null } : null,
    caughtUpTo: run.loadType === 'incremental' ? seenBefore : null,
    position: page.last,
  }
}
