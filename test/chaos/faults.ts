/** Carries out what the schedule says, and counts what was survived. */
import { setTimeout as sleep } from 'node:timers/promises'
import { signalGroup } from '../../infra/local/process-identity.ts'
import type { Doorbells } from './doorbells.ts'
import type { Weather } from './proxy.ts'
import { type Fault, functionNames, linkNames, type PartName, killable, type Planned, targetOf, wordsOf } from './schedule.ts'
import { killedBackfill } from './backfill.ts'
import { type Refusal, refuseForAWhile } from './letters.ts'
import type { World } from './world.ts'

export interface Survived {
  readonly kills: Partial<Record<PartName, number>>
  pauses: number
  wrongClocks: number
  /** That were killed, unless they had ended before. */
  backfills: number
  /** Times in which a link was slow, silent, refusing, or told ends late. */
  disturbances: number
}

export interface FaultsDeps {
  readonly world: World
  readonly doorbells: Doorbells
  readonly say: (line: string) => void
  readonly signal: AbortSignal
}

export interface Faults {
  readonly survived: Survived
  readonly refusals: readonly Refusal[]
  /** Parts that died though nobody had killed them; each look starts them again. */
  readonly fallen: readonly PartName[]
  look(): Promise<void>
  /** Resolves when the last fault is over. Rejects when a part can't be started again. */
  run(schedule: readonly Planned[]): Promise<void>
  /** Every link is well, every part runs and has the right time. */
  heal(): Promise<void>
}

const START_WITHIN_MS = 90_000

export function createFaults({ world, doorbells, say, signal }: FaultsDeps): Faults {
  const survived: Survived = { kills: {}, pauses: 0, wrongClocks: 0, backfills: 0, disturbances: 0 }

  const refusals: Refusal[] = []
  const fallen: PartName[] = []
  /** Killed on purpose, or being started again. */
  const expected = new Set<PartName>()
  const turns = new Map<string, Promise<void>>()
  /** One fault of a part or link after the other, also where one takes longer than planned. */
  const inTurn = (fault: Fault): Promise<void> => {
    const turn = (turns.get(targetOf(fault)) ?? Promise.resolve()).then(() => carryOut(fault))
    turns.set(targetOf(fault), turn)
    return turn
  }
  /** What it leans on may be away as well: then it is tried again, as any supervisor does. */
  const start = async (name: PartName): Promise<void> => {
    const deadline = performance.now() + START_WITHIN_MS
    expected.add(name)
    for (;;) {
      try {
        await world.parts[name].start()
        expected.delete(name)
        return
      } catch (error) {
        if (performance.now() > deadline || signal.aborted) throw error
        await sleep(500)
      }
    }
  }
  const kill = async (name: PartName): Promise<void> => {
    survived.kills[name] = (survived.kills[name] ?? 0) + 1
    expected.add(name)
    await world.parts[name].kill()
  }

  const carryOut = async (fault: Fault): Promise<void> => {
    switch (fault.kind) {
      case 'kill':
        await kill(fault.part)
        await sleep(fault.forMs)
        if (fault.part === 'edge' || fault.part === 'worker') world.clocks[fault.part] = {}
        return start(fault.part)
      case 'wrong-clock':
        survived.wrongClocks += 1
        await kill(fault.part)
        world.clocks[fault.part] = { CLOCK_OFF_MS: String(fault.offMs), CLOCK_OFF_AFTER_MS: String(fault.afterMs) }
        return start(fault.part)
      case 'pause': {
        survived.pauses += 1
        const { pid } = world.parts[fault.part]
        if (pid === undefined) return
        signalGroup(pid, 'SIGSTOP')
        await sleep(fault.forMs)
        return signalGroup(pid, 'SIGCONT')
      }
      case 'backfill':
        survived.backfills += 1
        return killedBackfill(world, fault)
      case 'letters':
        return refuseForAWhile(world, fault, refusals)
      case 'reset':
        return world.links[fault.link].reset()
      case 'drop-doorbells':
      case 'double-doorbells':
        return doorbells.ask(fault.kind === 'drop-doorbells' ? 'drop' : 'double', fault.count)
      case 'latency':
      case 'black-hole':
      case 'slow-close':
      case 'cut':
      case 'refuse': {
        const link = world.links[fault.link]
        if (fault.kind !== 'cut') survived.disturbances += 1
        link.become(weatherOf(fault))
        await sleep(fault.forMs)
        if (fault.kind === 'black-hole' && fault.end === 'reset') link.reset()
        return link.become({})
      }
    }
  }

  return {
    survived,
    refusals,
    fallen,
    look: async () => {
      for (const name of killable) {
        if (world.parts[name].state !== 'dead' || expected.has(name)) continue
        fallen.push(name)
        say(`✗ ${name} died by itself`)
        await start(name)
      }
    },
    run: async (schedule) => {
      const began = performance.now()
      const under: Promise<void>[] = []
      for (const fault of schedule) {
        await sleep(Math.max(0, fault.atMs - (performance.now() - began)), undefined, { signal }).catch(() => undefined)
        if (signal.aborted) break
        say(wordsOf(fault))
        const carried = inTurn(fault)
        // Awaited below; until then a failure must not end the process.
        carried.catch(() => undefined)
        under.push(carried)
      }
      await Promise.all(under)
    },
    heal: async () => {
      for (const name of linkNames) world.links[name].become({})
      for (const name of functionNames) {
        if (Object.keys(world.clocks[name]).length > 0) await world.parts[name].stop()
        world.clocks[name] = {}
      }
      await Promise.all(killable.filter((name) => name !== 'supabase').map(start))
      // It looks for the source when it starts.
      await start('supabase')
    },
  }
}

function weatherOf(fault: Extract<Fault, { kind: 'latency' | 'black-hole' | 'slow-close' | 'cut' | 'refuse' }>): Weather {
  switch (fault.kind) {
    case 'latency':
      return { latencyMs: fault.ms, jitterMs: fault.jitterMs }
    case 'black-hole':
      return { blackHole: true }
    case 'slow-close':
      return { slowCloseMs: fault.ms }
    case 'cut':
      return { cut: { afterBytes: fault.afterBytes, toServer: fault.toServer } }
    case 'refuse':
      return { refuse: true }
  }
}
