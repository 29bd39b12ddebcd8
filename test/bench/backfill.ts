/** How fast rows that are there go through into Postgres, and what that costs those who write meanwhile. */
import { randomUUID } from 'node:crypto'
import { operatorSettings } from '../../shared/config.ts'
import { type BackfillEnd, runBackfill } from '../../shared/engine/backfill.ts'
import { type Access, openAccess } from '../../infra/cli/access.ts'
import { difference } from './edge-difference.ts'
import type { LiveWrites } from './live-writer.ts'
import { writeLive } from './live-writes.ts'
import { percentilesOf } from './percentiles.ts'
import type { Report } from './report.ts'
import type { BenchStack } from './stack.ts'
import { commitSpan, insertLeads, perSecond } from './throughput-rows.ts'
import { until } from './wait.ts'

export interface BackfillOptions {
  readonly rows: number
  /** Single-row transactions a second beside it. */
  readonly rates: readonly number[]
}

const LONGEST_MS = 600_000
const FASTER_THAN = 10_000
const SLOWER_LIMIT = 1.2
const ALONE_MS = 10_000
const TABLE = 'public.leads'

export async function backfill(stack: BenchStack, report: Report, { rates, rows }: BackfillOptions): Promise<void> {
  await stack.consumer('elasticsearch', 'stop')
  const access = openAccess(
    operatorSettings({
      SUPABASE_URL: stack.info.supabase.url,
      SUPABASE_SERVICE_ROLE_KEY: stack.info.supabase.serviceRoleKey,
      SOURCE_DATABASE_URL: stack.info.source.url,
      ANALYTICS_DATABASE_URL: stack.info.analytics.url,
    }),
  )
  const mark = `bench ${randomUUID()}`
  const live = `live ${randomUUID()}`
  try {
    await insertUnseen(stack, mark, rows)
    await insertLeads(stack.source, TABLE, live, 1_000)
    // Warms the way; nothing is measured of it.
    await send(stack, access, mark, Math.min(rows, 10_000))
    await report.measure('backfill alone, into silver and bronze', async () => ({ ...sending(await send(stack, access, mark, rows)), atLeast: FASTER_THAN }))
    for (const rate of rates) {
      const beside = async (atMost?: number): Promise<Record<string, unknown>> => {
        const before = await aloneFor(stack, live, rate)
        const writes = writeLive({ url: stack.info.source.url, mark: live, rate })
        const sent = await send(stack, access, mark, rows, atMost).finally(() => writes.stop())
        const during = await writes.stop()
        const after = await aloneFor(stack, live, rate)
        return { ...sending(sent), rate, ...slowed([before, after], during) }
      }
      await report.measure(`backfill beside ${rate} live writes/s`, () => beside())
      await report.measure(`backfill of ${FASTER_THAN} rows/s beside ${rate} live writes/s`, () => beside(FASTER_THAN))
    }
  } finally {
    await access.close()
    await stack.consumer('elasticsearch', 'resume')
  }
}

interface Sent {
  readonly rows: number
  readonly ms: number
  readonly sendMs: number
  readonly edge: object | null
}

/** From the first key that was read to the last row that silver has committed. */
async function send(stack: BenchStack, access: Access, mark: string, rows: number, rate?: number): Promise<Sent> {
  const never = new AbortController().signal
  const version = (await stack.source.query<{ version: string }>('select last_value::text as version from afluente.version')).rows[0]?.version
  const edgeBefore = await stack.edgeStats()
  const request = { table: TABLE, condition: `company = '${mark}'`, spanMs: null, limit: rows, estimate: rows }
  const { id } = await access.backfills.start(request, { signal: never })
  const began = Date.now()
  const end: BackfillEnd = await runBackfill({ id, owner: mark, rate, signal: never }, access)
  const sendMs = Date.now() - began
  if (end.ending !== 'done' || end.backfill.sent !== rows) throw new Error(`the backfill of ${rows} rows ended otherwise: ${JSON.stringify(end)}`)
  await until(
    'rows in silver',
    async () => {
      const counted = await stack.analytics.query<{ n: number }>(`select count(*)::int as n from silver.leads where company = $1 and _version > $2`, [
        mark,
        version,
      ])
      return (counted.rows[0]?.n ?? 0) >= rows || `${counted.rows[0]?.n ?? 0} of ${rows}`
    },
    100,
    LONGEST_MS,
  )
  const { lastMs } = await commitSpan(stack.analytics, 'silver.leads', mark)
  return { rows, ms: lastMs - began, sendMs, edge: difference(edgeBefore, await stack.edgeStats()) }
}

function sending({ edge, ms, rows, sendMs }: Sent): Record<string, unknown> {
  const rowsPerSecond = perSecond(rows, ms)
  return { rows, ms: Math.round(ms), rowsPerSecond, sendMs, edge }
}

async function aloneFor({ info }: BenchStack, live: string, rate: number): Promise<LiveWrites> {
  const writes = writeLive({ url: info.source.url, mark: live, rate })
  await new Promise((resolve) => setTimeout(resolve, ALONE_MS))
  return writes.stop()
}

/** By the mean time of a transaction: a second in which nothing was answered counts with all that waited in it. */
function slowed(alone: readonly LiveWrites[], beside: LiveWrites): Record<string, unknown> {
  const mean = (times: readonly number[]) => times.reduce((sum, time) => sum + time, 0) / Math.max(1, times.length)
  const times = alone.flatMap((writes) => writes.times)
  const slower = mean(beside.times) / mean(times)
  const told = (of: readonly number[]) => ({ transactions: of.length, meanMs: Math.round(mean(of) * 100) / 100, ...percentilesOf(of) })
  return {
    slower: Math.round(slower * 1_000) / 1_000,
    slowerLimit: SLOWER_LIMIT,
    slowerWithin: slower <= SLOWER_LIMIT,
    failed: beside.failed,
    late: beside.late,
    alone: told(times),
    beside: told(beside.times),
  }
}

/** Rows that were there before their table was captured. */
async function insertUnseen({ source }: BenchStack, mark: string, rows: number): Promise<void> {
  await source.query('alter table public.leads disable trigger afluente_insert')
  try {
    await insertLeads(source, TABLE, mark, rows)
  } finally {
    await source.query('alter table public.leads enable always trigger afluente_insert')
  }
  await source.query('analyze public.leads')
}
