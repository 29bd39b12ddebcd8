/** The API on fakes: a definition of two consumers, parts that answer or don't, and what was done written down. */
import type { ApiDeps } from '../../../functions/api/deps.ts'
import { createApi } from '../../../functions/api/handler.ts'
import { sourceProbe } from '../../../functions/api/ready.ts'
import type { InstanceStatus } from '../../../functions/deliver/handler.ts'
import { systemClock } from '../../../shared/adapters/clock.ts'
import { memoryAnalytics } from '../../../shared/adapters/memory/analytics.ts'
import { memoryEtl, memoryEtlControl } from '../../../shared/adapters/memory/etl-control.ts'
import { memoryLetters } from '../../../shared/adapters/memory/letters.ts'
import { memoryRedrives } from '../../../shared/adapters/memory/redrives.ts'
import { memoryReplays } from '../../../shared/adapters/memory/replays.ts'
import { memoryShadows } from '../../../shared/adapters/memory/shadows.ts'
import { memoryClock } from '../../../shared/adapters/memory/clock.ts'
import { AfluenteError } from '../../../shared/engine/errors.ts'
import type { OutboundMessage } from '../../../shared/events/envelope.ts'
import { pipeline } from '../../../shared/pipeline.ts'
import type { Progress } from '../../../shared/ports/control.ts'
import type { Verdict } from '../../../shared/ports/reconciliations.ts'
import type { Backlog } from '../../../shared/ports/outbox.ts'

export const TOKEN = 'a-token-of-more-than-16'

export type Down = 'analytics' | 'kafka' | 'supabase' | 'elasticsearch'

export interface WorldOptions {
  readonly down?: readonly Down[]
  /** Parts that never answer. */
  readonly silent?: readonly Down[]
  readonly states?: Readonly<Record<string, InstanceStatus['state']>>
  readonly backlog?: Partial<Backlog>
  readonly verdicts?: readonly Verdict[]
  /** The objects of ETL jobs can't be woken. */
  readonly asleep?: boolean
}

/** Of one row that silver lacks, and two documents that nobody has. */
export const verdict = {
  id: 3,
  table: 'public.leads',
  actor: 'schedule',
  endedAt: '2026-11-22T12:03:20.000000Z',
  outcome: {
    asOf: '2026-11-22T12:03:11.123456Z',
    rows: 1_000_000,
    sinks: [
      { sink: 'silver', missing: 1, different: 0, extra: 0 },
      { sink: 'index', missing: 0, different: 0, extra: 2 },
    ],
    keys: [],
    moving: 0,
    unopened: 0,
    mended: 0,
  },
  problem: null,
} as const satisfies Verdict

const progressOf = (consumer: string, partition: number, nextOffset: string, counts: readonly [number, number, number, number]): Progress => ({
  consumer,
  topic: 'afluente.public.leads',
  partition,
  epoch: 1,
  nextOffset,
  consumed: counts.reduce((sum, count) => sum + count, 0),
  accepted: counts[0],
  duplicate: counts[1],
  late: counts[2],
  dead: counts[3],
  updatedAt: '2026-11-22T18:00:00.000000Z',
})

