/** A Postgres alone, with a Chatwoot to read and an analytics database to write. */
import { chmod, mkdtemp, readFile, rm } from 'node:fs/promises'
import { join, resolve } from 'node:path'
import { tmpdir } from 'node:os'
import pg from 'pg'
import { migrate } from '../../infra/deploy/migrate.ts'
import { repository } from '../../infra/local/home.ts'
import { prepareChatwoot } from '../../infra/local/prepare-chatwoot.ts'
import { startStack } from '../../infra/local/stack.ts'
import { conversations } from '../../shared/tables/conversas_analytics.ts'
import { words } from './report.ts'

export interface EtlDatabases {
  readonly own: true
  /** The Chatwoot: what a report asks for the server's version. */
  readonly source: pg.Pool
  readonly chatwoot: pg.Pool
  readonly chatwootUrl: string
  readonly analytics: pg.Pool
  readonly analyticsUrl: string
  /** Both servers may write there. */
  readonly folder: string
  /** bench.conversations: the view's columns as a table, so that what is measured is the job. */
  fillTable(rows: number): Promise<void>
  /** Chatwoot's own tables, behind the view. */
  fillChatwoot(rows: number): Promise<void>
  close(): Promise<void>
}

export const columnsOfConversations = Object.keys(conversations.columns)

export async function etlDatabases(signal: AbortSignal): Promise<EtlDatabases> {
  const home = await mkdtemp(join(resolve(repository), '.afluente-bench-'))
  const folder = await mkdtemp(join(tmpdir(), 'afluente-bench-'))
  await chmod(folder, 0o777)
  const stack = await startStack({ home, ports: 'free', only: ['postgres'], signal, log: (line) => words(`  ${line}`) }).catch(async (error: unknown) => {
    await rm(home, { recursive: true, force: true })
    throw error
  })
  const { analytics: to, chatwoot: from } = stack.info
  const pool = (url: string) => {
    const made = new pg.Pool({ connectionString: url, max: 2, application_name: 'afluente-bench' })
    made.on('error', () => undefined)
    return made
  }
  const [chatwoot, analytics] = [pool(from.url), pool(to.url)]
  await migrate(to.url)
  await prepareChatwoot({ url: from.url, readerPassword: 'bench', conversations: 0 })
  return {
    own: true,
    source: chatwoot,
    chatwoot,
    chatwootUrl: from.url,
    analytics,
    analyticsUrl: to.url,
    folder,
    fillTable: async (rows) => {
      words(`  ${rows} conversations as a table …`)
      await chatwoot.query(tableOf(rows))
      await chatwoot.query('vacuum analyze bench.conversations')
    },
    fillChatwoot: async (rows) => {
      words(`  ${rows} conversations in Chatwoot's tables …`)
      const client = await chatwoot.connect()
      try {
        await client.query("select set_config('afluente.conversations', $1, false)", [String(rows)])
        await client.query(await readFile(join(repository, 'infra/chatwoot/seed.sql'), 'utf8'))
        await client.query('create index on conversations (updated_at, id)')
        await client.query('vacuum analyze')
      } finally {
        client.release()
      }
    },
    close: async () => {
      await Promise.allSettled([chatwoot.end(), analytics.end()])
      await stack.stop()
      await rm(home, { recursive: true, force: true })
      await rm(folder, { recursive: true, force: true })
    },
  }
}

/** What each column holds, of about the width that it has in a Chatwoot. */
const VALUES: Readonly<Record<string, string>> = {
  conversation_uuid: `md5(n::text)::uuid`,
  contact_blocked: `n % 50 = 0`,
  labels: `case n % 3 when 0 then '{vip,troca}'::text[] else '{}' end`,
  additional_attributes: `jsonb_build_object('browser', jsonb_build_object('browser_name', 'Firefox'), 'n', n)`,
  custom_attributes: `'{}'::jsonb`,
  status: `(array['open', 'resolved', 'pending'])[n % 3 + 1]`,
  priority: `case when n % 4 = 0 then 'high' end`,
  channel: `'whatsapp'`,
  contact_email: `'contato' || n || '@example.com'`,
  contact_phone: `'+55119' || lpad(n::text, 8, '0')`,
}

function tableOf(rows: number): string {
  const columns = Object.entries(conversations.columns).map(([name, { type }]) => {
    const own = VALUES[name]
    if (own !== undefined) return `${own} as ${name}`
    if (type === 'timestamptz') return `timestamp '2026-03-01' + n * interval '10 seconds' + n % 1000000 * interval '1 microsecond' as ${name}`
    if (type === 'bigint' || type === 'integer') return `n::${name === 'conversation_id' || type === 'integer' ? 'integer' : 'bigint'} as ${name}`
    return type === 'double precision' ? `n / 7.0::float8 as ${name}` : `'${name} ' || n % 1000 as ${name}`
  })
  return `create schema bench;
    create table bench.conversations as select ${columns.join(', ')} from generate_series(1, ${rows}) as n;
    alter table bench.conversations add primary key (conversation_id);
    create index on bench.conversations (conversation_updated_at, conversation_id)`
}
