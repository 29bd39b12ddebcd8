/** The rows of a backfill in the order of their keys, read some thousand at a time. */
import type { Backfill } from '../ports/backfills.ts'
import type { SourceRow, SourceRows } from '../ports/source-rows.ts'

/** Keys are small, and reading them is cheaper by the thousand. */
const PAGE = 5_000

export interface PagesDeps {
  readonly rows: SourceRows
  readonly backfill: Backfill
  /** Tries until the database answers. */
  readonly read: <T>(work: () => Promise<T>) => Promise<T>
  readonly signal: AbortSignal
}

export interface Pages {
  /** Sees to it that there is something to take; false at the end, or at the backfill's limit. */
  fill(backfill: Backfill): Promise<boolean>
  /** The next rows, up to so many. */
  take(count: number): readonly SourceRow[]
  /** What was taken was not sent: goes on from where the backfill is. */
  forget(): void
}

export function createPages({ backfill: { condition, limit, since, table }, read, rows, signal }: PagesDeps): Pages {
  let buffer: readonly SourceRow[] = []
  let ended = false
  return {
    fill: async ({ reached, seen }) => {
      if (buffer.length > 0) return true
      const wanted = limit === null ? PAGE : Math.min(PAGE, limit - seen)
      if (ended || wanted <= 0) return false
      buffer = await read(() => rows.page({ table, condition, since }, reached, wanted, { signal }))
      ended = buffer.length < wanted
      return buffer.length > 0
    },
    take: (count) => {
      const taken = buffer.slice(0, count)
      buffer = buffer.slice(count)
      return taken
    },
    forget: () => {
      buffer = []
      ended = false
    },
  }
}
