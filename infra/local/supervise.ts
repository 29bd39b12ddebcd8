import type { Part } from './part.ts'

export interface SuperviseDeps {
  readonly note: (text: string) => void
  readonly wait: (ms: number, then: () => void) => void
  readonly now: () => number
}

const firstWaitMs = 500
const longestWaitMs = 30_000
/** A part that ran this long has recovered: its next fall waits the short time again. */
const steadyMs = 60_000

/**
 * Starts dead parts again, each with a wait that doubles while it keeps falling. Call the answer at every change of a part.
 * Parts that were stopped on purpose stay stopped.
 */
export function createRestarts(deps: SuperviseDeps): (part: Part) => void {
  const falls = new Map<string, { wait: number; at: number; pending: boolean }>()
  return function onChange(part: Part): void {
    if (part.state !== 'dead') return
    const last = falls.get(part.name)
    if (last?.pending === true) return
    const steady = last === undefined || deps.now() - last.at > steadyMs
    const fall = { wait: steady ? firstWaitMs : Math.min(last.wait * 2, longestWaitMs), at: deps.now(), pending: true }
    falls.set(part.name, fall)
    deps.note(`${part.name} died; starting it again in ${fall.wait / 1000} s`)
    deps.wait(fall.wait, () => {
      fall.pending = false
      if (part.state !== 'dead') return
      part.start().then(
        () => deps.note(`${part.name} runs again`),
        () => undefined, // It is dead once more, and its change of state has brought it here again.
      )
    })
  }
}
