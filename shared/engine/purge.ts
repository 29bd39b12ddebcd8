/** Purges tombstones that nothing older can meet any more, table by table, consumer by consumer, in bounded steps. */
import type { Cancellable } from '../ports/cancellable.ts'
import type { Clock } from '../ports/clock.ts'
import type { Control } from '../ports/control.ts'
import type { Log } from '../ports/log.ts'
import type { Outbox } from '../ports/outbox.ts'
import type { Horizon, PurgeHold, Purges, RecordAges, Tombstones } from '../ports/purges.ts'
import type { Watermarks } from '../ports/watermarks.ts'
import { qualifiedName, type SourceTable } from '../tables/table.ts'
import { type AnyConsumer, type AnyPipeline, deadLetterTopicOf, topicOf } from './define.ts'
import { milliseconds } from './duration.ts'
import { horizonOf, oldestKept, type Said, SKEW_MS } from './purge-horizon.ts'
import { codeOf, explain } from './reason.ts'

export interface PurgeDeps {
  readonly pipeline: AnyPipeline
  readonly purges: Purges
  /** Of a consumer whose sink keeps tombstones; undefined for others. */
  readonly tombstonesOf: (consumer: string) => Tombstones | undefined
  readonly control: Pick<Control, 'progress'>
  readonly ages: RecordAges
  readonly watermarks: Watermarks
  readonly outbox: Pick<Outbox, 'backlog'>
  /** Unique to this run. */
  readonly owner: string
  readonly clock: Clock
  readonly log: Log
}

/** Longer than any run: who comes after a killed one waits no longer than that. */
const LEASE_MS = 60_000
/** No step begins later than that after the run began; what is left goes on with the next one. */
const SOFT_BUDGET_MS = 10_000
/** A pass reads the whole table, so it comes seldom; one that may purge nothing reads nothing, and looks again sooner. */
const PASS_EVERY_MS = 3_600_000
const LOOK_EVERY_MS = 600_000

/**
 * Does what is due. Promises: nothing is purged that an older event may still meet (see `horizonOf`); killed anywhere, or running twice at
 * once, it purges what may go, once. A table that fails is told and holds up no other. Throws only where nothing could be asked at all.
 */
export function createPurge(deps: PurgeDeps): (options: Cancellable) => Promise<void> {
  const { clock, control, log, pipeline, purges } = deps

  const sight = async (consumer: string, table: SourceTable, options: Cancellable): Promise<Horizon> => {
    const topic = topicOf(table)
    const writers = writersBeside(pipeline, consumer, topic)
    const nowMs = clock.now()
    const retentionMs = milliseconds(pipeline.topics.retention)
    const untilMs = oldestKept({ nowMs, retentionMs })
    const since = async () => Math.min(...(await Promise.all([topic, deadLetterTopicOf(topic)].map((one) => deps.ages.since(one, untilMs + SKEW_MS, options)))))
    // In this order. What Kafka dropped before it was asked first lies below its positions; what it drops later is younger than it said.
    // And a consumer that moves on meanwhile must not seem to stand below them.
    const recordsSinceMs = await said(since())
    const watermarks = await said(deps.watermarks.read([topic], options))
    const [progress, outbox, letters, replays] = await Promise.all([
      said(control.progress(options)),
      said(deps.outbox.backlog(options)),
      said(purges.unsettled({ topic, consumers: writers }, options)),
      said(purges.replays({ table: qualifiedName(table), consumers: writers }, options)),
    ])
    return horizonOf({ nowMs, retentionMs, topic, writers, recordsSinceMs, watermarks, progress, outbox, letters, replays })
  }

  /** True when the pass is over. */
  const pass = async (hold: PurgeHold, table: SourceTable, tombstones: Tombstones, before: string, untilMs: number, options: Cancellable): Promise<boolean> => {
    let purged = 0
    let from = hold.position
    do {
      const { rows, next } = await tombstones.purge({ table, hold, from, before }, options)
      purged += rows
      from = next
    } while (from !== null && clock.now() < untilMs && !options.signal.aborted)
    if (purged > 0) log.info('purge.purged', { consumer: hold.consumer, table: hold.table, rows: purged, before })
    return from === null
  }

  const run = async (hold: PurgeHold, table: SourceTable, tombstones: Tombstones, untilMs: number, options: Cancellable): Promise<void> => {
    const { consumer } = hold
    try {
      const horizon = await sight(consumer, table, options)
      await purges.look(hold, horizon, options)
      if (horizon.before === null) return await purges.release(hold, LOOK_EVERY_MS, options)
      const over = await pass(hold, table, tombstones, horizon.before, untilMs, options)
      await purges.release(hold, over ? PASS_EVERY_MS : null, options)
    } catch (error) {
      log.warn('purge.failed', { consumer, table: hold.table, code: codeOf(error), reason: explain(error) })
    }
  }

  return async (options) => {
    const untilMs = clock.now() + SOFT_BUDGET_MS
    for (const [consumer, definition] of Object.entries(pipeline.consumers)) {
      const tombstones = deps.tombstonesOf(consumer)
      const tables = pipeline.tables.filter((table) => definition.reads.includes(topicOf(table)))
      if (tombstones === undefined || tables.length === 0 || clock.now() >= untilMs) continue
      const holds = await purges.take({ consumer, tables: tables.map(qualifiedName), owner: deps.owner, leaseMs: LEASE_MS }, options)
      for (const hold of holds) {
        const table = tables.find((one) => qualifiedName(one) === hold.table)
        if (table !== undefined) await run(hold, table, tombstones, untilMs, options)
      }
    }
  }
}

/** Consumers with the same kind of sink may write the same rows. */
function writersBeside({ consumers }: AnyPipeline, consumer: string, topic: string): readonly string[] {
  const kindOf = (of: AnyConsumer | undefined) => of?.sink.kind
  return Object.entries(consumers)
    .filter(([, other]) => kindOf(other) === kindOf(consumers[consumer]) && other.reads.includes(topic))
    .map(([name]) => name)
}

async function said<T>(asked: Promise<T>): Promise<Said<T>> {
  try {
    return { ok: true, value: await asked }
  } catch (error) {
    return { ok: false, reason: explain(error) }
  }
}
