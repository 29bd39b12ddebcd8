/** A table with its two copies in memory, a pipeline between them that takes its time, and reconciles of it in virtual time. */
import { memoryAnalytics, type MemoryAnalytics } from '../../../shared/adapters/memory/analytics.ts'
import { memoryClock } from '../../../shared/adapters/memory/clock.ts'
import { memoryIndexContents, memorySilverContents, memorySourceContents } from '../../../shared/adapters/memory/contents.ts'
import { memoryReconciliations, memoryReconcileSource } from '../../../shared/adapters/memory/reconciles.ts'
import { memorySource } from '../../../shared/adapters/memory/source.ts'
import type { ReconcileDeps } from '../../../shared/engine/reconcile-deps.ts'
import { type ReconcileEnd, type ReconcileRun, runReconcile } from '../../../shared/engine/reconcile.ts'
import { settle, type Settled, unwrap } from '../../../shared/engine/settled.ts'
import type { Change } from '../../../shared/events/change.ts'
import { drive } from '../../support/virtual-time.ts'

export const TABLE = { schema: 'public', name: 'items', key: ['id'], columns: { id: 'integer' } } as const
export const NAME = 'public.items'
const TOPIC = 'afluente.public.items'
const signal = new AbortController().signal

export const keyOf = (id: number) => `[${String(id).padStart(4, '0')}]`

export interface Setting {
  readonly rows?: number
  /** Between two looks of each hop. */
  readonly lagMs?: { readonly capture?: number; readonly silver?: number; readonly index?: number }
  readonly wrap?: (deps: ReconcileDeps) => ReconcileDeps
}

export async function world({ lagMs = {}, rows = 30, wrap = (same) => same }: Setting = {}) {
  const clock = memoryClock()
  const source = memorySource({ clock })
  const [silver, index] = [memoryAnalytics(), memoryAnalytics()]
  const log: Change[] = []
  const ended = new AbortController()
  const reached = { silver: 0, index: 0 }

  const publish = async () => {
    const claim = await source.outbox.claim(
      { shard: 0, owner: 'capture', leaseMs: 1_000, floor: 0, beside: [], maxRows: 1_000, maxBytes: 1e9, waitMs: 0 },
      { signal },
    )
    if (claim.status !== 'held') return
    log.push(...claim.changes)
    await source.outbox.acknowledge(0, claim.epoch, claim.changes.map(({ version }) => version), { signal }) // prettier-ignore
  }
  const deliver = (to: 'silver' | 'index') => {
    const held = rowsOf(to === 'silver' ? silver : index)
    for (const { after, key, version } of log.slice(reached[to]))
      if (version > (held.get(key)?.version ?? 0)) held.set(key, { version, eventId: `${NAME}:${version}`, after })
    reached[to] = log.length
  }
  const every = async (ms: number, work: () => void | Promise<void>) => {
    while (!ended.signal.aborted) {
      await clock.sleep(ms, { signal: ended.signal })
      if (!ended.signal.aborted) await work()
    }
  }
  void every(lagMs.capture ?? 5, publish)
  void every(lagMs.silver ?? 5, () => deliver('silver'))
  void every(lagMs.index ?? 5, () => deliver('index'))

  const write = (id: number, after: string | null) => {
    const transaction = source.begin()
    transaction.write({ table: NAME, key: keyOf(id), after })
    transaction.commit()
  }
  for (let id = 1; id <= rows; id += 1) write(id, `{"id":${id}}`)

  const outbox = memoryReconcileSource({ source, clock })
  const plain: ReconcileDeps = {
    source: memorySourceContents({ source }),
    silver: memorySilverContents({ analytics: silver }),
    index: memoryIndexContents({ analytics: index }),
    outbox,
    watermarks: { read: async () => [{ topic: TOPIC, partition: 0, low: 0n, high: BigInt(log.length) }] },
    control: {
      floors: async () => [],
      progress: async () => (['silver', 'index'] as const).map((consumer) => progressOf(consumer, reached[consumer])),
    },
    reconciliations: memoryReconciliations({ clock }),
    clock,
    random: () => 0.5,
    log: { info: () => {}, warn: () => {}, error: () => {} },
  }
  const deps = wrap(plain)
  let runs = 0
  const start = (differs: Partial<ReconcileRun> = {}) => {
    runs += 1
    const run: ReconcileRun = {
      of: { table: TABLE, topic: TOPIC, consumers: ['silver', 'index'] },
      actor: 'schedule',
      owner: `run ${runs}`,
      repair: false,
      anew: true,
      watched: false,
      untilMs: null,
      most: { rows: 1_000, parts: 100 },
      signal,
      ...differs,
    }
    const started: { settled?: Settled<ReconcileEnd> } = {}
    void settle(runReconcile(run, deps)).then((settled) => (started.settled = settled))
    return started
  }
  const end = async (started: ReturnType<typeof start>): Promise<ReconcileEnd> => {
    await drive(clock, () => started.settled !== undefined, 3_600_000)
    if (started.settled === undefined) throw new Error('It has not ended.')
    return unwrap(started.settled)
  }
  const rest = () => drive(clock, () => source.waiting.length === 0 && reached.silver === log.length && reached.index === log.length, 60_000)
  await rest()
  return {
    clock,
    source,
    log,
    outbox,
    deps,
    until: (done: () => boolean) => drive(clock, done, 3_600_000),
    reconciliations: plain.reconciliations,
    silver: rowsOf(silver),
    index: rowsOf(index),
    write,
    deliver,
    publish,
    start,
    end,
    run: (differs: Partial<ReconcileRun> = {}) => end(start(differs)),
    rest,
    pass: async (ms: number) => {
      const until = clock.now() + ms
      await drive(clock, () => clock.now() >= until, ms)
    },
    stop: () => ended.abort(),
  }
}

export type World = Awaited<ReturnType<typeof world>>

function rowsOf(analytics: MemoryAnalytics) {
  const rows = analytics.silver.get(NAME) ?? new Map()
  analytics.silver.set(NAME, rows)
  return rows
}

function progressOf(consumer: string, nextOffset: number) {
  return {
    consumer,
    topic: TOPIC,
    partition: 0,
    epoch: 1,
    nextOffset: String(nextOffset),
    consumed: 0,
    accepted: 0,
    duplicate: 0,
    late: 0,
    dead: 0,
    updatedAt: '',
  }
}

/** What was found, in an order of its own. */
export function foundBy(end: ReconcileEnd): readonly string[] {
  if (end.ending !== 'done') throw new Error(`It ended ${end.ending}.`)
  return end.found.map(({ key, sink, what }) => `${what} in ${sink} ${key}`).toSorted()
}
