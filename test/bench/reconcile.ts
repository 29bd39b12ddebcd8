/**
 * How long it takes to find ten differences among many rows: three sides filled without the pipeline, which is not what is measured. Beside
 * it, one plain pass over each Postgres side that hashes every row as JSON, in one statement.
 */
import { createHash, randomUUID } from 'node:crypto'
import { Fault } from '../../infra/local/fault.ts'
import { openComparing } from '../../infra/cli/reconcile/access.ts'
import { reconcileSettings } from '../../shared/config.ts'
import { demandsOf } from '../../shared/engine/definition-faults.ts'
import { comparables } from '../../shared/engine/reconcile-definition.ts'
import type { ReconcileDeps } from '../../shared/engine/reconcile-deps.ts'
import { runReconcile } from '../../shared/engine/reconcile.ts'
import { checkOf } from '../../shared/mappings/document.ts'
import { pipeline } from '../../shared/pipeline.ts'
import { type Report, words } from './report.ts'
import type { BenchStack } from './stack.ts'

const WITHIN_MS = 30_000
const STATEMENT_LIMIT_MS = 8_000
const FIRST_VERSION = 1_000_000
const AT_ONCE = 10_000
const never = new AbortController().signal

/** The same rows wherever it runs. */
const ROWS = `md5(n::text)::uuid, 'Maria ' || n, 'maria.' || n || '@example.com', '+55 11 9' || n, 'bench', 'Gerente', 'website', 'new', n % 101, n * 1.25, array['sp', 'novo'],
  jsonb_build_object('utm', 'google', 'n', n), null::uuid, timestamptz '2026-11-22 18:00:00.123456+00', timestamptz '2026-11-22 18:00:00.123456+00'`
const COLUMNS = 'id, name, email, phone, company, job_title, source, status, score, estimated_value, tags, metadata, assigned_to, created_at, updated_at'

/** The definition of the stack's Worker: nothing else compares meanwhile. */
export function withoutSchedule(definition: string): string {
  return definition.replace('consumers: {', "reconcile: 'never',\n  consumers: {")
}

export async function reconcile(stack: BenchStack, report: Report, { rows }: { readonly rows: number }): Promise<void> {
  if (!stack.own) throw new Fault('This measurement fills and damages every copy of leads', 'Leave --attach out: it then starts a stack of its own')
  await fill(stack, rows)
  await damage(stack)
  const [one] = comparables(pipeline).filter(({ name }) => name === 'public.leads')
  if (one === undefined) throw new Error('leads are not in the definition')
  const { analytics, elasticsearch, kafka, source, supabase } = stack.info
  const settings = reconcileSettings(
    {
      SUPABASE_URL: supabase.url,
      SUPABASE_SERVICE_ROLE_KEY: supabase.serviceRoleKey,
      SOURCE_DATABASE_URL: source.url,
      ANALYTICS_DATABASE_URL: analytics.url,
      KAFKA_BROKERS: kafka.brokers.join(','),
      ELASTICSEARCH_URL: elasticsearch.url,
    },
    demandsOf(pipeline),
  )
  const comparing = openComparing(settings, pipeline)
  try {
    await report.measure('ten differences', async () => {
      const { deps, longest } = timed(comparing.depsFor(one))
      const readBefore = await rowsRead(stack)
      const began = performance.now()
      const end = await runReconcile(
        {
          of: one,
          actor: 'operator',
          owner: randomUUID(),
          repair: false,
          anew: true,
          watched: true,
          untilMs: null,
          most: { rows: 400_000, parts: 1_000 },
          signal: never,
        },
        deps,
      )
      const ms = Math.round(performance.now() - began)
      if (end.ending !== 'done') throw new Error(`it ended ${end.ending}`)
      // Counted when the reading session has been idle for a moment.
      await comparing.close()
      const sourceReads = Math.round(((await rowsRead(stack)) - readBefore) / (rows / 100)) / 100
      const count = (what: string) => end.found.filter((finding) => finding.what === what).length
      const limit = await plainPasses(stack)
      return {
        rows: end.outcome.rows, found: end.found.length, missing: count('missing'), different: count('different'), extra: count('extra'), ms, atMostMs: WITHIN_MS, within: ms <= WITHIN_MS && end.found.length === 10,
        sourceReads, sourceReadsLimit: 2, longestStatementMs: longest(), statementLimitMs: STATEMENT_LIMIT_MS, ...limit, timesThePlainPasses: Math.round((ms / limit.plainPassesMs) * 100) / 100,
      } // prettier-ignore
    })
  } finally {
    await comparing.close()
  }
}

