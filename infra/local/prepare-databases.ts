import { readFile } from 'node:fs/promises'
import { join } from 'node:path'
import pg from 'pg'
import { kafkaSettings } from '../../shared/config.ts'
import { pipeline } from '../../shared/pipeline.ts'
import { applySourceMigrations } from '../deploy/migrate.ts'
import { checkEtl } from '../deploy/check-etl.ts'
import { prepare } from '../deploy/prepare.ts'
import { scheduleLines } from '../deploy/schedules.ts'
import { Fault } from './fault.ts'
import { repository } from './home.ts'
import type { Places } from './places.ts'
import { prepareChatwoot } from './prepare-chatwoot.ts'
import type { Report } from './progress.ts'
import type { Secrets } from './secrets.ts'

export interface PrepareDeps {
  readonly places: Places
  readonly secrets: Secrets
  readonly report: Report
  /** Settings of somebody's own Kafka: KAFKA_SSL and the like. */
  readonly passOn: Readonly<Record<string, string>>
  readonly signal: AbortSignal
}

/**
 * Makes the source database what a Supabase project is: the cloud's own objects where they are missing, the migrations,
 * the address and secret of the doorbell. Applying it again changes nothing.
 * @throws Fault when the database is on another machine: a project in the cloud gets its migrations by a deploy, not by `npm start`.
 */
export async function prepareSource({ places, secrets }: PrepareDeps): Promise<void> {
  assertHere(places.source)
  await withClient(places.source, async (client) => {
    const cloud = await client.query("select 1 from pg_extension where extname = 'supabase_vault'")
    if (cloud.rowCount === 0) await client.query(await readFile(join(repository, 'infra/local/postgres/cloud.sql'), 'utf8'))
  })
  await applySourceMigrations(asOwner(places.source))
  await withClient(places.source, async (client) => {
    await keepSecret(client, 'afluente_capture_url', `${places.supabase}/functions/v1/capture`)
    await keepSecret(client, 'afluente_webhook_secret', secrets.webhookSecret)
  })
}

/**
 * The analytics database, the topics and the index templates, from the definition.
 * @throws AfluenteError with every difference between the source and the definition before anything is changed: a table that is
 * defined and not captured would stay empty without a word. The same with what keeps an ETL job from running.
 */
export async function prepareSinks({ places, report, passOn, signal }: Omit<PrepareDeps, 'secrets'>): Promise<void> {
  await prepare({
    pipeline,
    analyticsUrl: places.analytics,
    kafka: kafkaSettings({ KAFKA_BROKERS: places.brokers.join(','), ...passOn }),
    sourceUrl: places.source,
    elasticsearch: { url: places.elasticsearch, apiKey: passOn['ELASTICSEARCH_API_KEY'] },
    signal,
    onStep: (text: string) => report({ key: 'sinks', state: 'running', text }),
  })
  for (const text of await checkEtl({ pipeline, chatwootUrl: places.chatwootReader, signal })) report({ key: text, state: 'note', text })
  for (const text of scheduleLines(pipeline, Date.now())) report({ key: text, state: 'done', text })
}

/** Conversations of a fresh local Chatwoot: enough for pages, few enough not to be noticed at the first start. */
const CONVERSATIONS = 3_000

/** The local stand-in for Chatwoot's database; one on another machine, or with somebody's tables, is only read. */
export async function prepareLocalChatwoot({ places, secrets, report }: PrepareDeps, demo: boolean): Promise<void> {
  if (!isHere(places.chatwoot)) return
  const done = await prepareChatwoot({ url: places.chatwoot, readerPassword: secrets.chatwootPassword, conversations: demo ? CONVERSATIONS : 0 })
  if (done === 'made')
    report({ key: 'chatwoot', state: 'done', text: `chatwoot: schema and view made${demo ? `, ${CONVERSATIONS} conversations seeded` : ''}` })
}

function isHere(url: string): boolean {
  return ['127.0.0.1', 'localhost', '[::1]', '::1'].includes(new URL(url).hostname)
}

function assertHere(url: string): void {
  if (isHere(url)) return
  const host = new URL(url).hostname
  throw new Fault(
    `SOURCE_DATABASE_URL points at ${host}, and npm start changes databases on this machine only`,
    'Take it out of .env (the stack then brings its own), or point it at a Postgres on 127.0.0.1',
  )
}

/** Migrations run with the rights that a project's owner has in the cloud, so that what needs more fails here first. */
function asOwner(url: string): string {
  const owner = new URL(url)
  owner.username = 'project_owner'
  owner.password = 'project_owner'
  return owner.href
}

async function keepSecret(client: pg.Client, name: string, value: string): Promise<void> {
  const { rows } = await client.query<{ id: string; decrypted_secret: string }>('select id, decrypted_secret from vault.decrypted_secrets where name = $1', [
    name,
  ])
  const [kept] = rows
  if (kept === undefined) await client.query('select vault.create_secret($1, $2)', [value, name])
  else if (kept.decrypted_secret !== value) await client.query('select vault.update_secret($1, $2)', [kept.id, value])
}

export async function withClient<T>(url: string, work: (client: pg.Client) => Promise<T>): Promise<T> {
  const client = new pg.Client({ connectionString: url, connectionTimeoutMillis: 5_000 })
  await client.connect()
  try {
    return await work(client)
  } finally {
    await client.end()
  }
}
