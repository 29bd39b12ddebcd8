/** How a consumer fares, gathered from its partitions: the worst of them is what people are told. */

import type { Clock } from '../ports/clock.ts'

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

export function createConditions(clock: Clock): Conditions {
  const troubles = new Map<string, Condition>()
  let wellSinceMs = clock.now()
  return {
    report: (where, state, reason) => {
      const before = troubles.get(where)
      troubles.set(where, { state, reason, sinceMs: before?.state === state ? before.sinceMs : clock.now() })
    },
    clear: (where) => {
      if (troubles.delete(where) && troubles.size === 0) wellSinceMs = clock.now()
    },
    present: () => {
      const well: Condition = { state: 'running', reason: '', sinceMs: wellSinceMs }
      return [...troubles.values()].reduce((worst, one) => (RANK[one.state] > RANK[worst.state] ? one : worst), well)
    },
  }
}
