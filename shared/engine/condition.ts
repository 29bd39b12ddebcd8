/** How a consumer fares, gathered from its partitions: the worst of them is what people are told. */

export type State = 'running' | 'waiting' | 'halted'

export interface Condition {
  readonly state: State
  /** What is wrong and what to do next; empty when all is well. No row values. */
  readonly reason: string
  /** Milliseconds since 1970. */
  readonly sinceMs: number
}

export interface Conditions {
  /** `waiting`: tried again by itself. `halted`: somebody has to mend something; tried again each minute and when woken. */
  report(where: string, state: 'waiting' | 'halted', reason: string): void
  clear(where: string): void
  present(): Condition
}

const RANK: Readonly<Record<State, number>> = { running: 0, waiting: 1, halted: 2 }

export function createConditions(now: () => number): Conditions {
  const troubles = new Map<string, Condition>()
  let wellSinceMs = now()
  return {
    report: (where, state, reason) => {
      const before = troubles.get(where)
      troubles.set(where, { state, reason, sinceMs: before?.state === state ? before.sinceMs : now() })
    },
    clear: (where) => {
      if (troubles.delete(where) && troubles.size === 0) wellSinceMs = now()
    },
    present: () => [...troubles.values()].reduce((worst, one) => (RANK[one.state] > RANK[worst.state] ? one : worst), { state: 'running', reason: '', sinceMs: wellSinceMs } satisfies Condition as Condition),
  }
}
