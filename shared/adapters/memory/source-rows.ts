/** Rows of a source database in memory, read by key. It knows no conditions, and no times but those in the rows themselves. */
import type { SourceRow, SourceRows } from '../../ports/source-rows.ts'
import type { MemorySource } from './source.ts'

/** In the order of the keys' texts. */
export function memorySourceRows({ source }: { readonly source: MemorySource }): SourceRows {
  const rowsOf = (table: string): readonly SourceRow[] =>
    [...source.rows(table)].toSorted(([a], [b]) => (a < b ? -1 : 1)).map(([key]) => ({ key, status: null, day: null }))
  return {
    check: async ({ condition, since, table }, { signal }) => {
      signal.throwIfAborted()
      return condition === null && since === null ? { ok: true } : { ok: false, reason: `${table} knows no conditions here` }
    },
    estimate: async ({ table }, { signal }) => {
      signal.throwIfAborted()
      return rowsOf(table).length
    },
    page: async ({ table }, after, limit, { signal }) => {
      signal.throwIfAborted()
      return rowsOf(table)
        .filter(({ key }) => after === null || key > after)
        .slice(0, limit)
    },
  }
}
