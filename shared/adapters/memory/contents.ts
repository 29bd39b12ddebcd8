/** What a reconcile reads, in memory: the rows of a source, and those of an analytics database as silver, or as an index. */
import type { IndexContents, RangeSum, SilverContents, SourceContents } from '../../ports/reconcile.ts'
import { qualifiedName, type SourceTable } from '../../tables/table.ts'
import type { MemoryAnalytics } from './analytics.ts'
import { hashOf } from './hash.ts'
import type { MemorySource } from './source.ts'

/** Rows a page. */
const PAGE = 4
const RANGE = 3
const MOST_RANGES = 32

interface Row {
  readonly key: string
  readonly content: bigint
  readonly version: number
}

/** A table as pages of rows, in the order of their keys. */
function paged(rowsOf: (table: SourceTable) => readonly Row[]) {
  const inOrder = (table: SourceTable) => rowsOf(table).toSorted((a, b) => compared(a.key, b.key))
  const within = (table: SourceTable, from: number, to: number | null) => inOrder(table).slice(from * PAGE, to === null ? undefined : to * PAGE)
  return {
    pages: (table: SourceTable) => Math.ceil(rowsOf(table).length / PAGE),
    sample: (table: SourceTable) => {
      const rows = inOrder(table)
      const step = Math.max(RANGE, Math.ceil(rows.length / MOST_RANGES))
      return rows.filter((_, nth) => nth % step === step - 1).map(({ key }) => key)
    },
    sums: (table: SourceTable, boundaries: readonly string[], from: number, to: number | null) =>
      [...Map.groupBy(within(table, from, to), ({ key }) => rangeOf(boundaries, key))].map(([range, rows]) => ({
        range,
        rows: rows.length,
        content: rows.reduce((sum, { content }) => sum + content, 0n),
        check: rows.reduce((sum, row) => sum + checkOf(row), 0n),
      })),
    open: (table: SourceTable, boundaries: readonly string[], ranges: readonly number[], from: number, to: number | null) =>
      within(table, from, to).filter(({ key }) => ranges.includes(rangeOf(boundaries, key))),
  }
}

export function memorySourceContents({ source }: { readonly source: MemorySource }): SourceContents {
  const rowsOf = (table: SourceTable) => [...source.rows(qualifiedName(table))].map(([key, image]) => ({ key, content: contentOf(image), version: 0 }))
  const table = paged(rowsOf)
  return {
    pages: async (of) => table.pages(of),
    sample: async (of) => table.sample(of),
    sums: async (of, boundaries, { from, to }) => table.sums(of, boundaries, from, to).map(({ content, range, rows }): RangeSum => ({ range, rows, content })),
    open: async (of, boundaries, ranges, { from, to }) => table.open(of, boundaries, ranges, from, to),
    find: async (of, keys) => rowsOf(of).filter(({ key }) => keys.includes(key)),
  }
}

export function memorySilverContents({ analytics }: { readonly analytics: MemoryAnalytics }): SilverContents {
  const copiesOf = (table: SourceTable) => [...(analytics.silver.get(qualifiedName(table)) ?? [])].map(([key, row]) => ({ key, ...row }))
  const table = paged((of) => copiesOf(of).flatMap(({ after, key, version }) => (after === null ? [] : [{ key, content: contentOf(after), version }])))
  return {
    pages: async (of) => table.pages(of),
    sample: async (of) => table.sample(of),
    sums: async (of, boundaries, { from, to }) => table.sums(of, boundaries, from, to),
    open: async (of, boundaries, ranges, { from, to }) => table.open(of, boundaries, ranges, from, to),
    find: async (of, keys) =>
      copiesOf(of).flatMap(({ after, key, version }) => (keys.includes(key) ? [{ key, content: after === null ? null : contentOf(after), version }] : [])),
  }
}

/** `analytics` holds what a sink without bronze wrote. */
export function memoryIndexContents({ analytics }: { readonly analytics: MemoryAnalytics }): IndexContents {
  const copiesOf = (table: SourceTable, floor: number) =>
    [...(analytics.silver.get(qualifiedName(table)) ?? [])].map(([key, { after, version }]) => ({ key, version, living: after !== null && version > floor }))
  const shown = (table: SourceTable, floor: number, boundaries: readonly string[], range: number) =>
    copiesOf(table, floor).filter(({ key, living }) => living && rangeOf(boundaries, key) === range)
  return {
    settle: async () => {},
    sums: async (table, { boundaries, floor, from, to }) =>
      Array.from({ length: to - from }, (_, nth) => {
        const rows = shown(table, floor, boundaries, from + nth)
        return { range: from + nth, rows: rows.length, check: rows.reduce((sum, row) => sum + checkOf(row), 0n) }
      }),
    open: async (table, { after, boundaries, floor, limit, range }) =>
      shown(table, floor, boundaries, range)
        .toSorted((a, b) => compared(a.key, b.key))
        .filter(({ key }) => after === null || compared(key, after) > 0)
        .slice(0, limit),
    find: async (table, keys, floor) => copiesOf(table, floor).filter(({ key }) => keys.includes(key)),
  }
}

function rangeOf(boundaries: readonly string[], key: string): number {
  return boundaries.filter((boundary) => compared(boundary, key) <= 0).length
}

function compared(one: string, other: string): number {
  return one < other ? -1 : Number(one > other)
}

function contentOf(image: string): bigint {
  return BigInt(hashOf(image))
}

function checkOf({ key, version }: { readonly key: string; readonly version: number }): bigint {
  return BigInt(hashOf(`${key}:${version}`))
}
