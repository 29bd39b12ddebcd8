/** The sums of a reconcile's first pass, and how far the reading has come: what a run that was killed goes on from. */

export interface Sum {
  readonly rows: number
  readonly content: bigint
  readonly check: bigint
}

export type Sums = Map<number, Sum>

/** A side while it is read. `next`: the page, or the range, that is read next; null when all was. */
export interface SideRead {
  next: number | null
  readonly sums: Sums
}

export interface Pass {
  readonly boundaries: readonly string[]
  /** ISO 8601. */
  readonly asOf: string
  /** The source's number of this reconcile. */
  readonly reconciliation: number
  readonly source: SideRead
  readonly silver: SideRead
  readonly index: SideRead
}

const NOTHING: Sum = { rows: 0, content: 0n, check: 0n }
const SIDES = ['source', 'silver', 'index'] as const

export function newPass(of: Pick<Pass, 'boundaries' | 'asOf' | 'reconciliation'>): Pass {
  return { ...of, source: unread(), silver: unread(), index: unread() }
}

function unread(): SideRead {
  return { next: 0, sums: new Map() }
}

export function sumOf(sums: Sums, range: number): Sum {
  return sums.get(range) ?? NOTHING
}

export function add(
  sums: Sums,
  { range, rows, content = 0n, check = 0n }: { readonly range: number; readonly rows: number; readonly content?: bigint; readonly check?: bigint },
): void {
  const before = sumOf(sums, range)
  sums.set(range, { rows: before.rows + rows, content: before.content + content, check: before.check + check })
}

export function totalOf(sums: Sums): number {
  return [...sums.values()].reduce((total, { rows }) => total + rows, 0)
}

/** Sums of documents are doubles: of so many and more they need not be exact. */
const EXACT_BELOW = 2 ** 21

/** Ranges in which source and silver differ by content, and those in which silver and index differ by key and version. */
export function differing(
  { boundaries, index, silver, source }: Pass,
  hasIndex: boolean,
): { readonly content: readonly number[]; readonly versions: readonly number[] } {
  const ranges = Array.from({ length: boundaries.length + 1 }, (_, range) => range)
  return {
    content: ranges.filter((range) => {
      const [one, other] = [sumOf(source.sums, range), sumOf(silver.sums, range)]
      return one.rows !== other.rows || one.content !== other.content
    }),
    versions: hasIndex
      ? ranges.filter((range) => {
          const [one, other] = [sumOf(silver.sums, range), sumOf(index.sums, range)]
          return one.rows !== other.rows || one.check !== other.check || other.rows >= EXACT_BELOW
        })
      : [],
  }
}

/** As JSON can hold it. */
export function writtenPass({ asOf, boundaries, index, reconciliation, silver, source }: Pass) {
  return { asOf, boundaries, reconciliation, source: writtenSide(source), silver: writtenSide(silver), index: writtenSide(index) }
}

function writtenSide({ next, sums }: SideRead) {
  return { next, sums: [...sums].map(([range, { check, content, rows }]) => [range, rows, String(content), String(check)]) }
}

/** Null for what is no pass, or one of another version of this code. */
export function readPass(value: unknown): Pass | null {
  const [asOf, boundaries, reconciliation] = [memberOf(value, 'asOf'), memberOf(value, 'boundaries'), memberOf(value, 'reconciliation')]
  const [source, silver, index] = SIDES.map((side) => readSide(memberOf(value, side)))
  if (typeof asOf !== 'string' || typeof reconciliation !== 'number' || !isTexts(boundaries) || !source || !silver || !index) return null
  return { asOf, boundaries, reconciliation, source, silver, index }
}

function readSide(value: unknown): SideRead | null {
  const [next, list] = [memberOf(value, 'next'), memberOf(value, 'sums')]
  if (!(next === null || typeof next === 'number') || !Array.isArray(list)) return null
  const sums: Sums = new Map()
  for (const entry of list) {
    const values: readonly unknown[] = Array.isArray(entry) ? entry : []
    const [range, rows, content, check] = values
    if (typeof range !== 'number' || typeof rows !== 'number' || typeof content !== 'string' || typeof check !== 'string') return null
    sums.set(range, { rows, content: BigInt(content), check: BigInt(check) })
  }
  return { next, sums }
}

function isTexts(value: unknown): value is readonly string[] {
  return Array.isArray(value) && value.every((one) => typeof one === 'string')
}

function memberOf(value: unknown, name: string): unknown {
  return typeof value === 'object' && value !== null ? Reflect.get(value, name) : undefined
}
