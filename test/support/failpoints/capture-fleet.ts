/** Capture as the Edge runtime runs it: isolates that a doorbell starts, that hand over to each other, and that may die. */
import { createBudget } from '../../../shared/engine/budget.ts'
import { captureShard } from '../../../shared/engine/capture.ts'
import type { CaptureLimits } from '../../../shared/engine/capture-limits.ts'
import { createRinger, type Ringer } from '../../../shared/engine/capture-ringer.ts'
import type { Clock } from '../../../shared/ports/clock.ts'
import type { Log } from '../../../shared/ports/log.ts'
import type { Outbox } from '../../../shared/ports/outbox.ts'
import type { Publisher } from '../../../shared/ports/publisher.ts'
import { seededRandom } from '../random.ts'
import { capturePublisherOf, outboxOf, successorOf } from './ports.ts'
import { createProcess, type FaultPlan, type Process } from './process.ts'
import { MAX_MESSAGE_BYTES, type Shape } from './setting.ts'

export interface CaptureFleetDeps {
  /** Connects an isolate; `drop` breaks what it has open, as its death does. */
  readonly open: () => { readonly outbox: Outbox; readonly publisher: Publisher; drop(): void }
  readonly clock: Clock
  readonly log: Log
  readonly plan: FaultPlan
  readonly shape: Shape
  readonly limits?: Partial<CaptureLimits>
}

export interface CaptureFleet {
  /** A doorbell that reaches one of the isolates; a dead one's place is taken by a new one, and so is that of one that nobody knows when it wakes. */
  ring(isolate: number): void
  busy(): boolean
}

interface Isolate {
  readonly process: Process
  readonly ringer: Ringer
  working: number
}

/** The figures of `captureLimits`, shortened: the model makes its clock jump at each sleep. */
const shortened: CaptureLimits = {
  leaseMs: 300,
  waitMs: 20,
  lingerMs: 60,
  paceMs: 5,
  takeOverMs: 500,
  maxRows: 1,
  maxBytes: 4_096,
  sendBytes: 1_000,
  maxMessageBytes: MAX_MESSAGE_BYTES,
  attempts: 3,
  retryBaseMs: 20,
  retryMaxMs: 100,
}

export function captureFleet({ open, clock, log, plan, shape, limits }: CaptureFleetDeps): CaptureFleet {
  const isolates = new Map<number, Isolate>()
  const all: Isolate[] = []
  const random = seededRandom(shape.seed)
  let owners = 0

  const start = (place: number): Isolate => {
    const { drop, outbox, publisher } = open()
    const process = createProcess({
      name: `capture ${place}`,
      clock,
      plan,
      rest: 'capture.rest',
      onDeath: () => {
        isolates.delete(place)
        drop()
      },
      onFreeze: (ms) => {
        if (ms === Number.POSITIVE_INFINITY) isolates.delete(place)
      },
    })
    const budget = createBudget({
      clock: process.clock,
      limits: { softWallMs: shape.budgetMs, hardWallMs: shape.budgetMs * 2, softCpuMs: 1e9, hardCpuMs: 1e9 },
      cost: { start: 0, call: 0, row: 0, kibibyte: 0 },
    })
    const ringer = createRinger({
      log,
      capture: async ({ shard, successor, onLook }) => {
        budget.renew()
        owners += 1
        return captureShard(
          { shard, owner: `owner ${owners}`, successor, signal: new AbortController().signal, onLook },
          {
            outbox: outboxOf(process, outbox),
            publisher: capturePublisherOf(process, publisher),
            clock: process.clock,
            log,
            random,
            budget,
            limits: { ...shortened, maxRows: shape.batch, ...limits },
            ref: 'local',
            startSuccessor: successorOf(process, async (next) => work((place + 1) % 3, ({ ringer }) => ringer.takeOver(next))),
          },
        )
      },
    })
    const isolate = { process, ringer, working: 0 }
    all.push(isolate)
    return isolate
  }

  const work = (place: number, what: (isolate: Isolate) => Promise<void>) => {
    const isolate = isolates.get(place) ?? start(place)
    isolates.set(place, isolate)
    isolate.working += 1
    void what(isolate).then(() => (isolate.working -= 1))
  }

  return {
    ring: (place) => work(place, ({ ringer }) => ringer.ring(0)),
    busy: () => all.some(({ process, working }) => !process.dead && !process.stalled && working > 0),
  }
}
