/** A real Postgres for a test file, and an analytics database of its own in it. */
import { randomUUID } from 'node:crypto'
import pg from 'pg'
import { afterAll, beforeAll } from 'vitest'
import { migrate } from '../../../infra/deploy/migrate.ts'
import { generatedFiles } from '../../../shared/mappings/silver-ddl.ts'
import type { EtlJob } from '../../../shared/tables/etl-job.ts'
import type { SourceTable } from '../../../shared/tables/table.ts'
import { type ClosableDb, postgresPool } from '../../../shared/adapters/postgres/pool.ts'
import { startPostgres } from '../../support/postgres.ts'

export interface RealPostgres {
  /** A new, empty database; dropped at the end. */
  readonly emptyDatabase: () => Promise<string>
  /** A new database with everything of `sql/`, and silver for tables and jobs that are in no definition. */
  readonly analytics: (tables?: readonly SourceTable[], etl?: Readonly<Record<string, EtlJob>>) => Promise<string>
  /** The product's own pool; closed at the end. */
  readonly pool: (url: string) => ClosableDb
  /** A plain client, for what the product doesn't do; closed at the end. */
  readonly client: (url: string) => Promise<pg.Client>
  /** Done at the end, before the server stops. */
  readonly closing: (close: () => Promise<unknown>) => void
}

/** Starts one before the file's tests, unless AFLUENTE_TEST_POSTGRES_URL names one that runs (a superuser's URL). */
export function realPostgres(): RealPostgres {
  const given = process.env['AFLUENTE_TEST_POSTGRES_URL']
  let server = given ?? ''
  let stop = async (): Promise<void> => {}
  const closing: (() => Promise<unknown>)[] = []
  const databases: string[] = []

  beforeAll(async () => {
    if (given !== undefined) return
    const started = await startPostgres()
    server = started.url
    stop = () => started.stop()
  })

  afterAll(async () => {
    await Promise.allSettled(closing.map((close) => close()))
    if (given === undefined) return stop()
    await withClient(server, async (client) => {
      for (const name of databases) await client.query(`drop database ${name} with (force)`)
    })
  })

  const emptyDatabase = async () => {
    const name = `test_${randomUUID().replaceAll('-', '')}`
    await withClient(server, (client) => client.query(`create database ${name}`))
    databases.push(name)
    const url = new URL(server)
    url.pathname = `/${name}`
    return url.href
  }

  return {
    emptyDatabase,
    analytics: async (tables = [], etl = {}) => {
      const url = await emptyDatabase()
      await migrate(url)
      const files = generatedFiles({ tables, topics: { partitions: 1, maxMessageBytes: 65_536, retention: '7d' }, consumers: {}, etl })
      await withClient(url, async (client) => {
        for (const { text } of files) await client.query(text)
      })
      return url
    },
    pool: (url) => {
      const pool = postgresPool({ connectionString: url })
      closing.push(() => pool.close())
      return pool
    },
    client: async (url) => {
      const client = new pg.Client({ connectionString: url })
      client.on('error', () => undefined)
      await client.connect()
      closing.push(() => client.end())
      return client
    },
    closing: (close) => void closing.push(close),
  }
}

async function withClient(url: string, work: (client: pg.Client) => Promise<unknown>): Promise<void> {
  const client = new pg.Client({ connectionString: url })
  await client.connect()
  try {
    await work(client)
  } finally {
    await client.end()
  }
}
