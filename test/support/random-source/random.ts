/** A seeded generator of its own: the same seed makes the same schema and the same statements, on every machine. */
export interface Random {
  /** An integer from 0 up to, without, `end`. */
  below(end: number): number
  chance(share: number): boolean
  pick<T>(items: readonly T[]): T
  /** So many different ones, in random order. */
  some<T>(items: readonly T[], count: number): T[]
  /** Another generator, which the numbers drawn here later don't move. */
  fork(): Random
}

export function randomFrom(seed: number): Random {
  let state = (seed ^ 0x9e3779b9) >>> 0
  const next = () => {
    // mulberry32
    state = (state + 0x6d2b79f5) >>> 0
    let word = Math.imul(state ^ (state >>> 15), state | 1)
    word ^= word + Math.imul(word ^ (word >>> 7), word | 61)
    return (word ^ (word >>> 14)) >>> 0
  }
  const below = (end: number) => next() % end
  const pick = <T>(items: readonly T[]): T => {
    if (items.length === 0) throw new RangeError('Nothing to pick from')
    return items[below(items.length)] as T
  }
  const some = <T>(items: readonly T[], count: number): T[] => {
    const left = [...items]
    return Array.from({ length: Math.min(count, left.length) }, () => left.splice(below(left.length), 1)[0] as T)
  }
  return { below, pick, some, chance: (share) => next() < share * 2 ** 32, fork: () => randomFrom(next()) }
}
