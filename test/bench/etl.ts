/** How fast a job loads: all, what has changed, nothing, and a comparison; beside what COPY takes for the same columns in the same run. */
import { spawnSync } from 'node:child_process'
import { randomUUID } from 'node:crypto'
import { chmod } from 'node:fs/promises'
import { join } from 'node:path'
import { setFlagsFromString } from 'node:v8'
import { runInNewContext } from 'node:vm'
import pg from 'pg'
import { systemClock } from '../../shared/adapters/clock.ts'
import { memoryPublisher } from '../../shared/adapters/memory/publisher.ts'
import { memoryTopics } from '../../shared/adapters/memory/topics.ts'
import { judgeType } from '../../shared/adapters/postgres/etl-columns.ts'
import { postgresEtlControl } from '../../shared/adapters/postgres/etl-control.ts'
import { postgresEtlSource } from '../../shared/adapters/postgres/etl-source.ts'
import { postgresEtlStore } from '../../shared/adapters/postgres/etl-store.ts'
import { postgresPool } from '../../shared/adapters/postgres/pool.ts'
import { sourceDb } from '../../shared/adapters/postgres/source-db.ts'
import { createEtlStep } from '../../shared/engine/etl-run.ts'
import type { EtlRun, LoadType } from '../../shared/ports/etl-control.ts'
import { conversations } from '../../shared/tables/conversas_analytics.ts'
import { type EtlJob, originName } from '../../shared/tables/etl-job.ts'
import { columnsOfConversations, type EtlDatabases } from './etl-databases.ts'
import { type Held, heldByWorker } from './etl-worker.ts'
import type { Report } from './report.ts'
import { perSecond } from './throughput-rows.ts'

const CHANGED = 482
const LIMITS = { loadRowsPerSecond: 20_000, ofCopy: 0.5, changedMs: 250, emptyMs: 50, memoryMb: 64, reconcileMs: 5_000 } as const
/** V8 collects when it has to: without a limit, as on this machine, it lets lie what a limit would have it clear. */
const HEAP_LIMIT_MB = 32
const always = new AbortController().signal

export async function etl(databases: EtlDatabases, report: Report, { rows, viewRows }: { readonly rows: number; readonly viewRows: number }): Promise<void> {
  await databases.fillTable(rows)
  await measureAll(databases, report, { ...conversations, source: { database: 'chatwoot', relation: 'bench.conversations' } }, 'a table', rows)
  if (viewRows === 0) return
  await databases.fillChatwoot(viewRows)
  await measureAll(databases, report, conversations, 'the view over Chatwoot', viewRows)
}

async function measureAll(databases: EtlDatabases, report: Report, job: EtlJob, what: string, rows: number): Promise<void> {
  const { analytics, chatwoot } = databases
  const relation = originName(job.source)
  const table = relation === 'bench.conversations' ? relation : 'conversations'
  const [time, key] = table === relation ? ['conversation_updated_at', 'conversation_id'] : ['updated_at', 'id']
  let copyMs = 0
  await report.measure(`limit: COPY TO | COPY FROM, ${what}`, async () => {
    copyMs = await copyThrough(databases, relation)
    return { rows, ms: Math.round(copyMs), rowsPerSecond: perSecond(rows, copyMs) }
  })
  await analytics.query('truncate silver.conversas_analytics, ops.etl_control, ops.etl_checkpoint, ops.etl_job')
  const work = openWork(databases, job)
  try {
    await report.measure(`full load from ${what}`, async () => {
      const { memoryMb, ms, run } = await watched(() => work('incremental'))
      const speed = perSecond(run.inserted, ms)
      return {
        rows: run.inserted,
        ms,
        rowsPerSecond: speed,
        atLeast: LIMITS.loadRowsPerSecond,
        within: speed >= LIMITS.loadRowsPerSecond,
        ofCopy: Math.round((copyMs / ms) * 100) / 100,
        ofCopyAtLeast: LIMITS.ofCopy,
        ofCopyWithin: copyMs / ms >= LIMITS.ofCopy,
        heapMb: memoryMb,
      }
    })
    await report.measure(`what Node holds on to in a full load, ${what}`, async () => {
      return heldBy((look) => work('full', look))
    })
    await report.measure(`the Worker's isolate in a full load, ${what}`, async () => {
      const free = await heldByWorker(databases, relation, null)
      const limited = await heldByWorker(databases, relation, HEAP_LIMIT_MB)
      return { limited: shown(limited), heapLimitMb: HEAP_LIMIT_MB, unlimited: shown(free), atMost: LIMITS.memoryMb, within: limited.bothMb <= LIMITS.memoryMb }
    })
    await analytics.query('vacuum analyze silver.conversas_analytics')
    await work('incremental')
    await report.measure(`a run with nothing to do, ${what}`, async () => brief(await watched(() => work('incremental')), LIMITS.emptyMs))
    await chatwoot.query(
      `update ${table} set ${time} = clock_timestamp() at time zone 'UTC', priority = ${table === relation ? `'urgent'` : '3'} where ${key} in (select ${key} from ${table} order by hashint8(${key}) limit ${CHANGED})`,
    )
    await report.measure(`${CHANGED} changed of ${rows}, ${what}`, async () => brief(await watched(() => work('incremental')), LIMITS.changedMs))
    await report.measure(`reconcile of ${rows} unchanged rows, ${what}`, async () => brief(await watched(() => work('reconcile')), LIMITS.reconcileMs))
  } finally {
    await work.close()
  }
}

