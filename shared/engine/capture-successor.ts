/** The end of an invocation's budget: a successor is started while the work goes on, and takes over once it is ready. */
import type { Cancellable } from '../ports/cancellable.ts'
import type { Log } from '../ports/log.ts'
import type { Budget } from './budget.ts'
import { reasonOf } from './reason.ts'

export interface HandOver {
  /** Starts a successor when the budget's soft limit is reached. Call it while there is work. */
  consider(): void
  /** How the run has to end now, if it has to. */
  ending(): 'handed-over' | 'spent' | null
  /** Resolves when nothing of the hand-over is under way any more. */
  settled(): Promise<void>
}

export interface HandOverDeps {
  readonly budget: Budget
  readonly log: Log
  readonly startSuccessor: (shard: number, options: Cancellable) => Promise<void>
}

export function handOver({ shard, signal }: { readonly shard: number; readonly signal: AbortSignal }, { budget, log, startSuccessor }: HandOverDeps): HandOver {
  let state: 'none' | 'asked' | 'ready' | 'failed' = 'none'
  let asking: Promise<void> = Promise.resolve()
  return {
    consider: () => {
      if (state !== 'none' || budget.spent() === 'little') return
      state = 'asked'
      budget.charge({ calls: 1 })
      asking = startSuccessor(shard, { signal }).then(
        () => {
          state = 'ready'
        },
        (error: unknown) => {
          state = 'failed'
          log.warn('capture.no-successor', { shard, reason: reasonOf(error) })
        },
      )
    },
    ending: () => {
      if (state === 'ready') return 'handed-over'
      return state === 'failed' || budget.spent() === 'hard' ? 'spent' : null
    },
    settled: () => asking,
  }
}
