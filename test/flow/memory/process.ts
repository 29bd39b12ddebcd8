/**
 * A process that may die, freeze or lose an answer at any call to the world. Its ports go through `call`: that is where
 * faults strike, before the call has its effect or after. A dead process does nothing more; a frozen one goes on later
 * as if nothing had happened.
 */
import { AfluenteError } from '../../../shared/engine/errors.ts'
import type { Clock } from '../../../shared/ports/clock.ts'

export interface Fault {
  /** How many calls of any process pass before it strikes. */
  readonly after: number
  readonly what: 'dies' | 'freezes' | 'fails'
  readonly when: 'before' | 'after'
  readonly ms: number
}

export interface FaultPlan {
  /** Counts a call, and gives the fault that strikes it. */
  next(): Fault | null
  /** No more faults. */
  end(): void
}

export function faultPlan(faults: readonly Fault[]): FaultPlan {
  let waiting = [...faults]
  let calls = 0
  return {
    next: () => {
      calls += 1
      const [first, ...rest] = waiting
      if (first === undefined || calls <= first.after) return null
      waiting = rest
      calls = 0
      return first
    },
    end: () => {
      waiting = []
    },
  }
}

export interface Process {
  readonly name: string
  readonly dead: boolean
  /** Calls under way. */
  readonly busy: number
  readonly clock: Clock
  call<T>(work: () => Promise<T>): Promise<T>
}

export interface ProcessDeps {
  readonly name: string
  readonly clock: Clock
  readonly plan: FaultPlan
  readonly onDeath: () => void
  readonly onFreeze: (ms: number) => void
}

const never = new Promise<never>(() => {})
const always = new AbortController().signal

export function createProcess({ name, clock, plan, onDeath, onFreeze }: ProcessDeps): Process {
  let dead = false
  let frozenUntil = 0
  let busy = 0

  const alive = async () => {
    while (!dead && clock.now() < frozenUntil) await clock.sleep(frozenUntil - clock.now(), { signal: always })
    if (dead) await never
  }

  const strike = async ({ what, ms }: Fault) => {
    if (what === 'fails') throw new AfluenteError('unavailable', 'test', 'The call failed, or its answer was lost.')
    if (what === 'dies') {
      dead = true
      onDeath()
    } else {
      frozenUntil = clock.now() + ms
      onFreeze(ms)
    }
    await alive()
  }

  return {
    name,
    get dead() {
      return dead
    },
    get busy() {
      return dead ? 0 : busy
    },
    clock: {
      now: clock.now,
      sleep: async (ms, options) => {
        await clock.sleep(ms, options)
        await alive()
      },
    },
    call: async (work) => {
      await alive()
      busy += 1
      try {
        const fault = plan.next()
        if (fault?.when === 'before') await strike(fault)
        const value = await work()
        if (fault?.when === 'after') await strike(fault)
        await alive()
        return value
      } finally {
        busy -= 1
      }
    },
  }
}
