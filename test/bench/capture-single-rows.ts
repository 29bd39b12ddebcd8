/** Transactions of one row: what a web application does. Each connection waits for its commit, then writes the next row. */
import type pg from 'pg'
import { against, medianOf, type Pair, ratiosOf, rounded } from './by-turns.ts'
import { type CaptureSource, emptyOutbox, type Table, tables } from './capture-source.ts'
import type { Report } from './report.ts'

const SLOWER_LIMIT = 1.15
/** Short rounds, by turns: a disk that is slow for a second is slow for both. */
const TRANSACTIONS = 40
const KINDS = ['insert', 'update', 'delete'] as const
type Kind = (typeof KINDS)[number]

const TEXTS: Readonly<Record<Kind, (table: Table) => string>> = {
  insert: (table) => `insert into bench.${table} (id, name, email, phone, company, job_title, source, status, score, estimated_value, tags, metadata)
    values ($1, 'Maria da Conceição', 'maria@example.com', '+55 11 91234-5678', 'bench', 'Gerente de Vendas', 'website', 'new', 42, 1234.50, '{sp,retail}', '{"utm": "google"}')`,
  update: (table) => `update bench.${table} set score = (score + 1) % 100, status = 'contacted' where id = $1`,
  delete: (table) => `delete from bench.${table} where id = $1`,
}

interface Way {
  readonly connections: number
  /** Without, the disk is left out: what is left is the work itself. */
  readonly durable: boolean
}
const WAYS: readonly Way[] = [
  { connections: 1, durable: true },
  { connections: 10, durable: true },
  { connections: 1, durable: false },
]

interface Round {
  /** Of each transaction. */
  readonly times: readonly number[]
  /** Of all connections together. */
  readonly msPerRow: number
}

export async function singleRows({ source }: CaptureSource, report: Report, rounds: number): Promise<void> {
  await report.measure('a bare commit', async () => {
    await source.query('create table bench.tick (n text)')
    const times: number[] = []
    for (let n = 0; n < 20; n += 1)
      times.push(
        ...(await inSessions(source, { connections: 1, durable: true }, (clients) => write(clients, 'tick', 'insert into bench.tick values ($1)', 0))).times,
      )
    return { ...figures(times), transactions: times.length, note: 'one row of one column without an index: what the disk takes', ...(await durability(source)) }
  })
  for (const way of WAYS) {
    let pairs: Readonly<Record<Kind, readonly Pair<Round>[]>> | undefined
    for (const kind of KINDS) {
      const how = `${way.connections} connection${way.connections === 1 ? '' : 's'}, ${way.durable ? 'durable' : 'not durable'}`
      await report.measure(`single-row ${kind}s, ${how}`, async () => {
        pairs ??= await allKinds(source, way, rounds * 5)
        return resultOf(pairs[kind], way)
      })
    }
  }
}

/** Inserts a few rows into one table and the other, then updates them, then deletes them; again and again. */
async function allKinds(source: pg.Pool, way: Way, rounds: number): Promise<Readonly<Record<Kind, readonly Pair<Round>[]>>> {
  const found: Record<Kind, Pair<Round>[]> = { insert: [], update: [], delete: [] }
  await emptyOutbox(source)
  await source.query('checkpoint')
  await inSessions(source, way, async (clients) => {
    // The first rounds make the plans of each session.
    for (let round = -3; round < rounds; round += 1) {
      for (const kind of KINDS) {
        const of: Partial<Record<Table, Round>> = {}
        for (const table of round % 2 === 0 ? tables : tables.toReversed()) of[table] = await write(clients, `${kind} ${table}`, TEXTS[kind](table), round + 3)
        if (round >= 0 && of.plain !== undefined && of.captured !== undefined) found[kind].push({ plain: of.plain, captured: of.captured })
      }
    }
  })
  return found
}

function resultOf(pairs: readonly Pair<Round>[], way: Way): Record<string, unknown> {
  const ratios = ratiosOf(pairs.map(({ captured, plain }) => ({ captured: captured.msPerRow, plain: plain.msPerRow })))
  const side = (of: Table) => ({
    ...figures(pairs.flatMap((pair) => pair[of].times)),
    rowsPerSecond: Math.round(1_000 / medianOf(pairs.map((pair) => pair[of].msPerRow))),
  })
  return {
    ...way,
    rounds: pairs.length,
    rowsARound: TRANSACTIONS,
    ...ratios,
    ...(way.durable ? against(SLOWER_LIMIT, ratios.ratio) : {}),
    addedMicroseconds: Math.round(1_000 * medianOf(pairs.map(({ captured, plain }) => captured.msPerRow - plain.msPerRow))),
    plain: side('plain'),
    captured: side('captured'),
  }
}

async function inSessions<T>(source: pg.Pool, { connections, durable }: Way, work: (clients: readonly pg.PoolClient[]) => Promise<T>): Promise<T> {
  const clients = await Promise.all(Array.from({ length: connections }, () => source.connect()))
  try {
    for (const client of clients) await client.query(`set synchronous_commit = ${durable ? 'on' : 'off'}`)
    return await work(clients)
  } finally {
    for (const client of clients) client.release(true)
  }
}

async function write(clients: readonly pg.PoolClient[], name: string, text: string, round: number): Promise<Round> {
  const times: number[] = []
  const each = TRANSACTIONS / clients.length
  const began = performance.now()
  await Promise.all(
    clients.map(async (client, number) => {
      for (let n = 0; n < each; n += 1) {
        const at = performance.now()
        await client.query({ name, text, values: [idOf(round * TRANSACTIONS + number * each + n)] })
        times.push(performance.now() - at)
      }
    }),
  )
  return { times, msPerRow: (performance.now() - began) / TRANSACTIONS }
}

function idOf(n: number): string {
  return `00000000-0000-4000-8000-${String(n).padStart(12, '0')}`
}

function figures(times: readonly number[]): { readonly p50Ms: number; readonly p95Ms: number } {
  const sorted = times.toSorted((one, other) => one - other)
  const at = (share: number) => rounded(sorted[Math.max(0, Math.ceil(share * sorted.length) - 1)] ?? Number.NaN, 3)
  return { p50Ms: at(0.5), p95Ms: at(0.95) }
}

async function durability(source: pg.Pool): Promise<Readonly<Record<string, string>>> {
  const { rows } = await source.query<{ name: string; setting: string }>(
    `select name, setting from pg_settings where name in ('fsync', 'synchronous_commit', 'wal_sync_method', 'full_page_writes')`,
  )
  return Object.fromEntries(rows.map(({ name, setting }) => [name, setting]))
}
