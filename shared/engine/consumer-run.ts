/** Keeps one member of a consumer alive: runs its subscription, and begins again when that breaks. */
import type { Clock } from '../ports/clock.ts'
import type { Log } from '../ports/log.ts'
import type { HandleBatch, Subscription } from '../ports/subscription.ts'
import type { Conditions } from './condition.ts'
import { actionFor } from './errors.ts'
import type { Nudge } from './persist.ts'
import { codeOf, explain } from './reason.ts'
import { backoff } from './retry.ts'

export interface ConsumerRunDeps {
  readonly consumer: string
  readonly subscription: Subscription
  readonly handle: HandleBatch
  readonly conditions: Conditions
  readonly nudge: Nudge
  readonly clock: Clock
  readonly log: Log
  /** From 0 up to but not 1. */
  readonly random: () => number
}

export interface ConsumerRunOptions {
  /** Ends the run: the source closes, the sink flushes, offsets are committed. */
  readonly signal: AbortSignal
  /** Stop after what was there when the run began. */
  readonly untilEnd: boolean
  /** The soft budget: after so many milliseconds the run ends as if it had been told to. */
  readonly budgetMs?: number
}

const HALTED_DELAY_MS = 60_000
/** A run that held for so long was well: the next failure begins again with a short wait. */
const WELL_AFTER_MS = 30_000
const WHERE = 'subscription'

/** Resolves when the signal aborts, the budget is spent, or an available-now run has read all there was. Never throws: what breaks is waited for, seen in the conditions, and tried again. */
export async function runConsumer(deps: ConsumerRunDeps, options: ConsumerRunOptions): Promise<void> {
  const { clock, conditions, consumer, log, nudge } = deps
  const spent = new AbortController()
  const signal = AbortSignal.any([options.signal, spent.signal])
  if (options.budgetMs !== undefined) void clock.sleep(options.budgetMs, { signal }).then(() => spent.abort())

  const begin = () => backoff({ baseMs: 200, maxMs: 5_000, random: deps.random })
  let waits = begin()
  while (!signal.aborted) {
    const began = clock.now()
    try {
      await deps.subscription.run(deps.handle, { signal, untilEnd: options.untilEnd, onReady: () => conditions.clear(WHERE) })
      break
    } catch (error) {
      if (signal.aborted) break
      if (clock.now() - began > WELL_AFTER_MS) waits = begin()
      const halted = actionFor(error) === 'halt'
      const waitMs = halted ? HALTED_DELAY_MS : waits.next().value
      conditions.report(WHERE, halted ? 'halted' : 'waiting', explain(error))
      log[halted ? 'error' : 'warn']('consumer.interrupted', { consumer, code: codeOf(error), reason: explain(error), again_in_ms: waitMs })
      await nudge.sleep(waitMs, signal)
    }
  }
  spent.abort()
  conditions.clear(WHERE)
}
