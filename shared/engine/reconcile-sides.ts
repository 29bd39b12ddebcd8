/**
 * Reads source, silver and index side by side, each stretch by stretch. What is written meanwhile is seen by one and not by another: that
 * makes ranges differ which are then opened, and no more, since every key is judged by itself.
 */
import type { Cancellable } from '../ports/cancellable.ts'
import { qualifiedName } from '../tables/table.ts'
import type { ComparedTable, Persistently, ReconcileDeps } from './reconcile-deps.ts'
import { readPages } from './reconcile-reading.ts'
import { add, type Pass } from './reconcile-sums.ts'
import { together } from './together.ts'

export interface SidesDeps extends Pick<ReconcileDeps, 'source' | 'silver' | 'index' | 'control' | 'clock'> {
  readonly of: ComparedTable
  readonly persistently: Persistently
  /** Told after each stretch, in pages and ranges. What is in `pass` then may be kept. */
  readonly onRead: (done: number, total: number) => Promise<void>
  readonly inTime: () => boolean
}

interface Reading {
  readonly pass: Pass
  readonly deps: SidesDeps
  /** Told how far a side is, by those who read it; answers whether to go on. */
  readonly onStretch: (side: 'source' | 'silver' | 'index', done: number) => Promise<boolean>
}

export function isRead({ index, silver, source }: Pass, hasIndex: boolean): boolean {
  return source.next === null && silver.next === null && (!hasIndex || index.next === null)
}

/** Resolves when all was read, or its time was over: a stretch that is begun is ended. */
export async function readSides(pass: Pass, deps: SidesDeps, options: Cancellable): Promise<void> {
  const { index, of, persistently } = deps
  const pagesOf = (side: 'source' | 'silver') => persistently('pages', () => deps[side].pages(of.table, options))
  const totals = { source: await pagesOf('source'), silver: await pagesOf('silver'), index: index === null ? 0 : pass.boundaries.length + 1 }
  const total = totals.source + totals.silver + totals.index
  const done = { source: pass.source.next ?? totals.source, silver: pass.silver.next ?? totals.silver, index: pass.index.next ?? totals.index }
  const reading: Reading = {
    pass,
    deps,
    onStretch: async (side, reached) => {
      done[side] = Math.min(reached, totals[side])
      await deps.onRead(done.source + done.silver + done.index, total)
      return deps.inTime()
    },
  }
  await together(
    [(own) => readTable('source', totals.source, reading, own), (own) => readTable('silver', totals.silver, reading, own), (own) => readIndex(reading, own)],
    options,
  )
}

async function readTable(name: 'source' | 'silver', total: number, { deps, onStretch, pass }: Reading, options: Cancellable): Promise<void> {
  const { clock, of, persistently } = deps
  const side = pass[name]
  if (side.next === null) return
  await readPages(
    side.next,
    total,
    async (pages) => {
      const sums = await deps[name].sums(of.table, pass.boundaries, pages, options)
      // In one go: the pass may be kept whenever another side has read something.
      for (const sum of sums) add(side.sums, sum)
      side.next = pages.to
    },
    { clock, persistently: (what, work) => persistently(what, work, options), onStretch: (next) => onStretch(name, next ?? total) },
  )
}

const RANGES_AT_ONCE = 512

async function readIndex({ deps, onStretch, pass }: Reading, options: Cancellable): Promise<void> {
  const { control, index } = deps
  const { boundaries, index: side } = pass
  if (index === null || side.next === null) return
  const { table } = deps.of
  const persistently = <T>(what: string, work: () => Promise<T>) => deps.persistently(what, work, options)
  const total = boundaries.length + 1
  await persistently('settle', () => index.settle(table, options))
  const floors = await persistently('floors', () => control.floors(options))
  const floor = floors.find((one) => one.table === qualifiedName(table))?.version ?? 0
  for (let from: number | null = side.next; from !== null; from = side.next) {
    const ranges: Parameters<typeof index.sums>[1] = { boundaries, from, to: Math.min(total, from + RANGES_AT_ONCE), floor }
    const sums = await persistently('index', () => index.sums(table, ranges, options))
    for (const sum of sums) add(side.sums, sum)
    side.next = ranges.to < total ? ranges.to : null
    if (!(await onStretch('index', ranges.to))) return
  }
}
