/** One instance of a consumer: at most one run at a time, woken as often as anybody likes, stopped when an operator says so. Knows no runtime. */
import { type Condition, type Conditions, createConditions } from '../../shared/engine/condition.ts'
import { createNudge, type Nudge } from '../../shared/engine/persist.ts'
import { codeOf, explain } from '../../shared/engine/reason.ts'
import type { Clock } from '../../shared/ports/clock.ts'
import type { Log } from '../../shared/ports/log.ts'

export interface InstanceStatus {
  readonly consumer: string
  readonly instance: number
  /** `idle`: not running, and nobody forbade it. `stopped`: an operator stopped it; only `resume` starts it again. */
  readonly state: Condition['state'] | 'idle' | 'stopped'
  readonly reason: string
  /** ISO 8601 UTC. */
  readonly since: string
}

export interface RunOptions {
  readonly signal: AbortSignal
  readonly conditions: Conditions
  readonly nudge: Nudge
}

export interface DelivererDeps {
  readonly consumer: string
  readonly instance: number
  /** Resolves when the run has ended by itself or its signal has aborted. */
  readonly run: (options: RunOptions) => Promise<void>
  /** Outlives the process: cron must not wake what an operator stopped. */
  readonly memory: { readonly isStopped: () => Promise<boolean>; readonly setStopped: (stopped: boolean) => Promise<void> }
  readonly clock: Clock
  readonly log: Log
}

export interface Deliverer {
  /** Starts the run when none is on; one that waits for a sink looks again at once. Does nothing when an operator stopped it. */
  wake(): Promise<InstanceStatus>
  /** Resolves when the run has flushed and committed. */
  stop(): Promise<InstanceStatus>
  resume(): Promise<InstanceStatus>
  /** As `stop`, but the next wake-up starts it again: for a runtime that is about to go, so that the group needn't wait for a member that is gone. */
  leave(): Promise<void>
  status(): Promise<InstanceStatus>
}

export function createDeliverer({ consumer, instance, run, memory, clock, log }: DelivererDeps): Deliverer {
  const nudge = createNudge(clock)
  let present: { readonly ended: Promise<void>; readonly controller: AbortController; readonly conditions: Conditions } | null = null
  let sinceMs = clock.now()

  const start = () => {
    const controller = new AbortController()
    const conditions = createConditions(clock)
    const work = async () => {
      log.info('consumer.started', { consumer, instance })
      try {
        await run({ signal: controller.signal, conditions, nudge })
        log.info('consumer.ended', { consumer, instance })
      } catch (error) {
        log.error('consumer.failed', { consumer, instance, code: codeOf(error), reason: explain(error) })
      }
      present = null
      sinceMs = clock.now()
    }
    // Set before the work begins, so that a second wake-up in the meantime finds it.
    const { promise, resolve } = Promise.withResolvers<void>()
    present = { ended: promise, controller, conditions }
    void work().then(resolve)
  }

  const status = async (): Promise<InstanceStatus> => {
    const stopped = await memory.isStopped()
    if (stopped) return { consumer, instance, state: 'stopped', reason: 'An operator stopped it; resume starts it again.', since: iso(sinceMs) }
    if (present === null) return { consumer, instance, state: 'idle', reason: '', since: iso(sinceMs) }
    const condition = present.conditions.present()
    return { consumer, instance, state: condition.state, reason: condition.reason, since: iso(condition.sinceMs) }
  }

  const wake = async () => {
    if (!(await memory.isStopped())) {
      if (present === null) start()
      else nudge.ring()
    }
    return status()
  }

  return {
    wake,
    status,
    stop: async () => {
      await memory.setStopped(true)
      present?.controller.abort()
      await present?.ended
      sinceMs = clock.now()
      return status()
    },
    leave: async () => {
      present?.controller.abort()
      await present?.ended
    },
    resume: async () => {
      await memory.setStopped(false)
      // A run that is still stopping must end first: two at once in one instance would fight over the partitions.
      if (present?.controller.signal.aborted === true) await present.ended
      return wake()
    },
  }
}

function iso(ms: number): string {
  return new Date(ms).toISOString()
}
