/** A consumer on memory twins that has read its topic, and a replayer whose calls are written down. */
import { memoryReplays } from '../../../shared/adapters/memory/replays.ts'
import { memoryShadows } from '../../../shared/adapters/memory/shadows.ts'
import { memorySink } from '../../../shared/adapters/memory/sink.ts'
import { createReplay } from '../../../shared/engine/replay.ts'
import type { Event, LogRecord } from '../../../shared/events/envelope.ts'
import type { ReplayRange, Replays } from '../../../shared/ports/replays.ts'
import type { Shadows } from '../../../shared/ports/shadows.ts'
import type { Sink } from '../../../shared/ports/sink.ts'
import { createWorld, people, TOPIC } from '../deliver/world.ts'

export const TABLE = 'public.people'
const WHOLE: ReplayRange = { table: TABLE, key: null, since: null, until: null }

export interface ReplayWorldOptions {
  /** In front of each call of the replayer's parts: throw to make it fail. */
  readonly before?: (call: string) => void | Promise<void>
  readonly refuses?: (event: Event) => boolean
  readonly refusal?: 'item' | 'batch'
}

export async function replayWorld(records: readonly LogRecord[], { before = () => {}, refuses = () => false, refusal = 'batch' }: ReplayWorldOptions = {}) {
  const world = createWorld()
  const { analytics, clock, control } = world
  if (records.length > 0) await world.deliver(records)
  const strict = { refusal, refuses: (event: Event) => (refuses(event) ? { code: '23514', message: 'violates the constraint no_poison' } : null) }

  const calls: string[] = []
  const call = async (name: string) => {
    calls.push(name)
    await before(name)
  }
  const inner = memoryReplays({ analytics, clock })
  const replays: Replays = {
    ...inner,
    page: async (job, limit, options) => {
      await call('page')
      return inner.page(job, Math.min(limit, 2), options)
    },
    settle: async (settlement, options) => {
      await call('settle')
      return inner.settle(settlement, options)
    },
    tell: async (of, options) => {
      await call(`tell ${of.phase}`)
      return inner.tell(of, options)
    },
    finish: async (of, options) => {
      await call('finish')
      return inner.finish(of, options)
    },
  }
  const told = (sink: Sink, name: string): Sink => ({
    ...sink,
    write: async (batch, options) => {
      await call(`write ${batch.events.map(({ version }) => version).join(',')} into ${name}`)
      return sink.write(batch, options)
    },
  })
  const copies = memoryShadows({ analytics, clock, ...strict })
  const shadows: Shadows = {
    ...copies,
    sink: told(copies.sink, 'shadow'),
    make: async (table, options) => {
      await call('make')
      return copies.make(table, options)
    },
    compare: async (of, options) => {
      await call('compare')
      return copies.compare(of, options)
    },
    follow: async (of, options) => {
      await call('follow')
      return copies.follow(of, options)
    },
    swap: async (of, options) => {
      await call('swap')
      const swapped = await copies.swap(of, options)
      await before('swapped')
      return swapped
    },
  }
  const sink = told(memorySink({ analytics, clock, ...strict }), 'live')
  const log = { info: () => {}, warn: () => {}, error: () => {} }
  const replayer = (owner = 'me') => createReplay({ consumer: 'test', owner, tables: [people], sink, shadows, control, replays, clock, log, random: () => 0.5 })
  const options = { signal: new AbortController().signal }
  const rows = (name: string) => new Map([...(analytics.silver.get(name) ?? [])].map(([key, { version }]) => [key, version]))
  return {
    ...world,
    calls,
    replays: inner,
    ask: (kind: 'replay' | 'shadow' = 'replay', range: Partial<ReplayRange> = {}) =>
      inner.start({ kind, consumer: 'test', range: { ...WHOLE, ...range }, actor: 'operator' }, options),
    swap: () => inner.swap({ consumer: 'test', table: TABLE, actor: 'operator' }, options),
    pass: (owner?: string) => replayer(owner)(options),
    job: async (id = '1') => inner.find(id, options),
    live: () => rows(TABLE),
    shadow: () => rows(`${TABLE}__shadow`),
    entry: () => analytics.shadows.get(`test ${TABLE}`),
    /** As if somebody had removed the rows by hand. */
    forgetRows: () => void analytics.silver.delete(TABLE),
    counts: (kind: 'replay' | 'shadow') => analytics.progress.get(`test ${TOPIC}.${kind}:0`),
    options,
  }
}
