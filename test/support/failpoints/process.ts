/**
 * A process that may die, freeze or lose an answer at any boundary. Its ports go through `call`: that is where faults strike, before the call
 * has its effect or after. A dead process does nothing more, not even what stands in a `finally`; a frozen one goes on later as if
 * nothing had happened.
 */
import { AfluenteError } from '../../../shared/engine/errors.ts'
import { settle, unwrap } from '../../../shared/engine/settled.ts'
import type { Clock } from '../../../shared/ports/clock.ts'
import type { Boundary, Moment } from './boundaries.ts'

export interface Fault {
  readonly what: 'dies' | 'freezes' | 'fails'
  readonly when: Moment
  /** How long it is frozen; or until that. */
  readonly ms: number
  readonly until?: Promise<void>
  /** Told when it strikes. */
  readonly onStrike?: () => void
}

export interface FaultPlan {
  /** Counts a call, and gives the fault that strikes it. */
  next(boundary: Boundary, process: string): Fault | null
  /** No more faults. */
  end(): void
}

export interface RandomFault extends Fault {
  /** How many calls of any process pass before it strikes. */
  readonly after: number
}

/** One fault after the other, each after so many calls, wherever that is. */
export function faultPlan(faults: readonly RandomFault[]): FaultPlan {
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
  /** Calls under way, but for those of a process that is dead or frozen for good. */
  readonly busy: number
  /** It is frozen until somebody wakes it. */
  readonly stalled: boolean
  readonly clock: Clock
  call<T>(boundary: Boundary, work: () => Promise<T>): Promise<T>
  /** Where nothing can be waited for: gives what to call before the step, and after it. */
  instant(boundary: Boundary): (moment: Moment) => void
}

export interface ProcessDeps {
  readonly name: string
  readonly clock: Clock
  readonly plan: FaultPlan
  /** What its sleeps are called, where they are a boundary. */
  readonly rest?: Boundary
  readonly onDeath: () => void
  /** Infinity when it is not known for how long. */
  readonly onFreeze: (ms: number) => void
}

const never = new Promise<never>(() => {})
const always = new AbortController().signal

export function createProcess({ name, clock, plan, rest, onDeath, onFreeze }: ProcessDeps): Process {
  let dead = false
  let frozenUntil = 0
  let woken: Promise<void> | null = null
  let busy = 0

  const alive = async () => {
    while (!dead && (woken !== null || clock.now() < frozenUntil)) {
      if (woken === null) await clock.sleep(frozenUntil - clock.now(), { signal: always })
      else await woken
    }
    if (dead) await never
  }

  /** What is done about it is left to the next call. */
  const hit = ({ ms, onStrike, until, what }: Fault) => {
    onStrike?.()
    if (what === 'fails') throw new AfluenteError('unavailable', 'test', 'The call failed, or its answer was lost.')
    if (what === 'dies') {
      dead = true
      onDeath()
      return
    }
    if (until === undefined) frozenUntil = clock.now() + ms
    else {
      woken = until
      void until.then(() => (woken = null))
    }
    onFreeze(until === undefined ? ms : Number.POSITIVE_INFINITY)
  }

  const strike = async (fault: Fault, boundary: Boundary) => {
    // No sleep fails.
    if (boundary === rest && fault.what === 'fails') return
    hit(fault)
    await alive()
  }

  const call: Process['call'] = async (boundary, work) => {
    await alive()
    busy += 1
    try {
      const fault = plan.next(boundary, name)
      if (fault?.when === 'before') await strike(fault, boundary)
      // A refusal is an answer as well.
      const settled = await settle(work())
      if (fault?.when === 'after') await strike(fault, boundary)
      await alive()
      return unwrap(settled)
    } finally {
      busy -= 1
    }
  }

  return {
    name,
    get dead() {
      return dead
    },
    get busy() {
      return dead || woken !== null ? 0 : busy
    },
    get stalled() {
      return woken !== null
    },
    clock: {
      now: clock.now,
      sleep: async (ms, options) => {
        const sleeping = async () => {
          await clock.sleep(ms, options)
          await alive()
        }
        return rest === undefined ? sleeping() : call(rest, sleeping)
      },
    },
    call,
    instant: (boundary) => {
      const fault = plan.next(boundary, name)
      return (moment) => {
        if (fault?.when !== moment) return
        hit(fault)
        // It ends here, and whatever it does about that reaches nobody.
        if (dead) throw new Error(`${name} is dead.`)
      }
    },
  }
}
