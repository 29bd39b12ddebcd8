/** A consumer on memory twins, one batch at a time, with a clock that runs by itself and everything that was done written down. */
import { memoryAnalytics } from '../../../shared/adapters/memory/analytics.ts'
import { memoryClock } from '../../../shared/adapters/memory/clock.ts'
import { memoryControl } from '../../../shared/adapters/memory/control.ts'
import { memoryPublisher } from '../../../shared/adapters/memory/publisher.ts'
import { memorySink } from '../../../shared/adapters/memory/sink.ts'
import { memoryTopics } from '../../../shared/adapters/memory/topics.ts'
import { createConditions } from '../../../shared/engine/condition.ts'
import { createDeliver } from '../../../shared/engine/deliver.ts'
import { createNudge, createPersist } from '../../../shared/engine/persist.ts'
import { TRUNCATE_KEY } from '../../../shared/events/change.ts'
import { encode, type Event, type LogRecord } from '../../../shared/events/envelope.ts'
import type { Control } from '../../../shared/ports/control.ts'
import type { Log } from '../../../shared/ports/log.ts'
import type { Publisher } from '../../../shared/ports/publisher.ts'
import type { Sink } from '../../../shared/ports/sink.ts'
import { table } from '../../../shared/tables/table.ts'

export const people = table({ schema: 'public', name: 'people', key: ['id'], columns: { id: 'integer', name: 'text' } })
export const TOPIC = 'afluente.public.people'

/** The record of an insert of the person `id` under `version`; `after` replaces the row's image. */
export function recordOf(id: number, version: number, over: { readonly after?: string; readonly table?: string } = {}): LogRecord {
  const after = over.after ?? `{"id":${id},"name":"n${version}"}`
  const message = encode(
    {
      version,
      table: over.table ?? 'public.people',
      topic: TOPIC,
      key: `[${id}]`,
      op: 'insert',
      before: null,
      after,
      occurredAt: '2026-11-22T18:00:00.000001Z',
      traceparent: null,
    },
    { ref: 'test', claimedAt: '2026-11-22T18:00:00.000Z', traceparent: '00-aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa-bbbbbbbbbbbbbbbb-01' },
  )
  return { topic: TOPIC, partition: 0, offset: String(version), timestampMs: 0, key: message.key, value: message.value, headers: message.headers }
}

/** The record of a truncate of the table that drew `version`. */
export function truncateOf(version: number, over: { readonly headers?: LogRecord['headers'] } = {}): LogRecord {
  const message = encode(
    {
      version,
      table: 'public.people',
      topic: TOPIC,
      key: TRUNCATE_KEY,
      op: 'truncate',
      before: null,
      after: null,
      occurredAt: '2026-11-22T18:00:00.000002Z',
      traceparent: null,
    },
    { ref: 'test', claimedAt: '2026-11-22T18:00:00.000Z', traceparent: '' },
  )
  return { ...recordOf(0, version), key: message.key, value: message.value, headers: { ...message.headers, ...over.headers } }
}

export interface WorldOptions {
  readonly refuses?: (event: Event) => { readonly code: string; readonly message: string } | null
  readonly refusal?: 'item' | 'batch'
  readonly maxMessageBytes?: number
  /** Steps in front of each call of a part: throw to make it fail. */
  readonly before?: (call: string) => void
}

export function createWorld({ refuses, refusal, maxMessageBytes, before = () => {} }: WorldOptions = {}) {
  const clock = memoryClock()
  const analytics = memoryAnalytics()
  const topics = memoryTopics({ clock, ...(maxMessageBytes === undefined ? {} : { maxMessageBytes }) })
  const calls: string[] = []
  const lines: { readonly level: string; readonly event: string; readonly fields: unknown }[] = []
  const call = (name: string) => {
    calls.push(name)
    before(name)
  }
  const log: Log = {
    info: (event, fields) => void lines.push({ level: 'info', event, fields }),
    warn: (event, fields) => void lines.push({ level: 'warn', event, fields }),
    error: (event, fields) => void lines.push({ level: 'error', event, fields }),
  }

  const inner = {
    sink: memorySink({ analytics, clock, bronze: true, ...(refuses === undefined ? {} : { refuses }), ...(refusal === undefined ? {} : { refusal }) }),
    control: memoryControl({ analytics, clock }),
    publisher: memoryPublisher({ topics }),
  }
  const sink: Sink = {
    write: async (batch, options) => {
      call(`write ${batch.events.map(({ version }) => version).join(',')} → ${batch.nextOffset}`)
      return inner.sink.write(batch, options)
    },
    sweepBelow: async (sweep, options) => {
      call(`sweep below ${sweep.floor.version}`)
      return inner.sink.sweepBelow(sweep, options)
    },
    keep: async (letters, fence, options) => {
      call(`keep ${letters.length}`)
      return inner.sink.keep(letters, fence, options)
    },
  }
  const control: Control = {
    ...inner.control,
    take: async (of, options) => {
      call('take')
      return inner.control.take(of, options)
    },
    advance: async (fence, nextOffset, consumed, report, options) => {
      call(`advance → ${nextOffset}`)
      return inner.control.advance(fence, nextOffset, consumed, report, options)
    },
    raiseFloor: async (floor, fence, options) => {
      call(`raise the floor to ${floor.version}`)
      return inner.control.raiseFloor(floor, fence, options)
    },
    bury: async (letters, fence, nextOffset, options) => {
      call(`bury ${letters.length} → ${nextOffset}`)
      return inner.control.bury(letters, fence, nextOffset, options)
    },
  }
  const publisher: Publisher = {
    ...inner.publisher,
    publish: async (messages, options) => {
      call(`publish ${messages.length}`)
      return inner.publisher.publish(messages, options)
    },
  }

  const conditions = createConditions(clock)
  const nudge = createNudge(clock)
  const persist = createPersist({ consumer: 'test', clock, log, random: () => 0.5, conditions, nudge })
  const handle = createDeliver({ consumer: 'test', owner: 'me', tables: [people], sink, control, publisher, persist, clock, log })
  const stop = new AbortController()
  let heartbeats = 0

  const context = {
    signal: stop.signal,
    heartbeat: async () => {
      heartbeats += 1
    },
  }
  return {
    analytics,
    topics,
    clock,
    calls,
    lines,
    conditions,
    nudge,
    stop,
    control: inner.control,
    sink: inner.sink,
    heartbeats: () => heartbeats,
    deliver: (records: readonly LogRecord[], generation = 'g1') => handle({ topic: TOPIC, partition: 0, records, highWatermark: '0', generation }, context),
    names: () => new Map([...(analytics.silver.get('public.people') ?? [])].map(([key, row]) => [key, row.version])),
    progress: () => analytics.progress.get(`test ${TOPIC}:0`),
  }
}

/** Lets time pass, sleep after sleep, until the work has ended; `looking` is asked between two sleeps. */
export async function whileTimePasses<T>(world: { readonly clock: { next(): boolean } }, work: Promise<T>, looking: () => void = () => {}): Promise<T> {
  let over = false
  const ended = work.finally(() => {
    over = true
  })
  ended.catch(() => undefined)
  for (let idle = 0; !over && idle < 1_000;) {
    await new Promise((resolve) => setImmediate(resolve))
    if (over) break
    looking()
    idle = world.clock.next() ? 0 : idle + 1
  }
  if (!over) throw new Error('The work waits for something that no time brings.')
  return ended
}
