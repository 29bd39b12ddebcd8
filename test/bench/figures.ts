/** Figures of two sides, round by round, and what their pairs say. */
import { medianOf, type Pair, ratiosOf, rounded } from './by-turns.ts'

export interface Figure {
  readonly name: string
  readonly unit: 'rows/s' | 'ms' | 'µs of CPU a row'
  readonly value: number
}

export interface Compared {
  readonly name: string
  readonly unit: Figure['unit']
  readonly better: 'more' | 'less'
  readonly rounds: number
  readonly baseMedian: number
  readonly otherMedian: number
  /** Other by base: the median of the rounds' own, the least and the most. */
  readonly ratio: number
  readonly ratioLeast: number
  readonly ratioMost: number
  /** Rounds in which the other was better than the base. */
  readonly betterIn: number
}

/** Below it a part's CPU is a few ticks of the kernel's clock, and its ratio says nothing. */
const LEAST_MICROSECONDS = 3

/** A figure that is missing on one side of a round leaves that round out. What is nothing at all has no ratio. */
export function compareFigures(pairs: readonly Pair<readonly Figure[]>[]): readonly Compared[] {
  const known = new Map(pairs.flatMap(({ plain }) => plain).map((figure) => [figure.name, figure]))
  return [...known.values()].flatMap(({ name, unit }) => {
    const of = pairs.flatMap(({ captured, plain }) => {
      const [base, other] = [plain, captured].map((side) => side.find((figure) => figure.name === name)?.value)
      return base === undefined || other === undefined || base <= 0 ? [] : [{ plain: base, captured: other }]
    })
    if (of.length === 0) return []
    const [baseMedian, otherMedian] = [medianOf(of.map((pair) => pair.plain)), medianOf(of.map((pair) => pair.captured))]
    if (unit === 'µs of CPU a row' && Math.max(baseMedian, otherMedian) < LEAST_MICROSECONDS) return []
    const better = unit === 'rows/s' ? ('more' as const) : ('less' as const)
    const betterIn = of.filter(({ captured, plain }) => (better === 'more' ? captured > plain : captured < plain)).length
    return [{ name, unit, better, rounds: of.length, baseMedian: rounded(baseMedian, 1), otherMedian: rounded(otherMedian, 1), ...ratiosOf(of), betterIn }]
  })
}

export function comparedLine({ baseMedian, better, betterIn, name, otherMedian, ratio, ratioLeast, ratioMost, rounds, unit }: Compared): string {
  const verdict = betterIn === rounds ? 'better in every round' : betterIn === 0 ? 'better in no round' : `better in ${betterIn} of ${rounds} rounds`
  return `${name}: ${baseMedian} → ${otherMedian} ${unit} (${better} is better), ${ratio} times (${ratioLeast} to ${ratioMost}), ${verdict}`
}
