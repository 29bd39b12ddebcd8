/** What a consumer does beside its stream: looks for jobs, and does them. */
import type { Cancellable } from '../ports/cancellable.ts'
import type { Log } from '../ports/log.ts'
import type { Nudge } from './persist.ts'
import { codeOf, explain } from './reason.ts'

export interface LookingDeps {
  /** Of the jobs, for the log: `redrive`. */
  readonly name: string
  readonly consumer: string
  /** Does the jobs that are there now. */
  readonly work: (options: Cancellable) => Promise<void>
  readonly nudge: Nudge
  readonly log: Log
}

const LOOK_MS = 60_000

/** Looks for jobs now, when rung, and each minute, until `until` aborts; then ends with the job at hand, and at once when the signal aborts. Never throws. */
export async function keepLooking(
  { name, consumer, work, nudge, log }: LookingDeps,
  { signal, until }: Cancellable & { readonly until: AbortSignal },
): Promise<void> {
  while (!signal.aborted) {
    try {
      await work({ signal })
    } catch (error) {
      if (!signal.aborted) log.warn(`${name}.not-looked`, { consumer, code: codeOf(error), reason: explain(error) })
    }
    if (signal.aborted || until.aborted) return
    await nudge.sleep(LOOK_MS, AbortSignal.any([signal, until]))
    if (until.aborted) return
  }
}
