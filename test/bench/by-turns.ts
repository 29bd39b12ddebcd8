/** Two ways of doing the same, measured by turns, so that what else the machine does falls on both alike. */
import { type Table, tables } from './capture-source.ts'

export interface Pair<T> {
  readonly plain: T
  readonly captured: T
}

/** ABBA…: which goes first changes from round to round. */
export async function byTurns<T>(rounds: number, measure: (table: Table, round: number) => Promise<T>): Promise<readonly Pair<T>[]> {
  const pairs: Pair<T>[] = []
  for (let round = 0; round < rounds; round += 1) {
    const found = new Map<Table, T>()
    for (const table of round % 2 === 0 ? tables : tables.toReversed()) found.set(table, await measure(table, round))
    const [plain, captured] = [found.get('plain'), found.get('captured')]
    if (plain !== undefined && captured !== undefined) pairs.push({ plain, captured })
  }
  return pairs
}

export function medianOf(values: readonly number[]): number {
  const sorted = values.toSorted((one, other) => one - other)
  const [low, high] = [sorted[Math.floor((sorted.length - 1) / 2)], sorted[Math.floor(sorted.length / 2)]]
  return ((low ?? Number.NaN) + (high ?? Number.NaN)) / 2
}

/** How many times longer the second takes: the median of the rounds' own ratios, with the least and the most. */
export function ratiosOf(pairs: readonly Pair<number>[]): { readonly ratio: number; readonly ratioLeast: number; readonly ratioMost: number } {
  const ratios = pairs.map(({ captured, plain }) => captured / plain)
  return { ratio: rounded(medianOf(ratios), 3), ratioLeast: rounded(Math.min(...ratios), 3), ratioMost: rounded(Math.max(...ratios), 3) }
}

export function rounded(value: number, digits: number): number {
  return Math.round(value * 10 ** digits) / 10 ** digits
}

/** A figure against what was promised. */
export function against(limit: number, value: number): { readonly limit: number; readonly within: boolean } {
  return { limit, within: value <= limit }
}
