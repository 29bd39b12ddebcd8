/** How fast dead letters are redriven, from the request to the last letter's answer. */
import { randomUUID } from 'node:crypto'
import { topicOf } from '../../shared/engine/define.ts'
import { leads } from '../../shared/tables/leads.ts'
import { qualifiedName } from '../../shared/tables/table.ts'
import { countDocuments, markedLeads } from './elasticsearch.ts'
import type { Report } from './report.ts'
import type { BenchStack } from './stack.ts'
import { insertLeads, perSecond } from './throughput-rows.ts'
import { until } from './wait.ts'

const LONGEST_MS = 900_000
const topic = topicOf(leads)

export async function redrive(stack: BenchStack, report: Report, { rows }: { readonly rows: number }): Promise<void> {
  const mark = `bench ${randomUUID()}`
  await report.measure('rows that silver refuses, each found and buried', () => buried(stack, mark, rows))
  await report.measure('redrive into silver and bronze', async () => {
    const found = await redriven(stack, 'postgres', rows)
    const { rows: landed } = await stack.analytics.query<{ n: number }>('select count(*)::int as n from silver.leads where company = $1', [mark])
    return { ...found, inSilver: landed[0]?.n }
  })
  const others = `bench ${randomUUID()}`
  await indexLetters(stack, others, rows)
  await report.measure('redrive into Elasticsearch', async () => {
    const found = await redriven(stack, 'elasticsearch', rows)
    await until('documents in sight', async () => (await countDocuments(stack.info.elasticsearch.url, markedLeads, others)) >= rows, 20, LONGEST_MS)
    return found
  })
}

/** As an operator would meet them: a constraint that rows of the source break. It is gone in the end. */
async function buried(stack: BenchStack, mark: string, rows: number): Promise<Record<string, unknown>> {
  await stack.analytics.query(`alter table silver.leads add constraint no_bench check (company is distinct from '${mark}') not valid`)
  try {
    const began = performance.now()
    await insertLeads(stack.source, 'public.leads', mark, rows)
    const letters = async (): Promise<number> =>
      (await stack.analytics.query<{ n: number }>(`select count(*)::int as n from ops.dead_letter where consumer = 'postgres' and state = 'open'`)).rows[0]
        ?.n ?? 0
    await until('letters', async () => (await letters()) >= rows || `${await letters()} of ${rows}`, 200, LONGEST_MS)
    const ms = performance.now() - began
    return { rows, ms: Math.round(ms), rowsPerSecond: perSecond(rows, ms) }
  } finally {
    await stack.analytics.query('alter table silver.leads drop constraint no_bench')
  }
}

/** Letters of the index, of keys that it has never seen: its mapping takes whatever good rows hold, so they are written by hand. */
async function indexLetters(stack: BenchStack, mark: string, rows: number): Promise<void> {
  await stack.analytics.query(
    `with made as (select n, gen_random_uuid() as id, (extract(epoch from clock_timestamp()) * 1000000)::bigint + n as version from generate_series(1, $3::int) n)
     insert into ops.dead_letter (consumer, topic, "partition", "offset", event_id, table_name, key, payload, headers, error_class, message, fingerprint)
     select 'elasticsearch', $1, n % 4, version, $2 || ':' || version, $2, jsonb_build_array(id)::text,
       '{"op":"insert","before":null,"after":' || json_build_object('id', id, 'name', 'Maria ' || n, 'email', 'maria.' || n || '@example.com', 'phone', null, 'company', $4::text, 'job_title', 'Gerente', 'source', 'website',
         'status', 'new', 'score', n % 101, 'estimated_value', n * 1.25, 'tags', array['sp'], 'metadata', json_build_object('utm', 'google'), 'assigned_to', null, 'created_at', now(), 'updated_at', now())::text || '}',
       jsonb_build_object('ce_id', $2 || ':' || version, 'ce_sequence', version::text, 'ce_time', '2026-11-22T18:00:00.000001+00:00'), 'bench', 'of a measurement', 'bench'
     from made`,
    [topic, qualifiedName(leads), rows, mark],
  )
}

async function redriven(stack: BenchStack, consumer: string, rows: number): Promise<Record<string, unknown>> {
  const began = performance.now()
  const { jobs } = await ask<{ jobs: readonly { readonly id: string; readonly total: number }[] }>(stack, '/redrive', { consumer })
  const [job] = jobs
  if (job?.total !== rows) throw new Error(`${job?.total ?? 0} letters were to be redriven, ${rows} were expected`)
  const now = () => ask<{ readonly state: string; readonly done: number; readonly accepted: number; readonly failed: number }>(stack, `/jobs/${job.id}`)
  await until('the redrive', async () => (await now()).state === 'done' || `${(await now()).done} of ${rows}`, 50, LONGEST_MS)
  const ms = performance.now() - began
  const { accepted, failed } = await now()
  return { letters: rows, ms: Math.round(ms), lettersPerSecond: perSecond(rows, ms), accepted, failed }
}

async function ask<T>({ info }: BenchStack, path: string, body?: object): Promise<T> {
  const headers = { authorization: `Bearer ${info.worker.token}`, 'content-type': 'application/json' }
  const init = body === undefined ? { headers } : { headers, method: 'POST', body: JSON.stringify(body) }
  const response = await fetch(`${info.worker.url}/api/dead-letters${path}`, init)
  if (!response.ok) throw new Error(`${path} answered ${response.status}: ${await response.text()}`)
  return (await response.json()) as T
}
