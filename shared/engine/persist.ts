/** Does a step until it works, as the error policy says: a side that is down is waited for, a wrong definition halts, the rest is the caller's. */
import type { Clock } from '../ports/clock.ts'
import type { Log } from '../ports/log.ts'
import type { BatchContext } from '../ports/subscription.ts'
import type { Conditions } from './condition.ts'
import { actionFor } from './errors.ts'
import { codeOf, explain } from './reason.ts'
import { backoff } from './retry.ts'

/** A sleep that somebody can end: a wake-up while a consumer waits makes it look again at once. */
export interface Nudge {
  /** Resolves true when somebody rang before the time was over. */
  sleep(ms: number, signal: AbortSignal): Promise<boolean>
  ring(): void
}

export function createNudge(clock: Clock): Nudge {
  let bell = new AbortController()
  return {
    sleep: async (ms, signal) => {
      const present = bell.signal
      await clock.sleep(ms, { signal: AbortSignal.any([signal, present]) })
      return present.aborted
    },
    ring: () => {
      bell.abort()
      bell = new AbortController()
    },
  }
}

export interface PersistDeps {
  readonly consumer: string
  readonly clock: Clock
  readonly log: Log
  /** From 0 to 1. */
  readonly random: () => number
  readonly conditions: Conditions
  readonly nudge: Nudge
}

/** Resolves with the step's value. Throws what is `refused` (split it) or `fenced` (rejoin), and anything once the signal aborts. */
export type Persist = <T>(where: string, step: () => Promise<T>, context: BatchContext) => Promise<T>

const FIRST_DELAY_MS = 100
const LONGEST_DELAY_MS = 5_000
const HALTED_DELAY_MS = 60_000
const HEARTBEAT_MS = 3_000

export function createPersist({ consumer, clock, log, random, conditions, nudge }: PersistDeps): Persist {
  const wait = async (ms: number, context: BatchContext) => {
    const until = clock.now() + ms
    for (let left = ms; left > 0; left = until - clock.now()) {
      const rung = await nudge.sleep(Math.min(left, HEARTBEAT_MS), context.signal)
      await context.heartbeat()
      if (rung || context.signal.aborted) return
    }
  }

  return async (where, step, context) => {
    const waits = backoff({ baseMs: FIRST_DELAY_MS, maxMs: LONGEST_DELAY_MS, random })
    for (let attempt = 0; ; attempt += 1) {
      try {
        const value = await step()
        if (attempt > 0) {
          conditions.clear(where)
          log.info('consumer.resumed', { consumer, where, attempts: attempt + 1 })
        }
        return value
      } catch (error) {
        const action = actionFor(error)
        if (context.signal.aborted || action === 'split' || action === 'stop') {
          conditions.clear(where)
          throw error
        }
        const state = action === 'halt' ? 'halted' : 'waiting'
        conditions.report(where, state, explain(error))
        if (attempt === 0 || action === 'halt')
          log[action === 'halt' ? 'error' : 'warn'](`consumer.${state}`, { consumer, where, code: codeOf(error), reason: explain(error) })
        await wait(action === 'halt' ? HALTED_DELAY_MS : waits.next().value, context)
      }
    }
  }
}