async function plainPasses({ analytics, source }: BenchStack) {
  const pass = async (pool: BenchStack['source'], table: string) => {
    const began = performance.now()
    await pool.query(`select sum(hashtextextended(row_to_json(r)::text, 0)) from ${table} r`)
    return Math.round(performance.now() - began)
  }
  const [sourcePassMs, silverPassMs] = [await pass(source, 'public.leads'), await pass(analytics, 'silver.leads')]
  return { sourcePassMs, silverPassMs, plainPassesMs: sourcePassMs + silverPassMs }
}

/** Of the source, by whoever. */
async function rowsRead({ source }: BenchStack): Promise<number> {
  await source.query('select pg_stat_force_next_flush()')
  const { rows } = await source.query<{ n: string }>(`select seq_tup_read as n from pg_stat_user_tables where relid = 'public.leads'::regclass`)
  return Number(rows[0]?.n ?? 0)
}

/** The longest call of either Postgres side. */
function timed(deps: ReconcileDeps): { readonly deps: ReconcileDeps; longest(): number } {
  let longest = 0
  const taking =
    <A extends unknown[], R>(work: (...args: A) => Promise<R>) =>
    async (...args: A): Promise<R> => {
      const began = performance.now()
      try {
        return await work(...args)
      } finally {
        longest = Math.max(longest, performance.now() - began)
      }
    }
  const { silver, source } = deps
  return {
    deps: {
      ...deps,
      source: { ...source, sample: taking(source.sample), sums: taking(source.sums), open: taking(source.open), find: taking(source.find) },
      silver: { ...silver, sample: taking(silver.sample), sums: taking(silver.sums), open: taking(silver.open), find: taking(silver.find) },
    },
    longest: () => Math.round(longest),
  }
}

async function fill(stack: BenchStack, rows: number): Promise<void> {
  words(`  ${rows} rows into the source and silver`)
  const series = `from generate_series(1, ${rows}) n`
  await stack.source.query('alter table public.leads disable trigger afluente_insert')
  await stack.source.query(`insert into public.leads (${COLUMNS}) select ${ROWS} ${series}`)
  await stack.source.query('alter table public.leads enable always trigger afluente_insert; analyze public.leads')
  await stack.analytics.query(`insert into silver.leads (${COLUMNS}, _version) select ${ROWS}, ${FIRST_VERSION} + n ${series}`)
  await stack.analytics.query('analyze silver.leads')
  const { url } = stack.info.elasticsearch
  for (let first = 1; first <= rows; first += AT_ONCE) {
    if (first % 100_000 === 1) words(`  ${first - 1} of ${rows} documents`)
    const lines = Array.from({ length: Math.min(AT_ONCE, rows - first + 1) }, (_, nth) => documentOf(first + nth))
    await bulk(url, lines.join(''))
  }
  await fetch(`${url}/leads-v1/_refresh`, { method: 'POST' })
}

function documentOf(n: number): string {
  const hex = createHash('md5').update(String(n)).digest('hex')
  const key = JSON.stringify([hex.replace(/^(.{8})(.{4})(.{4})(.{4})(.{12})$/, '$1-$2-$3-$4-$5')])
  const version = FIRST_VERSION + n
  return `${JSON.stringify({ index: { _id: key, version, version_type: 'external' } })}\n${JSON.stringify({ afluente: { key, version, deleted: false, check: checkOf(key, version) } })}\n`
}

async function bulk(url: string, body: string): Promise<void> {
  const response = await fetch(`${url}/leads-v1/_bulk`, { method: 'POST', headers: { 'content-type': 'application/x-ndjson' }, body })
  const { errors } = (await response.json()) as { errors: boolean }
  if (!response.ok || errors) throw new Error(`_bulk answered ${response.status}`)
}

/** Three rows and three documents gone, two rows changed, one version set back, one row that nobody has. */
async function damage({ analytics, info }: BenchStack): Promise<void> {
  const id = (n: number) => `md5('${n}')::uuid`
  await analytics.query(`delete from silver.leads where id in (${id(10)}, ${id(20)}, ${id(30)})`)
  await analytics.query(`update silver.leads set score = score + 1 where id in (${id(40)}, ${id(50)})`)
  await analytics.query(`update silver.leads set _version = _version - 1 where id = ${id(60)}`)
  await analytics.query(`insert into silver.leads (id, name, _version) values (${id(-1)}, 'nobody', 1)`)
  for (const n of [70, 80, 90]) {
    const [action = ''] = documentOf(n).split('\n')
    const { index } = JSON.parse(action) as { index: { _id: string } }
    await bulk(info.elasticsearch.url, `${JSON.stringify({ delete: { _id: index._id } })}\n`)
  }
}
