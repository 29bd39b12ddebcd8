/**
 * Looks at single keys until it is clear whether they differ. What differs at first sight may only have been written meanwhile. A
 * difference is one when the sinks show the same before the source is read and after the barrier that follows: had the key changed in between,
 * they would show its new version. So a key that somebody writes again and again is never called wrong.
 */
import type { Cancellable } from '../ports/cancellable.ts'
import type { IndexCopy, SilverCopy } from '../ports/reconcile.ts'
import type { Discrepancy, Finding } from '../ports/reconciliations.ts'
import { qualifiedName } from '../tables/table.ts'
import { isRefusal } from './errors.ts'
import type { ComparedTable, Persistently, ReconcileDeps } from './reconcile-deps.ts'

export interface JudgeDeps extends Pick<ReconcileDeps, 'source' | 'silver' | 'index' | 'control'> {
  readonly of: ComparedTable
  readonly persistently: Persistently
  readonly barrier: () => Promise<void>
  readonly onKeys: (done: number, total: number) => Promise<void>
}

export interface Judged {
  readonly findings: readonly Finding[]
  /** Keys that were written in every round. */
  readonly moving: readonly string[]
}

interface Copies {
  readonly silver: SilverCopy | undefined
  readonly index: IndexCopy | undefined
}

const MOST_ROUNDS = 6
const KEYS_AT_ONCE = 2_000

export async function judge(keys: readonly string[], deps: JudgeDeps, options: Cancellable): Promise<Judged> {
  const findings: Finding[] = []
  let open = [...new Set(keys)]
  for (let round = 1; open.length > 0 && round <= MOST_ROUNDS; round += 1) {
    const before = await copiesOf(open, deps, options)
    const truth = await truthOf(open, deps, options)
    await deps.barrier()
    const after = await copiesOf(open, deps, options)
    const again: string[] = []
    for (const key of open) {
      const wrong = discrepancies(key, truth.get(key), copiesAt(after, key), deps.index !== null)
      if (wrong.length === 0) continue
      if (areSame(copiesAt(before, key), copiesAt(after, key))) findings.push(...wrong)
      else again.push(key)
    }
    await deps.onKeys(keys.length - again.length, keys.length)
    open = again
  }
  return { findings, moving: open }
}

/** The index is judged by what the source has; by version only where silver has the row, for the source keeps none. */
function discrepancies(key: string, truth: bigint | undefined, { index, silver }: Copies, hasIndex: boolean): readonly Finding[] {
  const content = silver?.content ?? null
  const inSilver: Discrepancy | null =
    truth === undefined ? (content === null ? null : 'extra') : content === null ? 'missing' : content === truth ? null : 'different'
  const living = index?.living === true
  const otherVersion = content !== null && silver?.version !== index?.version
  const inIndex: Discrepancy | null = !hasIndex
    ? null
    : truth === undefined
      ? living
        ? 'extra'
        : null
      : !living
        ? 'missing'
        : otherVersion
          ? 'different'
          : null
  return [
    ...(inSilver === null ? [] : [{ sink: 'silver' as const, what: inSilver, key }]),
    ...(inIndex === null ? [] : [{ sink: 'index' as const, what: inIndex, key }]),
  ]
}

function areSame(one: Copies, other: Copies): boolean {
  return (
    one.silver?.version === other.silver?.version &&
    one.silver?.content === other.silver?.content &&
    one.index?.version === other.index?.version &&
    one.index?.living === other.index?.living
  )
}

interface CopiesByKey {
  readonly silver: ReadonlyMap<string, SilverCopy>
  readonly index: ReadonlyMap<string, IndexCopy>
}

function copiesAt({ index, silver }: CopiesByKey, key: string): Copies {
  return { silver: silver.get(key), index: index.get(key) }
}

async function copiesOf(
  keys: readonly string[],
  { control, index, of: { table }, persistently, silver }: JudgeDeps,
  options: Cancellable,
): Promise<CopiesByKey> {
  const found = await inParts(keys, (part) => persistently('silver', () => silver.find(table, part, options)))
  if (index === null) return { silver: byKey(found), index: new Map() }
  const floors = await persistently('floors', () => control.floors(options))
  const floor = floors.find((one) => one.table === qualifiedName(table))?.version ?? 0
  return { silver: byKey(found), index: byKey(await inParts(keys, (part) => persistently('index', () => index.find(table, part, floor, options)))) }
}

async function truthOf(
  keys: readonly string[],
  { of: { table }, persistently, source }: JudgeDeps,
  options: Cancellable,
): Promise<ReadonlyMap<string, bigint>> {
  const found = await inParts(keys, (part) => persistently('source', () => source.find(table, part, options)))
  return new Map(found.map(({ content, key }) => [key, content]))
}

function byKey<T extends { readonly key: string }>(copies: readonly T[]): ReadonlyMap<string, T> {
  return new Map(copies.map((copy) => [copy.key, copy]))
}

/** What the type of a key can't hold, as a document made by hand may have it, is found by halves, and is not there. */
async function inParts<T>(keys: readonly string[], find: (part: readonly string[]) => Promise<readonly T[]>): Promise<readonly T[]> {
  const found: T[] = []
  const look = async (part: readonly string[]): Promise<void> => {
    if (part.length === 0) return
    try {
      found.push(...(await find(part)))
    } catch (error) {
      if (!isRefusal(error)) throw error
      if (part.length === 1) return
      const half = Math.ceil(part.length / 2)
      await look(part.slice(0, half))
      await look(part.slice(half))
    }
  }
  for (let at = 0; at < keys.length; at += KEYS_AT_ONCE) await look(keys.slice(at, at + KEYS_AT_ONCE))
  return found
}