function shown({ run, ...held }: Held): Record<string, unknown> {
  return { ...held, rowsPerSecond: perSecond(run.seen, (run.durationSeconds ?? 0) * 1_000) }
}

function brief({ memoryMb, ms, run }: Watched, limitMs: number): Record<string, unknown> {
  const { deleted, extracted, inserted, seen, unchanged, updated } = run
  return { extracted, inserted, updated, unchanged, deleted, seen, ms, atMost: limitMs, within: ms <= limitMs, heapMb: memoryMb }
}

interface Watched {
  readonly run: EtlRun
  readonly ms: number
  /** The most that the heap and its buffers took, with what nobody had collected yet. */
  readonly memoryMb: number
}

async function watched(work: () => Promise<EtlRun>): Promise<Watched> {
  let most = 0
  const look = () => {
    const { external, heapUsed } = process.memoryUsage()
    most = Math.max(most, heapUsed + external)
  }
  const timer = setInterval(look, 5)
  const began = performance.now()
  try {
    const run = await work()
    if (run.status !== 'success') throw new Error(`the run ended otherwise: ${run.status}, ${run.error ?? ''}`)
    return { run, ms: Math.round(performance.now() - began), memoryMb: Math.round(most / 1_048_576) }
  } finally {
    look()
    clearInterval(timer)
  }
}

/** What is left after a collection behind each page, with the next one in hand, beside what was there before: this bench and its modules. */
async function heldBy(work: (look: () => void) => Promise<unknown>): Promise<{ readonly memoryMb: number; readonly beforeMb: number }> {
  setFlagsFromString('--expose-gc')
  const collect: unknown = runInNewContext('gc')
  const held = () => {
    if (typeof collect === 'function') collect()
    const { external, heapUsed } = process.memoryUsage()
    return heapUsed + external
  }
  held()
  const before = held()
  let most = 0
  await work(() => void (most = Math.max(most, held())))
  return { memoryMb: Math.round((most - before) / 1_048_576), beforeMb: Math.round(before / 1_048_576) }
}

/** From asking for a run to its end, with connections that are open, as a Durable Object has them. */
function openWork({ analyticsUrl, chatwootUrl }: EtlDatabases, job: EtlJob) {
  const db = postgresPool({ connectionString: analyticsUrl })
  const reading = sourceDb({ connectionString: chatwootUrl, setting: 'CHATWOOT_DATABASE_URL' })
  const control = postgresEtlControl({ db })
  const log = { info: () => undefined, warn: () => undefined, error: () => undefined }
  const step = createEtlStep({
    jobs: { conversations: job },
    sources: () => postgresEtlSource({ db: reading }),
    store: postgresEtlStore({ db }),
    // The job has no topic.
    topics: { publisher: memoryPublisher({ topics: memoryTopics({ clock: systemClock(), maxMessageBytes: 0 }) }), ref: 'local', maxMessageBytes: 0 },
    judge: judgeType,
    clock: systemClock(),
    log,
    random: Math.random,
  })
  const work = async (loadType: LoadType, onProgress: () => void = () => undefined): Promise<EtlRun> => {
    const request = { id: randomUUID(), job: 'conversations', loadType, triggeredBy: 'manual', from: null, to: null, dryRun: false, codeVersion: null } as const
    const { run } = await control.start(request, { signal: always })
    for (;;) {
      const end = await step({ run: run.id, owner: 'bench', budgetMs: 20_000, signal: always, onProgress })
      if (end.status === 'ended') return end.run
      if (end.status !== 'more') throw new Error(`a step ended otherwise: ${end.status}`)
    }
  }
  const close = async () => {
    await db.close()
    await reading.close()
  }
  return Object.assign(work, { close })
}

/** Both at once, through a pipe between the two servers' sessions. */
async function copyThrough({ analytics, chatwoot, folder }: EtlDatabases, relation: string): Promise<number> {
  await analytics.query('drop schema if exists bench cascade; create schema bench; create table bench.copied (like silver.conversas_analytics including all)')
  const pipe = join(folder, `copy-${randomUUID()}`)
  if (spawnSync('mkfifo', [pipe]).status !== 0) throw new Error('mkfifo failed')
  await chmod(pipe, 0o666)
  const list = columnsOfConversations.join(', ')
  const began = performance.now()
  await Promise.all([
    chatwoot.query(`set timezone = 'UTC'; copy (select ${list} from ${relation}) to ${pg.escapeLiteral(pipe)}`),
    analytics.query(`set timezone = 'UTC'; copy bench.copied (${list}) from ${pg.escapeLiteral(pipe)}`),
  ])
  return performance.now() - began
}
