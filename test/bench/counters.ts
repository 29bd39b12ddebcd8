/** What the audit counters (accepted, duplicate, late) cost the Postgres sink: the same statement with them and without, by turns, on two databases of one server. */
import { randomUUID } from 'node:crypto'
import { mkdtemp, rm } from 'node:fs/promises'
import { join, resolve } from 'node:path'
import pg from 'pg'
import { migrate } from '../../infra/deploy/migrate.ts'
import { repository } from '../../infra/local/home.ts'
import { startStack } from '../../infra/local/stack.ts'
import { postgresControl } from '../../shared/adapters/postgres/control.ts'
import type { Db } from '../../shared/adapters/postgres/db.ts'
import { type ClosableDb, postgresPool } from '../../shared/adapters/postgres/pool.ts'
import { postgresSink } from '../../shared/adapters/postgres/sink.ts'
import { topicOf } from '../../shared/engine/define.ts'
import type { Event } from '../../shared/events/envelope.ts'
import type { Sink, TableBatch } from '../../shared/ports/sink.ts'
import { leads } from '../../shared/tables/leads.ts'
import { against, byTurns, medianOf, ratiosOf } from './by-turns.ts'
import { insertOf } from './event.ts'
import { type Report, words } from './report.ts'
import { perSecond } from './throughput-rows.ts'

/** Of a fetch under load. */
const BATCH = 1_000
const LIMIT = 1.03
const never = new AbortController().signal

interface Side {
  readonly sink: Sink
  readonly fence: TableBatch['fence']
  readonly client: pg.Pool
}

export interface CountersBench {
  readonly own: true
  readonly source: pg.Pool
  readonly counted: Side
  readonly bare: Side
  close(): Promise<void>
}

export async function countersBench(signal: AbortSignal): Promise<CountersBench> {
  const home = await mkdtemp(join(resolve(repository), '.afluente-bench-'))
  const closing: (() => Promise<unknown>)[] = [() => rm(home, { recursive: true, force: true })]
  const close = async () => {
    for (const step of closing.toReversed()) await step()
  }
  try {
    const stack = await startStack({ home, ports: 'free', only: ['postgres'], signal, log: (line) => words(`  ${line}`) })
    closing.push(() => stack.stop())
    const poolAt = (connectionString: string): pg.Pool => {
      const pool = new pg.Pool({ connectionString, max: 2 })
      pool.on('error', () => undefined)
      closing.push(() => pool.end())
      return pool
    }
    const source = poolAt(stack.info.source.url)
    const side = async (database: string, db: (plain: ClosableDb) => Db): Promise<Side> => {
      await source.query(`create database ${database}`)
      const url = Object.assign(new URL(stack.info.source.url), { pathname: `/${database}` }).href
      await migrate(url)
      const plain = postgresPool({ connectionString: url, max: 1 })
      closing.push(() => plain.close())
      const of = { consumer: 'postgres', topic: topicOf(leads), partition: 0 }
      const epoch = await postgresControl({ db: plain }).take({ ...of, owner: 'bench' }, { signal: never })
      return { sink: postgresSink({ db: db(plain), tables: [leads], bronze: true, silver: true }), fence: { ...of, epoch }, client: poolAt(url) }
    }
    return { own: true, source, counted: await side('counted', (db) => db), bare: await side('bare', withoutCounters), close }
  } catch (error) {
    await close()
    throw error
  }
}

export async function counters({ bare, counted }: CountersBench, report: Report, { rounds, rows }: { readonly rounds: number; readonly rows: number }) {
  await report.measure('the Postgres sink with its counters, against the same without', async () => {
    let version = 1_700_000_000_000_000
    const turn = async ({ client, fence, sink }: Side, batches: readonly (readonly Event[])[]): Promise<number> => {
      await client.query('truncate silver.leads, bronze.events; checkpoint')
      const began = performance.now()
      for (const events of batches) await sink.write({ table: leads, events, fence, nextOffset: '1' }, { signal: never })
      return performance.now() - began
    }
    const prepared = new Map<number, readonly (readonly Event[])[]>()
    const batchesOf = (round: number) => {
      const known = prepared.get(round) ?? Array.from({ length: Math.ceil(rows / BATCH) }, () => Array.from({ length: BATCH }, () => eventOf((version += 1))))
      prepared.clear()
      prepared.set(round, known)
      return known
    }
    // Prepared statements and caches of both.
    for (const side of [bare, counted]) await turn(side, batchesOf(-1).slice(0, 3))
    const pairs = await byTurns(rounds, (table, round) => turn(table === 'plain' ? bare : counted, batchesOf(round)))
    const found = ratiosOf(pairs)
    const of = (what: 'plain' | 'captured') => perSecond(Math.ceil(rows / BATCH) * BATCH, medianOf(pairs.map((pair) => pair[what])))
    return { rows, rounds, rowsPerSecondWith: of('captured'), rowsPerSecondWithout: of('plain'), ...found, ...against(LIMIT, found.ratio) }
  })
}

/** The statement that writes, with nothing counted: the fence, bronze, silver and the offset stay. */
export function withoutCounters(db: Db): Db {
  const counting = [
    [/, fate as materialized \(select [\s\S]*? as fate from e\)\n/, ''],
    [/, counts as materialized \(select .*? from fate\)\n/, ', counts as materialized (select 0 as accepted, 0 as duplicate, 0 as late)\n'],
    [/ consumed = p\.consumed \+ counts\.consumed, .*? updated_at/, ' updated_at'],
  ] as const
  return {
    query: (query, options) => {
      if (query.name?.startsWith('write-') !== true) return db.query(query, options)
      let { text } = query
      for (const [what, instead] of counting) {
        if (!what.test(text)) throw new Error(`The statement that writes no longer has ${what.source}. Mend test/bench/counters.ts.`)
        text = text.replace(what, instead)
      }
      return db.query({ ...query, text }, options)
    },
  }
}

function eventOf(version: number): Event {
  const id = randomUUID()
  return insertOf(
    id,
    version,
    `{"id":"${id}","name":"Maria ${version}","email":"maria.${version}@example.com","phone":null,"company":"Padaria","job_title":"Gerente","source":"website","status":"new","score":${version % 101},"estimated_value":1250.50,"tags":["sp"],"metadata":{"utm":"google"},"assigned_to":null,"created_at":"2026-11-22T18:00:00.000001+00:00","updated_at":"2026-11-22T18:00:00.000001+00:00"}`,
  )
}
