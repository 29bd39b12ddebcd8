/**
 * What an invocation may still spend. Serverless runtimes limit wall time and CPU, kill without a word at the limit, and
 * give no clock of the CPU: it is modelled from counts, with costs measured (see `cpuCost` in capture-limits.ts) and set too high on purpose.
 */
import type { Clock } from '../ports/clock.ts'

export interface BudgetLimits {
  /** From here on the work looks for a successor. */
  readonly softWallMs: number
  /** From here on it stops, successor or not. */
  readonly hardWallMs: number
  readonly softCpuMs: number
  readonly hardCpuMs: number
}

/** CPU milliseconds. */
export interface CpuCost {
  /** Loading the code and opening the connections. */
  readonly start: number
  /** One request to the database or to Kafka with its answer. */
  readonly call: number
  readonly row: number
  readonly kibibyte: number
}

export interface Work {
  readonly calls?: number
  readonly rows?: number
  /** UTF-16 units of the rows' images and keys are near enough. */
  readonly bytes?: number
}

export type Spent = 'little' | 'soft' | 'hard'

export interface Budget {
  charge(work: Work): void
  /** The runtime said that it will end this isolate: whatever the figures say, the soft limit is reached. */
  endNear(): void
  spent(): Spent
  /** Modelled CPU since the isolate began, in milliseconds. */
  readonly cpuMs: number
}

export interface BudgetDeps {
  readonly clock: Clock
  readonly limits: BudgetLimits
  readonly cost: CpuCost
}

/**
 * The budget of an isolate. `renew` is called for each request: one that reaches a spent isolate tells that the runtime
 * still counts on it, so the model was too careful. Work goes on then with half of the soft limit of CPU, since it may
 * have been only a little too careful.
 */
export function createBudget({ clock, cost, limits }: BudgetDeps): Budget & { renew(): void } {
  let beganAt = clock.now()
  let cpuMs = cost.start
  let ending = false
  const spent = (): Spent => {
    const wallMs = clock.now() - beganAt
    if (wallMs >= limits.hardWallMs || cpuMs >= limits.hardCpuMs) return 'hard'
    return ending || wallMs >= limits.softWallMs || cpuMs >= limits.softCpuMs ? 'soft' : 'little'
  }
  return {
    charge: ({ bytes = 0, calls = 0, rows = 0 }) => {
      cpuMs += calls * cost.call + rows * cost.row + (bytes / 1024) * cost.kibibyte
    },
    endNear: () => {
      ending = true
    },
    spent,
    get cpuMs() {
      return cpuMs
    },
    renew: () => {
      if (spent() === 'little') return
      beganAt = clock.now()
      cpuMs = Math.min(cpuMs, limits.softCpuMs / 2)
      ending = false
    },
  }
}
