/** Chance from a seed: the same seed gives the same draws, on any machine. */
export interface Random {
  /** 0 ≤ n < 1 */
  number(): number
  /** A whole number from `least` to `most`, both included. */
  whole(least: number, most: number): number
  chance(probability: number): boolean
  pick<T>(from: readonly T[]): T
  /** One of the names, as often as its weight says. */
  weighted<K extends string>(weights: Readonly<Record<K, number>>): K
  /** A version-4 UUID. */
  uuid(): string
}

/** sfc32, seeded by splitmix32: small, fast, and good enough for rows that look real. */
export function randomOf(seed: number): Random {
  let state = seed >>> 0
  const split = (): number => {
    state = (state + 0x9e3779b9) | 0
    let mixed = Math.imul(state ^ (state >>> 16), 0x21f0aaad)
    mixed = Math.imul(mixed ^ (mixed >>> 15), 0x735a2d97)
    return (mixed ^ (mixed >>> 15)) >>> 0
  }
  let [a, b, c, counter] = [split(), split(), split(), 1]
  const next = (): number => {
    const sum = (((a + b) | 0) + counter) | 0
    counter = (counter + 1) | 0
    a = b ^ (b >>> 9)
    b = (c + (c << 3)) | 0
    c = (((c << 21) | (c >>> 11)) + sum) | 0
    return sum >>> 0
  }
  for (let warm = 0; warm < 12; warm += 1) next()

  const random: Random = {
    number: () => next() / 0x1_0000_0000,
    whole: (least, most) => least + Math.floor(random.number() * (most - least + 1)),
    chance: (probability) => random.number() < probability,
    pick: (from) => {
      const picked = from[Math.floor(random.number() * from.length)]
      if (picked === undefined) throw new RangeError('nothing to pick from')
      return picked
    },
    weighted: (weights) => {
      const names = namesOf(weights)
      let left = random.number() * names.reduce((sum, name) => sum + weights[name], 0)
      return names.find((name) => (left -= weights[name]) < 0) ?? random.pick(names)
    },
    uuid: () => {
      const hex = [next(), next(), next(), next()].map((word) => word.toString(16).padStart(8, '0')).join('')
      const variant = '89ab'.charAt(parseInt(hex.charAt(16), 16) & 3)
      return `${hex.slice(0, 8)}-${hex.slice(8, 12)}-4${hex.slice(13, 16)}-${variant}${hex.slice(17, 20)}-${hex.slice(20, 32)}`
    },
  }
  return random
}

function namesOf<K extends string>(of: Readonly<Record<K, number>>): K[] {
  const names: K[] = []
  for (const name in of) names.push(name)
  return names
}
