/** The crash matrix: every boundary, before the step and after it, and each way in which work goes on from there. */
import type { Boundary, Moment } from './boundaries.ts'
import type { Part } from './failpoint.ts'
import type { Fault } from './process.ts'

export interface Ending {
  readonly name: string
  readonly fault: Omit<Fault, 'when' | 'onStrike' | 'until'>
  /** It stands still until others have done all there is, and more; then it wakes up. */
  readonly zombie: boolean
  /** Processes of the consumer: with one, whoever takes over from a dead one is the same, begun anew. */
  readonly instances: number
}

const PAUSE_MS = 50

export const goesOn: Ending = { name: 'the step fails, and its owner goes on', fault: { what: 'fails', ms: 0 }, zombie: false, instances: 2 }
const takenOver: Ending = { name: 'its owner is killed, and a new one takes over', fault: { what: 'dies', ms: 0 }, zombie: false, instances: 2 }
export const zombie: Ending = {
  name: 'its owner wakes up as a zombie, after a new one has done it all',
  fault: { what: 'freezes', ms: 0 },
  zombie: true,
  instances: 2,
}

/** Of each kind one. */
export const principalEndings: readonly Ending[] = [goesOn, takenOver, zombie]

export const endings: readonly Ending[] = [
  ...principalEndings,
  { name: 'its owner stands still for a moment, and goes on', fault: { what: 'freezes', ms: PAUSE_MS }, zombie: false, instances: 2 },
  { name: 'its owner is killed and begins anew', fault: { what: 'dies', ms: 0 }, zombie: false, instances: 1 },
]

/** What there is of it: no sleep fails; a run of capture or of a job that begins anew is a new owner. */
export function endingsAt(part: Part, boundary: Boundary, of: readonly Ending[] = endings): readonly Ending[] {
  return of.filter(
    ({ fault, instances }) => (!boundary.endsWith('.rest') || fault.what !== 'fails') && (part === 'postgres' || part === 'elasticsearch' || instances === 2),
  )
}

/** The first passage, one in the middle, the last. */
export function occurrencesOf(count: number): readonly number[] {
  return [...new Set([1, Math.ceil(count / 2), count])].filter((occurrence) => occurrence > 0)
}

export interface Attempt {
  readonly moment: Moment
  readonly occurrence: number
  readonly ending: Ending
}
