/**
 * The isolates of one function, under the rules of Supabase's supervisor (edge-runtime, per_worker): one isolate serves many
 * requests; past half of its CPU, wall clock or memory it retires (no new requests, what is open goes on); near a limit the
 * function gets `beforeunload`; at the limit it is ended. A retired isolate with nothing left to do is dropped.
 */
import type { EndReason, Isolate } from './isolate.ts'
import type { Log } from './log.ts'
import type { Reason } from './messages.ts'
import type { Limits } from './settings.ts'

const retireAt = 0.5
const prebootAt = 0.35
const warnAt = 0.9
/** An answer and the word of a promise given to waitUntil come on two ways; neither may be missed. */
const quietMs = 250

export interface PoolDeps {
  readonly name: string
  readonly limits: Limits
  /** Off by default: the cloud boots an isolate when a request needs it, and so does this. */
  readonly preboot: boolean
  readonly boot: () => Isolate
  readonly now: () => number
  readonly log: Log
}

export interface Pool {
  /** The isolate that takes the next request; boots one when none may. */
  current(): Isolate
  /** Holds every isolate to its limits; called every few milliseconds. */
  check(): void
  /** Ends the current isolate like a crash. False when there is none. */
  kill(): boolean
  stop(): void
  readonly stats: PoolStats
}

export interface PoolStats {
  booted: number
  running: number
  killedForCpu: number
  killedForWall: number
  killedForMemory: number
  crashed: number
  dropped: number
  /** CPU of each isolate that has served: the ended ones (the last 100) and the running ones. */
  cpuMs: number[]
  bootMs: number[]
}

export function createPool(deps: PoolDeps): Pool {
  const running = new Map<number, { readonly isolate: Isolate; retired: boolean; warned: Reason | undefined }>()
  const counters = { booted: 0, killedForCpu: 0, killedForWall: 0, killedForMemory: 0, crashed: 0, dropped: 0 }
  const endedCpuMs: number[] = []
  const bootMs: number[] = []
  let current: Isolate | undefined
  let next: Isolate | undefined

  const boot = (): Isolate => {
    const isolate = deps.boot()
    counters.booted += 1
    running.set(isolate.id, { isolate, retired: false, warned: undefined })
    void isolate.ready.then(
      () => void bootMs.push(isolate.bootMs),
      () => undefined,
    )
    void isolate.ended.then(() => bury(isolate))
    return isolate
  }
  const bury = (isolate: Isolate): void => {
    running.delete(isolate.id)
    if (current === isolate) current = undefined
    if (next === isolate) next = undefined
    if (isolate.firstRequestAtMs !== undefined) endedCpuMs.push(Math.round(isolate.cpuMs()))
    if (endedCpuMs.length > 100) endedCpuMs.shift()
    if (bootMs.length > 100) bootMs.shift()
    count(isolate.endedFor)
    if (isolate.endedFor !== 'early_drop' && isolate.endedFor !== 'shutdown') {
      deps.log('isolate.ended', { function: deps.name, isolate: isolate.id, reason: isolate.endedFor ?? 'crashed', cpuMs: Math.round(isolate.cpuMs()) })
    }
  }
  const count = (reason: EndReason | undefined): void => {
    if (reason === 'cpu') counters.killedForCpu += 1
    else if (reason === 'wall_clock') counters.killedForWall += 1
    else if (reason === 'memory') counters.killedForMemory += 1
    else if (reason === 'early_drop') counters.dropped += 1
    else if (reason === undefined) counters.crashed += 1
  }

  /** No new requests from here on; what is open goes on. */
  const retire = (isolate: Isolate): void => {
    const entry = running.get(isolate.id)
    if (entry !== undefined) entry.retired = true
    if (current === isolate) current = undefined
  }

  return {
    current: () => {
      if (current !== undefined && usage(current, deps.limits, deps.now()).share >= retireAt) retire(current)
      current ??= next ?? boot()
      if (current === next) next = undefined
      return current
    },
    check: () => {
      for (const entry of running.values()) {
        const { isolate } = entry
        const { share, reason } = usage(isolate, deps.limits, deps.now())
        const quietFor = isolate.openRequests + isolate.openPromises === 0 ? deps.now() - isolate.busyAtMs : 0
        if (deps.preboot && current === isolate && share >= prebootAt) next ??= boot()
        if (share >= retireAt) retire(isolate)
        if (quietFor >= (entry.retired ? quietMs : deps.limits.idleMs)) {
          retire(isolate)
          isolate.warn('early_drop')
          isolate.end('early_drop')
        } else if (share >= 1) {
          isolate.end(reason)
        } else if (share >= warnAt && entry.warned === undefined) {
          entry.warned = reason
          isolate.warn(reason)
        }
      }
    },
    kill: () => {
      const [isolate] = current === undefined ? [...running.values()].map((entry) => entry.isolate) : [current]
      isolate?.end('killed')
      current = undefined
      return isolate !== undefined
    },
    stop: () => {
      for (const { isolate } of running.values()) isolate.end('shutdown')
    },
    get stats() {
      const now = [...running.values()].filter(({ isolate }) => isolate.firstRequestAtMs !== undefined).map(({ isolate }) => Math.round(isolate.cpuMs()))
      return { ...counters, running: running.size, cpuMs: [...endedCpuMs, ...now], bootMs: [...bootMs] }
    },
  }
}

/** The share of the budget that is used up most, and which one that is. */
function usage(isolate: Isolate, limits: Limits, nowMs: number): { share: number; reason: Reason } {
  const shares: readonly [Reason, number][] = [
    ['cpu', isolate.cpuMs() / limits.cpuMs],
    ['wall_clock', isolate.firstRequestAtMs === undefined ? 0 : (nowMs - isolate.firstRequestAtMs) / limits.wallMs],
    ['memory', isolate.heapBytes / (limits.memoryMb * 1024 * 1024)],
  ]
  return shares.reduce<{ share: number; reason: Reason }>((most, [reason, share]) => (share > most.share ? { share, reason } : most), {
    share: 0,
    reason: 'cpu',
  })
}