export function createWorld({ down = [], silent = [], states = {}, backlog: differs = {}, verdicts = [], asleep = false }: WorldOptions = {}) {
  const analytics = memoryAnalytics()
  const letters = memoryLetters({ analytics, clock: systemClock() })
  const replays = memoryReplays({ analytics, clock: systemClock() })
  /** Of ETL runs; the API's own clock is the system's, but for the judgement of jobs. */
  const clock = memoryClock({ start: Date.parse('2026-11-29T12:00:00Z') })
  const etl = memoryEtl()
  const runs = memoryEtlControl({ etl, clock })
  const sent: OutboundMessage[] = []
  const done: string[] = []
  const lines: unknown[] = []
  const line = (event: string, fields?: unknown) => void lines.push({ event, fields })
  const asked = async <T>(part: Down, value: T): Promise<T> => {
    if (silent.includes(part)) await new Promise(() => {})
    if (down.includes(part)) throw new AfluenteError('unavailable', 'down', `${part} does not answer.`)
    return value
  }
  const statusOf = (consumer: string): readonly InstanceStatus[] => [
    {
      consumer,
      instance: 0,
      state: states[consumer] ?? 'running',
      reason: states[consumer] === 'halted' ? 'A column is missing.' : '',
      since: '2026-11-22T18:00:00.000Z',
    },
  ]
  const command = (action: string) => async (consumer: string) => {
    done.push(`${action} ${consumer}`)
    return statusOf(consumer)
  }
  const backlog: Backlog = { rows: 7, oldestMs: 1_500, leased: true, failures: 2, refused: null, keeps: 'images', tables: [], ...differs }
  const deps: ApiDeps = {
    token: TOKEN,
    version: '1.2.3',
    environment: 'test "quoted"\\',
    pipeline,
    probes: [
      { name: 'analytics', look: () => asked('analytics', null) },
      { name: 'kafka', look: () => asked('kafka', null) },
      sourceProbe({ backlog: () => asked('supabase', backlog) }),
      { name: 'elasticsearch', look: () => asked('elasticsearch', null) },
    ],
    fleet: { status: async (consumer) => statusOf(consumer), wake: command('wake'), stop: command('stop'), resume: command('resume') },
    control: {
      progress: () =>
        asked('analytics', [
          progressOf('postgres', 0, '90', [80, 5, 3, 2]),
          progressOf('postgres', 1, '10', [10, 0, 0, 0]),
          progressOf('elasticsearch', 0, '100', [100, 0, 0, 0]),
        ]),
      floors: () => asked('analytics', []),
    },
    traces: {
      waiting: () => asked('supabase', [{ version: 6, op: 'update', occurredAt: '2026-11-22T18:00:01.000000Z', traceparent: null }]),
      events: () =>
        asked('analytics', [
          {
            eventId: 'public.leads:5',
            version: 5,
            op: 'insert',
            occurredAt: '2026-11-22T18:00:00.000000Z',
            claimedAt: '2026-11-22T18:00:00.010000Z',
            publishedAt: '2026-11-22T18:00:00.020000Z',
            receivedAt: '2026-11-22T18:00:00.030000Z',
            topic: 'afluente.public.leads',
            partition: 0,
            offset: '100',
            traceparent: null,
          },
        ]),
      letters: () => asked('analytics', []),
      copies: {
        postgres: { copy: () => asked('analytics', { version: 5, eventId: 'public.leads:5', deleted: false, syncedAt: null }) },
        elasticsearch: { copy: () => asked('elasticsearch', null) },
      },
    },
    reconciliations: { latest: () => asked('analytics', verdicts) },
    operations: {
      audit: async ({ actor, action, subject }) => {
        await asked('analytics', null)
        done.push(`audit ${actor} ${action} ${subject}`)
      },
      deadLetters: () => asked('analytics', [{ consumer: 'postgres', state: 'open', letters: 2 }]),
      latency: (windowMs) => asked('analytics', { windowMs, events: 9, p50Ms: 12.3, p99Ms: 45.6 }),
    },
    letters: {
      ...letters,
      list: async (of, options) => asked('analytics', await letters.list(of, options)),
    },
    redrives: memoryRedrives({ analytics, clock: systemClock() }),
    purges: {
      states: () =>
        asked('analytics', [
          { consumer: 'postgres', table: 'public.leads', before: '2026-11-14T18:00:00.000Z', heldBack: [], lookedAt: '2026-11-22T18:00:00.000Z', purged: 12 },
          { consumer: 'elasticsearch', table: 'public.leads', before: null, heldBack: ['1 replay(s) run'], lookedAt: '2026-11-22T18:00:00.000Z', purged: 0 },
        ]),
    },
    replays,
    shadows: { postgres: () => memoryShadows({ analytics, clock: systemClock() }), elasticsearch: () => memoryShadows({ analytics, clock: systemClock() }) },
    send: async (message) => {
      await asked('kafka', null)
      sent.push(message)
      return true
    },
    outbox: { backlog: () => asked('supabase', backlog) },
    watermarks: {
      read: (topics) =>
        asked(
          'kafka',
          topics.flatMap((topic) => [0, 1].map((partition) => ({ topic, partition, low: 5n, high: topic.endsWith('leads') ? 100n : 5n }))),
        ),
    },
    etl: {
      control: { ...runs, states: async (jobs, options) => asked('analytics', await runs.states(jobs, options)) },
      objects: {
        status: async (job) => ({ job, working: false, since: '2026-11-29T11:58:00.000Z' }),
        hurry: async (job) => {
          if (asleep) throw new Error('the object is gone')
          done.push(`hurry ${job}`)
        },
      },
    },
    newId: () => crypto.randomUUID(),
    ring: async () => {
      await asked('supabase', null)
      done.push('ring')
    },
    clock: { now: clock.now, sleep: systemClock().sleep },
    log: { info: line, warn: line, error: line },
  }
  const api = createApi(deps)
  return {
    analytics,
    replays,
    clock,
    etl,
    runs,
    /** What was put on topics. */
    sent,
    done,
    lines,
    /** A call with the operator's token. */
    call: (method: string, path: string, body?: string, headers: Readonly<Record<string, string>> = {}) =>
      api.request(path, { method, headers: { authorization: `Bearer ${TOKEN}`, ...headers }, ...(body === undefined ? {} : { body }) }),
    bare: (path: string, headers: Readonly<Record<string, string>> = {}) => api.request(path, { headers: { ...headers } }),
  }
}
