/** One failpoint: a fault at a named boundary, where somebody passes it for the nth time. Tells as well who passed what. */
import type { Boundary, Moment } from './boundaries.ts'
import type { Fault, FaultPlan } from './process.ts'

/** Whose processes they are. */
export type Part = 'capture' | 'postgres' | 'elasticsearch' | 'backfill' | 'redrive'

export interface Place {
  readonly part: Part
  readonly boundary: Boundary
  readonly moment: Moment
  /** From 1. */
  readonly occurrence: number
}

export interface Failpoint extends FaultPlan {
  readonly struck: boolean
  /** How often each part passed each boundary. */
  readonly passed: ReadonlyMap<string, number>
}

export function passage(part: Part, boundary: Boundary): string {
  return `${part} ${boundary}`
}

/** Left out, nothing fails, and the passages are counted. */
export function failpoint(at?: Place, fault?: Omit<Fault, 'when' | 'onStrike'>): Failpoint {
  const passed = new Map<string, number>()
  let struck = false
  let ended = false
  return {
    passed,
    get struck() {
      return struck
    },
    next: (boundary, process) => {
      const part = process.split(' ')[0] ?? ''
      const name = `${part} ${boundary}`
      const count = (passed.get(name) ?? 0) + 1
      passed.set(name, count)
      if (ended || at === undefined || fault === undefined || name !== passage(at.part, at.boundary) || count !== at.occurrence) return null
      return { ...fault, when: at.moment, onStrike: () => (struck = true) }
    },
    end: () => {
      ended = true
    },
  }
}
