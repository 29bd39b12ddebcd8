/** Capture and a Postgres consumer in real time: their SQL is the product's own on real databases, the topics between them are the twin's. */
import { systemClock } from '../../../shared/adapters/clock.ts'
import { memoryGroup } from '../../../shared/adapters/memory/group.ts'
import { memoryLines } from '../../../shared/adapters/memory/lines.ts'
import { memoryPublisher } from '../../../shared/adapters/memory/publisher.ts'
import { memoryTopics, type MemoryTopics } from '../../../shared/adapters/memory/topics.ts'
import { postgresControl } from '../../../shared/adapters/postgres/control.ts'
import type { Db } from '../../../shared/adapters/postgres/db.ts'
import { postgresPool } from '../../../shared/adapters/postgres/pool.ts'
import { postgresSink } from '../../../shared/adapters/postgres/sink.ts'
import { captureFleet } from '../../support/failpoints/capture-fleet.ts'
import { consumerFleet } from '../../support/failpoints/consumer-fleet.ts'
import type { FaultPlan } from '../../support/failpoints/process.ts'
import { MAX_MESSAGE_BYTES, PARTITIONS, type Shape, sometimesSlow, TABLE, TOPIC } from '../../support/failpoints/setting.ts'
import { sqlOutbox } from '../capture/sql-outbox.ts'
import type { Pair } from './databases.ts'
import { watchFences } from './fences.ts'

/** What a mutant breaks. */
export type Tamper = (db: Db) => Db

export interface CrashWorld {
  readonly topics: MemoryTopics
  readonly violations: string[]
  ring(isolate: number): void
  /** Until everything has arrived and nobody works; false when that doesn't come. */
  rest(): Promise<boolean>
  pass(ms: number): Promise<void>
  end(): Promise<void>
}

const SWEEP_MS = 150
const REST_WITHIN_MS = 30_000
const LOOK_MS = 10
/** Of a busy machine: a lease must outlast a claim that waits for the processor. */
const LEASE_MS = 600
/** Long enough for a renewal. */
const SLOW_MS = LEASE_MS / 2
const CONNECTIONS = 4
const never = new AbortController().signal

export function createCrashWorld({ pair, plan, shape, tamper }: { pair: Pair; plan: FaultPlan; shape: Shape; tamper: Tamper }): CrashWorld {
  const clock = systemClock()
  const violations: string[] = []
  const log = memoryLines()
  const topics = memoryTopics({ clock, partitions: PARTITIONS, maxMessageBytes: MAX_MESSAGE_BYTES })
  const publisher = memoryPublisher({ topics })
  const group = memoryGroup({ partitions: PARTITIONS })
  const fences = watchFences(violations)
  const closing: (() => Promise<unknown>)[] = []
  let opened = 0
  /** Connections that can be told from everybody else's, so that they die with their process. */
  const open = (url: string) => {
    opened += 1
    const name = `crash ${opened}`
    // It goes on when the connections are gone, or with the next process: what is under way then ends or is rolled back.
    const drop = () => void killing.push(pair.kill(name))
    return { url: `${url}?application_name=${encodeURIComponent(name)}`, drop }
  }
  const killing: Promise<void>[] = []

  const capture = captureFleet({
    open: () => {
      const { drop, url } = open(pair.source.database.url)
      const { close, outbox } = sqlOutbox(url, CONNECTIONS)
      closing.push(close)
      return { outbox: fences.outbox(outbox), publisher: sometimesSlow(publisher, clock, SLOW_MS), drop }
    },
    clock,
    log,
    plan,
    shape,
    limits: { leaseMs: LEASE_MS, maxMessageBytes: 2 * MAX_MESSAGE_BYTES },
  })
  const consumers = consumerFleet({
    consumer: 'postgres',
    group,
    open: () => {
      const { drop, url } = open(pair.analyticsUrl)
      const pool = postgresPool({ connectionString: url, max: CONNECTIONS, onIdleError: () => undefined })
      closing.push(() => pool.close())
      const db = tamper(pool)
      return { sink: fences.sink(postgresSink({ db, tables: [TABLE], bronze: true, silver: true })), control: fences.control(postgresControl({ db })), drop }
    },
    publisher,
    topics,
    clock,
    log,
    plan,
    shape,
  })

  const ended = new AbortController()
  const sweep = async () => {
    const { close, outbox } = sqlOutbox(pair.source.database.url, 1)
    for (let isolate = 0; !ended.signal.aborted; isolate += 1) {
      await clock.sleep(SWEEP_MS, { signal: ended.signal })
      const { leased, rows } = await outbox.backlog({ signal: never })
      if (rows > 0 && !leased && !ended.signal.aborted) capture.ring(isolate % 3)
    }
    await close()
  }
  const sweeping = sweep()

  const atEnd = (partition: number) => (group.committed({ topic: TOPIC, partition }) ?? 0) === topics.end(TOPIC, partition)
  const isQuiet = async () =>
    (await pair.source.value('select count(*) from afluente.outbox')) === '0' &&
    !capture.busy() &&
    !consumers.busy() &&
    Array.from({ length: PARTITIONS }, (_, partition) => atEnd(partition)).every(Boolean)
  const pass = (ms: number) => clock.sleep(ms, { signal: never })

  return {
    topics,
    violations,
    ring: (isolate) => capture.ring(isolate),
    pass,
    rest: async () => {
      const deadline = clock.now() + REST_WITHIN_MS
      while (!(await isQuiet())) {
        if (clock.now() > deadline) return false
        await pass(LOOK_MS)
      }
      return true
    },
    end: async () => {
      consumers.stop()
      ended.abort()
      await sweeping
      await Promise.all(killing)
      await Promise.all(closing.map((close) => close()))
    },
  }
}
