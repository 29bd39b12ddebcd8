/** Opens the ranges that differ, and finds the keys to look at: those that are on one side alone, or stand differently. */
import type { Cancellable } from '../ports/cancellable.ts'
import type { Pages } from '../ports/reconcile.ts'
import { qualifiedName } from '../tables/table.ts'
import type { ComparedTable, Persistently, ReconcileDeps } from './reconcile-deps.ts'
import { readPages } from './reconcile-reading.ts'
import { differing, type Pass, sumOf } from './reconcile-sums.ts'
import { together } from './together.ts'

export interface OpenDeps extends Pick<ReconcileDeps, 'source' | 'silver' | 'index' | 'control' | 'clock'> {
  readonly of: ComparedTable
  readonly persistently: Persistently
  readonly onOpened: (done: number, total: number) => Promise<void>
  /** Rows in ranges that are opened together: what is held in memory. */
  readonly mostRows: number
}

export interface Part {
  readonly ranges: readonly number[]
  readonly rows: number
}

/** The ranges that differ, in parts of so many rows: for each, the source is read once more. */
export function partsOf(pass: Pass, hasIndex: boolean, mostRows: number): readonly Part[] {
  const { content, versions } = differing(pass, hasIndex)
  const parts: { ranges: number[]; rows: number }[] = []
  for (const range of [...new Set([...content, ...versions])].toSorted((a, b) => a - b)) {
    const rows = Math.max(...[pass.source, pass.silver, pass.index].map(({ sums }) => sumOf(sums, range).rows))
    const last = parts.at(-1)
    if (last === undefined || last.rows + rows > mostRows) parts.push({ ranges: [range], rows })
    else {
      last.ranges.push(range)
      last.rows += rows
    }
  }
  return parts
}

interface SilverRow {
  readonly content: bigint
  readonly version: number
}

/** The sides are read side by side, each where it matters. */
export async function suspectsOf({ ranges }: Part, pass: Pass, deps: OpenDeps, options: Cancellable): Promise<readonly string[]> {
  const { content, versions } = differing(pass, deps.index !== null)
  const [isContent, isVersions] = [ranges.some((range) => content.includes(range)), ranges.some((range) => versions.includes(range))]
  const opening: Opening = { ranges, pass, deps, onStretch: progressOf(isContent ? ['silver', 'source'] : ['silver'], deps) }
  const silverRows = new Map<string, SilverRow>()
  const sourceRows = new Map<string, bigint>()
  const documents = new Map<string, number>()
  const { of, silver, source } = deps
  await together(
    [
      (own) =>
        openTable('silver', opening, own, async (pages) => {
          for (const row of await silver.open(of.table, pass.boundaries, ranges, pages, own)) silverRows.set(row.key, row)
        }),
      async (own) => {
        if (!isContent) return
        await openTable('source', opening, own, async (pages) => {
          for (const row of await source.open(of.table, pass.boundaries, ranges, pages, own)) sourceRows.set(row.key, row.content)
        })
      },
      async (own) => {
        if (isVersions) await openIndex(documents, opening, own)
      },
    ],
    options,
  )
  const suspects = new Set<string>()
  if (isContent) {
    for (const [key, row] of sourceRows) if (silverRows.get(key)?.content !== row) suspects.add(key)
    for (const key of silverRows.keys()) if (!sourceRows.has(key)) suspects.add(key)
  }
  if (isVersions) {
    for (const [key, version] of documents) if (silverRows.get(key)?.version !== version) suspects.add(key)
    for (const key of silverRows.keys()) if (!documents.has(key)) suspects.add(key)
  }
  return [...suspects]
}

interface Opening {
  readonly ranges: readonly number[]
  readonly pass: Pass
  readonly deps: OpenDeps
  readonly onStretch: (side: 'source' | 'silver', next: number | null, total: number) => Promise<boolean>
}

/** Tables tell how far they are, as one. */
function progressOf(sides: readonly ('source' | 'silver')[], { onOpened }: OpenDeps): Opening['onStretch'] {
  const share = new Map(sides.map((side) => [side, 0]))
  return async (side, next, total) => {
    share.set(side, next === null ? 1 : Math.min(1, next / Math.max(1, total)))
    await onOpened(Math.round([...share.values()].reduce((sum, one) => sum + one, 0) * 1_000), sides.length * 1_000)
    return true
  }
}

async function openTable(side: 'source' | 'silver', { deps, onStretch }: Opening, options: Cancellable, read: (pages: Pages) => Promise<void>): Promise<void> {
  const { clock, of } = deps
  const persistently: Persistently = (what, work) => deps.persistently(what, work, options)
  const total = await persistently('pages', () => deps[side].pages(of.table, options))
  await readPages(0, total, read, { clock, persistently, onStretch: (next) => onStretch(side, next, total) })
}

const DOCUMENTS_AT_ONCE = 2_000

async function openIndex(documents: Map<string, number>, { deps, pass: { boundaries }, ranges }: Opening, options: Cancellable): Promise<void> {
  const { control, index, of, persistently } = deps
  if (index === null) return
  const { table } = of
  const floors = await persistently('floors', () => control.floors(options), options)
  const floor = floors.find((one) => one.table === qualifiedName(table))?.version ?? 0
  /** The key that the next page comes after; null at the end. */
  const readDocuments = async (range: number, after: string | null): Promise<string | null> => {
    const page = await persistently('index', () => index.open(table, { boundaries, range, floor, after, limit: DOCUMENTS_AT_ONCE }, options), options)
    for (const { key, version } of page) documents.set(key, version)
    return page.length < DOCUMENTS_AT_ONCE ? null : (page.at(-1)?.key ?? null)
  }
  for (const range of ranges) {
    let after: string | null = null
    do after = await readDocuments(range, after)
    while (after !== null)
  }
}
