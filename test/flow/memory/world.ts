/** The whole pipeline on memory twins and a virtual clock: a source, capture isolates, topics, two consumers with their sinks. */
import { memoryAnalytics, type MemoryAnalytics } from '../../../shared/adapters/memory/analytics.ts'
import { memoryClock, type MemoryClock } from '../../../shared/adapters/memory/clock.ts'
import { memoryControl } from '../../../shared/adapters/memory/control.ts'
import { type Line, memoryLines } from '../../../shared/adapters/memory/lines.ts'
import { memoryGroup } from '../../../shared/adapters/memory/group.ts'
import { memoryPublisher } from '../../../shared/adapters/memory/publisher.ts'
import { memorySink } from '../../../shared/adapters/memory/sink.ts'
import { type MemorySource, memorySource } from '../../../shared/adapters/memory/source.ts'
import { memoryTopics, type MemoryTopics } from '../../../shared/adapters/memory/topics.ts'
import type { CaptureLimits } from '../../../shared/engine/capture-limits.ts'
import type { Outbox } from '../../../shared/ports/outbox.ts'
import type { Sink } from '../../../shared/ports/sink.ts'
import type { Subscription } from '../../../shared/ports/subscription.ts'
import { drive } from '../../support/virtual-time.ts'
import { type CaptureFleet, captureFleet } from '../../support/failpoints/capture-fleet.ts'
import { type ConsumerFleet, type ConsumerFleetDeps, consumerFleet } from '../../support/failpoints/consumer-fleet.ts'
import { indexTwin } from '../../support/failpoints/index-twin.ts'
import type { FaultPlan } from '../../support/failpoints/process.ts'
import { MAX_MESSAGE_BYTES, PARTITIONS, refuses, type Shape, type Side, sometimesSlow, TOPIC } from '../../support/failpoints/setting.ts'
import { sinkWatcher, watchedControl, watchedOutbox } from './watch.ts'

const SWEEP_MS = 500

/** What a mutant breaks. Each takes a twin and gives one that lacks a guard. */
export interface Tampering {
  readonly outbox?: (outbox: Outbox) => Outbox
  readonly sink?: (sink: Sink, analytics: MemoryAnalytics) => Sink
  readonly subscription?: (subscription: Subscription) => Subscription
}

export interface World {
  readonly clock: MemoryClock
  readonly source: MemorySource
  readonly topics: MemoryTopics
  readonly sides: readonly Side[]
  readonly capture: CaptureFleet
  readonly consumers: readonly ConsumerFleet[]
  /** What the functions logged. */
  readonly lines: readonly Line[]
  /** What was seen to go wrong while it ran. */
  readonly violations: string[]
  /** Goes on until everything has arrived and nobody works. False when that never comes. */
  rest(): Promise<boolean>
  endFaults(): void
  /** The present moment's work is done, no time passes. */
  settle(): Promise<void>
  pass(ms: number): Promise<void>
  end(): Promise<void>
}

export interface WorldDeps {
  readonly shape: Shape
  readonly plan: FaultPlan
  readonly tampering?: Tampering
  readonly limits?: Partial<CaptureLimits>
}

export function createWorld({ shape, plan, tampering = {}, limits = {} }: WorldDeps): World {
  const clock = memoryClock()
  const violations: string[] = []
  const log = memoryLines()
  const source = memorySource({ clock })
  const topics = memoryTopics({ clock, partitions: PARTITIONS, maxMessageBytes: MAX_MESSAGE_BYTES })
  const publisher = memoryPublisher({ topics })
  const outbox = watchedOutbox(tampering.outbox?.(source.outbox) ?? source.outbox, violations)

  const sideOf = (name: Side['name']): Side => ({ name, analytics: memoryAnalytics(), group: memoryGroup({ partitions: PARTITIONS }) })
  const sides = [sideOf('postgres'), sideOf('elasticsearch')]
  const consumers = sides.map((side) => {
    const { analytics, group, name: consumer } = side
    const control = watchedControl(memoryControl({ analytics, clock }), side, violations)
    const watched = sinkWatcher(side, violations)
    const open: ConsumerFleetDeps['open'] = (through) => {
      const plain =
        consumer === 'postgres'
          ? memorySink({ analytics, clock, refuses, bronze: true, refusal: 'batch' })
          : indexTwin({ analytics, control: through(control), refuses })
      return { sink: watched(tampering.sink?.(plain, analytics) ?? plain), control, drop: () => {} }
    }
    return consumerFleet({ consumer, group, open, publisher, topics, clock, log, plan, shape, tamper: tampering.subscription })
  })
  const capture = captureFleet({ open: () => ({ outbox, publisher: sometimesSlow(publisher, clock), drop: () => {} }), clock, log, plan, shape, limits })

  const settle = async () => {
    await drive(clock, () => true, 0)
  }
  const atEnd = ({ group }: Side) =>
    Array.from({ length: PARTITIONS }, (_, partition) => (group.committed({ topic: TOPIC, partition }) ?? 0) === topics.end(TOPIC, partition)).every(Boolean)
  const quiet = () => source.waiting.length === 0 && !capture.busy() && consumers.every((fleet) => !fleet.busy()) && sides.every(atEnd)

  /** The scheduled sweep: rings while rows lie in the outbox and nobody holds the lease. */
  const ended = new AbortController()
  const sweep = async () => {
    for (let isolate = 0; !ended.signal.aborted; isolate += 1) {
      await clock.sleep(SWEEP_MS, { signal: ended.signal })
      const { leased, rows } = await source.outbox.backlog({ signal: new AbortController().signal })
      if (rows > 0 && !leased) capture.ring(isolate % 3)
    }
  }
  void sweep()

  return {
    clock,
    source,
    topics,
    sides,
    capture,
    consumers,
    lines: log.lines,
    violations,
    settle,
    endFaults: () => plan.end(),
    pass: async (ms) => {
      const until = clock.now() + ms
      void clock.sleep(ms, { signal: ended.signal })
      await drive(clock, () => clock.now() >= until, ms)
    },
    rest: () => drive(clock, quiet, 200_000),
    end: async () => {
      for (const fleet of consumers) fleet.stop()
      ended.abort()
      await settle()
    },
  }
}
