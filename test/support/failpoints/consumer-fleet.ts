/** The processes of one consumer: each runs deliver in the consumer's group; one that dies is started again, one that freezes is thrown out of the group. */
import type { MemoryGroup } from '../../../shared/adapters/memory/group.ts'
import { memorySubscription } from '../../../shared/adapters/memory/subscription.ts'
import type { MemoryTopics } from '../../../shared/adapters/memory/topics.ts'
import { createConditions } from '../../../shared/engine/condition.ts'
import { runConsumer } from '../../../shared/engine/consumer-run.ts'
import { createDeliver } from '../../../shared/engine/deliver.ts'
import { createNudge, createPersist } from '../../../shared/engine/persist.ts'
import type { Clock } from '../../../shared/ports/clock.ts'
import type { Control } from '../../../shared/ports/control.ts'
import type { Log } from '../../../shared/ports/log.ts'
import type { Publisher } from '../../../shared/ports/publisher.ts'
import type { Sink } from '../../../shared/ports/sink.ts'
import type { Subscription } from '../../../shared/ports/subscription.ts'
import { seededRandom } from '../random.ts'
import { controlOf, groupOf, lettersPublisherOf, sinkOf, subscriptionOf } from './ports.ts'
import { createProcess, type FaultPlan, type Process } from './process.ts'
import { type Shape, TABLE, TOPIC } from './setting.ts'

export interface ConsumerFleetDeps {
  readonly consumer: string
  readonly group: MemoryGroup
  /** Connects a process; `drop` breaks what it has open, as its death does. A sink that tells its progress by itself does so through `control`. */
  readonly open: (through: (control: Control) => Control) => { readonly sink: Sink; readonly control: Control; drop(): void }
  readonly publisher: Publisher
  readonly topics: MemoryTopics
  readonly clock: Clock
  readonly log: Log
  readonly plan: FaultPlan
  readonly shape: Shape
  readonly tamper?: ((subscription: Subscription) => Subscription) | undefined
}

export interface ConsumerFleet {
  busy(): boolean
  stop(): void
}

const RESTART_MS = 400
const SESSION_MS = 250

export function consumerFleet({ consumer, group, open, publisher, topics, clock, log, plan, shape, tamper = (it) => it }: ConsumerFleetDeps): ConsumerFleet {
  const processes: Process[] = []
  const stopped = new AbortController()
  let restarting = 0

  const restart = (name: string): void => {
    restarting += 1
    void clock.sleep(RESTART_MS, { signal: stopped.signal }).then(() => {
      restarting -= 1
      if (!stopped.signal.aborted) start(name)
    })
  }

  const start = (name: string): void => {
    const connect = (process: Process) => {
      const opened = open((control) => controlOf(process, control))
      drop = opened.drop
      return opened
    }
    let drop = () => {}
    const process = createProcess({
      name,
      clock,
      plan,
      onDeath: () => {
        group.expire(name)
        drop()
        restart(name)
      },
      onFreeze: (ms) => {
        if (ms > SESSION_MS) group.expire(name)
        // Nobody knows when it wakes: somebody else takes its place.
        if (ms === Number.POSITIVE_INFINITY) restart(`${name}'`)
      },
    })
    processes.push(process)
    void run(process, connect(process))
  }

  const run = async (process: Process, { control, sink }: ReturnType<ConsumerFleetDeps['open']>): Promise<void> => {
    const random = seededRandom(shape.seed)
    const conditions = createConditions(process.clock)
    const nudge = createNudge(process.clock)
    const subscription = memorySubscription({
      topics,
      group: groupOf(process, group),
      subscribe: [TOPIC],
      member: process.name,
      batchRecords: shape.batch,
    })
    const persist = createPersist({ consumer, clock: process.clock, log, random, conditions, nudge })
    const handle = createDeliver({
      consumer,
      owner: process.name,
      tables: [TABLE],
      sink: sinkOf(process, sink),
      control: controlOf(process, control),
      publisher: lettersPublisherOf(process, publisher),
      persist,
      clock: process.clock,
      log,
    })
    await runConsumer(
      { consumer, subscription: tamper(subscriptionOf(process, subscription)), handle, conditions, nudge, clock: process.clock, log, random },
      { signal: stopped.signal, untilEnd: false },
    )
  }

  for (let instance = 0; instance < shape.instances; instance += 1) start(`${consumer} ${instance}`)

  return {
    busy: () => restarting > 0 || processes.some((process) => process.busy > 0),
    stop: () => stopped.abort(),
  }
}
