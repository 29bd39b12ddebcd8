/** The processes of one consumer: each runs deliver in the consumer's group; one that dies is started again, one that freezes is thrown out of the group. */
import type { MemoryClock } from '../../../shared/adapters/memory/clock.ts'
import { memorySubscription } from '../../../shared/adapters/memory/subscription.ts'
import type { MemoryTopics } from '../../../shared/adapters/memory/topics.ts'
import { createConditions } from '../../../shared/engine/condition.ts'
import { runConsumer } from '../../../shared/engine/consumer-run.ts'
import { createDeliver } from '../../../shared/engine/deliver.ts'
import { createNudge, createPersist } from '../../../shared/engine/persist.ts'
import type { Control } from '../../../shared/ports/control.ts'
import type { Log } from '../../../shared/ports/log.ts'
import type { Publisher } from '../../../shared/ports/publisher.ts'
import type { Sink } from '../../../shared/ports/sink.ts'
import type { Subscription } from '../../../shared/ports/subscription.ts'
import { seededRandom } from '../../support/random.ts'
import { controlOf, publisherOf, sinkOf, subscriptionOf } from './ports.ts'
import { createProcess, type FaultPlan, type Process } from './process.ts'
import { type Shape, type Side, TABLE, TOPIC } from './setting.ts'

export interface ConsumerFleetDeps {
  readonly side: Side
  readonly sink: Sink
  readonly control: Control
  readonly publisher: Publisher
  readonly topics: MemoryTopics
  readonly clock: MemoryClock
  readonly log: Log
  readonly plan: FaultPlan
  readonly shape: Shape
  readonly tamper: ((subscription: Subscription) => Subscription) | undefined
}

export interface ConsumerFleet {
  busy(): boolean
  stop(): void
}

const RESTART_MS = 400
const SESSION_MS = 250

export function consumerFleet({ side, sink, control, publisher, topics, clock, log, plan, shape, tamper = (it) => it }: ConsumerFleetDeps): ConsumerFleet {
  const { name: consumer, group } = side
  const processes = new Map<string, Process>()
  const stopped = new AbortController()
  let restarting = 0

  const start = (name: string): void => {
    const process = createProcess({
      name,
      clock,
      plan,
      onDeath: () => {
        group.expire(name)
        restarting += 1
        void clock.sleep(RESTART_MS, { signal: stopped.signal }).then(() => {
          restarting -= 1
          if (!stopped.signal.aborted) start(name)
        })
      },
      onFreeze: (ms) => {
        if (ms > SESSION_MS) group.expire(name)
      },
    })
    processes.set(name, process)
    void run(process)
  }

  const run = async (process: Process): Promise<void> => {
    const random = seededRandom(shape.seed)
    const conditions = createConditions(process.clock)
    const nudge = createNudge(process.clock)
    const subscription = memorySubscription({ topics, group, subscribe: [TOPIC], member: process.name, batchRecords: shape.batch })
    const persist = createPersist({ consumer, clock: process.clock, log, random, conditions, nudge })
    const handle = createDeliver({
      consumer,
      owner: process.name,
      tables: [TABLE],
      sink: sinkOf(process, sink),
      control: controlOf(process, control),
      publisher: publisherOf(process, publisher),
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
    busy: () => restarting > 0 || [...processes.values()].some((process) => process.busy > 0),
    stop: () => stopped.abort(),
  }
}
