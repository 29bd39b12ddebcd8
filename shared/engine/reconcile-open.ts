/** Opens the ranges that differ, and finds the keys to look at: those that are on one side alone, or stand differently. */
import type { Cancellable } from '../ports/cancellable.ts'
import { qualifiedName } from '../tables/table.ts'
import type { ComparedTable, Persistently, ReconcileDeps } from './reconcile-deps.ts'
import { readPages } from './reconcile-reading.ts'
import { differing, type Pass, sumOf } from './reconcile-sums.ts'

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

export async function suspectsOf({ ranges }: Part, pass: Pass, deps: OpenDeps, options: Cancellable): Promise<readonly string[]> {
  const { of, silver, source } = deps
  const { content, versions } = differing(pass, deps.index !== null)
  const silverRows = new Map<string, SilverRow>()
  const sourceRows = new Map<string, bigint>()
  const step = async (side: 'source' | 'silver') => {
    const total = await deps.persistently('pages', () => deps[side].pages(of.table, options))
    const reading = { ...deps, onStretch: async (next: number | null) => (await deps.onOpened(next ?? total, total), true) }
    await readPages(
      0,
      total,
      async (pages) => {
        if (side === 'source') for (const row of await source.open(of.table, pass.boundaries, ranges, pages, options)) sourceRows.set(row.key, row.content)
        else for (const row of await silver.open(of.table, pass.boundaries, ranges, pages, options)) silverRows.set(row.key, row)
      },
      reading,
    )
  }
  await step('silver')
  const suspects = new Set<string>()
  if (ranges.some((range) => content.includes(range))) {
    await step('source')
    for (const [key, row] of sourceRows) if (silverRows.get(key)?.content !== row) suspects.add(key)
    for (const key of silverRows.keys()) if (!sourceRows.has(key)) suspects.add(key)
  }
  if (ranges.some((range) => versions.includes(range))) for (const key of await indexSuspects(ranges, silverRows, pass, deps, options)) suspects.add(key)
  return [...suspects]
}

const DOCUMENTS_AT_ONCE = 2_000

async function indexSuspects(
  ranges: readonly number[],
  silverRows: ReadonlyMap<string, SilverRow>,
  { boundaries }: Pass,
  { control, index, of: { table }, persistently }: OpenDeps,
  options: Cancellable,
): Promise<readonly string[]> {
  if (index === null) return []
  const floors = await persistently('floors', () => control.floors(options))
  const floor = floors.find((one) => one.table === qualifiedName(table))?.version ?? 0
  const documents = new Map<string, number>()
  /** The key that the next page comes after; null at the end. */
  const readDocuments = async (range: number, after: string | null): Promise<string | null> => {
    const page = await persistently('index', () => index.open(table, { boundaries, range, floor, after, limit: DOCUMENTS_AT_ONCE }, options))
    for (const { key, version } of page) documents.set(key, version)
    return page.length < DOCUMENTS_AT_ONCE ? null : (page.at(-1)?.key ?? null)
  }
  for (const range of ranges) {
    let after: string | null = null
    do after = await readDocuments(range, after)
    while (after !== null)
  }
  const suspects = [...documents].filter(([key, version]) => silverRows.get(key)?.version !== version).map(([key]) => key)
  return [...suspects, ...[...silverRows.keys()].filter((key) => !documents.has(key))]
}
