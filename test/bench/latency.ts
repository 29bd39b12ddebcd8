/**
 * From the commit in the source to visible in each sink, single-row transactions at a steady rate that does not wait.
 * Postgres exactly, by the commit timestamps that one cluster gives both rows; Elasticsearch by asking the alias.
 */
import { randomUUID } from 'node:crypto'
import { setTimeout as sleep } from 'node:timers/promises'
import { difference } from './edge-difference.ts'
import { watchLeads } from './elasticsearch.ts'
import { type Consumer, consumers } from './hops.ts'
import { percentilesOf } from './percentiles.ts'
import { type Report, words } from './report.ts'
import type { BenchStack } from './stack.ts'
import { until } from './wait.ts'

export interface LatencyOptions {
  /** Rows a second, one measurement each. */
  readonly rates: readonly number[]
  readonly seconds: number
}

const ARRIVAL_MS = 30_000

export async function latency(stack: BenchStack, report: Report, { rates, seconds }: LatencyOptions): Promise<void> {
  words('latency: warming up …')
  await latencyAt(stack, 50, 5)
  for (const rate of rates) {
    let result: Latencies | undefined
    const measured = async (): Promise<Latencies> => (result ??= await latencyAt(stack, rate, seconds))
    await report.measure(`${rate} rows/s to postgres`, async () => toPostgres(rate, await measured()))
    await report.measure(`${rate} rows/s to elasticsearch`, async () => {
      const { rows, elasticsearch } = await measured()
      return {
        rate,
        sink: 'elasticsearch',
        rows,
        ...percentilesOf(elasticsearch),
        missing: rows - elasticsearch.length,
        note: 'found by searching every 10 ms: up to about 15 ms too high',
      }
    })
    await report.measure(`${rate} rows/s by stage`, async () => ({ rate, stages: stagesOf(await measured()) }))
    // Capture lingers a second; the next rate begins as this one did.
    await sleep(2_000)
  }
  await stack.consumer('elasticsearch', 'stop')
  for (const rate of rates) {
    await report.measure(`${rate} rows/s to postgres, with no other sink`, async () => {
      const found = await latencyAt(stack, rate, seconds, ['postgres'])
      return { ...toPostgres(rate, found), stages: stagesOf(found) }
    })
    await sleep(2_000)
  }
  await stack.consumer('elasticsearch', 'resume')
}

function toPostgres(rate: number, { edge, postgres, rows, written }: Latencies): Record<string, unknown> {
  return { rate, sink: 'postgres', rows, writtenPerSecond: written, ...percentilesOf(postgres), missing: rows - postgres.length, edge }
}

function stagesOf({ stages }: Latencies): Record<string, unknown> {
  return Object.fromEntries(Object.entries(stages).map(([name, values]) => [name, percentilesOf(values)]))
}

/** Milliseconds of each row that arrived. */
export interface Latencies {
  readonly rows: number
  readonly written: number
  readonly postgres: readonly number[]
  readonly elasticsearch: readonly number[]
  readonly stages: Readonly<Record<'changed to claimed' | 'claimed to published' | 'published to received' | 'received to committed', readonly number[]>>
  readonly edge: object | null
}

/** Looks into Elasticsearch only where its consumer is among those that work. */
export async function latencyAt(stack: BenchStack, rate: number, seconds: number, into: readonly Consumer[] = consumers): Promise<Latencies> {
  const mark = `bench ${randomUUID()}`
  const before = await stack.edgeStats()
  const watcher = into.includes('elasticsearch') ? watchLeads(stack.info.elasticsearch.url, mark) : undefined
  const { rows, perSecond } = await insertSteadily(stack, mark, rate, seconds)
  await until('rows in silver', async () => (await silverCount(stack, mark)) >= rows, 100, ARRIVAL_MS).catch(tell)
  if (watcher !== undefined) await until('documents in Elasticsearch', async () => watcher.seen.size >= rows, 50, ARRIVAL_MS).catch(tell)
  await watcher?.stop()
  const committed = await commitTimes(stack, mark)
  const found = await stack.analytics.query<Landed>(LANDED, [mark])
  const delays = (at: (row: Landed) => number): number[] => found.rows.map((row) => at(row))
  return {
    rows,
    written: perSecond,
    postgres: found.rows.flatMap(({ id, at }) => after(committed.get(id), at)),
    elasticsearch: [...(watcher?.seen ?? [])].flatMap(([key, at]) => after(committed.get(key.slice(2, -2)), at)),
    stages: {
      'changed to claimed': delays(({ claim }) => claim),
      'claimed to published': delays(({ publish }) => publish),
      'published to received': delays(({ receive }) => receive),
      'received to committed': delays(({ commit }) => commit),
    },
    edge: difference(before, await stack.edgeStats()),
  }
}

interface Landed {
  readonly id: string
  readonly at: number
  readonly claim: number
  readonly publish: number
  readonly receive: number
  readonly commit: number
}

const LANDED = `
  select s.id::text as id, extract(epoch from pg_xact_commit_timestamp(s.xmin))::float8 * 1000 as at,
    extract(epoch from b.claimed_at - b.occurred_at)::float8 * 1000 as claim,
    extract(epoch from b.published_at - b.claimed_at)::float8 * 1000 as publish,
    extract(epoch from b.received_at - b.published_at)::float8 * 1000 as receive,
    extract(epoch from pg_xact_commit_timestamp(b.xmin) - b.received_at)::float8 * 1000 as commit
  from silver.leads s join bronze.events b on b.event_id = s._event_id
  where s.company = $1`

async function commitTimes(stack: BenchStack, mark: string): Promise<ReadonlyMap<string, number>> {
  const { rows } = await stack.source.query<{ id: string; at: number }>(
    'select id::text as id, extract(epoch from pg_xact_commit_timestamp(xmin))::float8 * 1000 as at from public.leads where company = $1',
    [mark],
  )
  return new Map(rows.map(({ id, at }) => [id, at]))
}

async function silverCount(stack: BenchStack, mark: string): Promise<number> {
  const { rows } = await stack.analytics.query<{ n: number }>('select count(*)::int as n from silver.leads where company = $1', [mark])
  return rows[0]?.n ?? 0
}

/** Each row when it is due, whether or not those before it are through. */
async function insertSteadily(stack: BenchStack, mark: string, rate: number, seconds: number): Promise<{ readonly rows: number; readonly perSecond: number }> {
  const total = Math.round(rate * seconds)
  const began = performance.now()
  const writing: Promise<unknown>[] = []
  const text = `insert into public.leads (name, email, phone, company, job_title, source, status, score, estimated_value, tags, metadata)
    values ($1, $2, '+55 11 91234-5678', $3, 'Gerente de Vendas', 'website', 'new', 42, 1234.50, '{sp,retail}', '{"utm": "google"}')`
  for (let n = 0; n < total; n += 1) {
    const dueIn = began + (n / rate) * 1_000 - performance.now()
    if (dueIn > 0) await sleep(dueIn)
    const insert = stack.source.query({ name: 'bench', text, values: [`Maria da Conceição ${n}`, `maria.${n}@example.com`, mark] })
    // Seen below; until then a failure must not end the process.
    insert.catch(() => undefined)
    writing.push(insert)
  }
  await Promise.all(writing)
  return { rows: total, perSecond: Math.round((total / (performance.now() - began)) * 10_000) / 10 }
}

function after(committed: number | undefined, at: number): number[] {
  return committed === undefined ? [] : [at - committed]
}

function tell(error: unknown): void {
  words(`  ${error instanceof Error ? error.message : String(error)}`)
}
