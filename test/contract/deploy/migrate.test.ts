import { cp, mkdtemp, rm, writeFile } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { describe, expect, onTestFinished, test } from 'vitest'
import { sqlFolder } from '../../../infra/deploy/generate.ts'
import { applySourceMigrations, migrate } from '../../../infra/deploy/migrate.ts'
import { generatedFiles } from '../../../shared/mappings/silver-ddl.ts'
import type { ColumnType, SourceTable } from '../../../shared/tables/table.ts'
import { realPostgres } from '../sink/postgres-server.ts'

const postgres = realPostgres()

async function folderOf(files: Readonly<Record<string, string>>): Promise<string> {
  const folder = await mkdtemp(join(tmpdir(), 'afluente-sql-'))
  onTestFinished(() => rm(folder, { recursive: true, force: true }))
  for (const [name, text] of Object.entries(files)) await writeFile(join(folder, name), text)
  return folder
}

describe('the analytics database', () => {
  test('gets every file once, in the order of names', async () => {
    const url = await postgres.emptyDatabase()
    const applied = await migrate(url)
    expect(applied).toEqual(applied.toSorted())
    expect(applied).toContain('0300_silver_leads.sql')
    expect(await migrate(url)).toEqual([])
  })

  test('has what the contract names', async () => {
    const url = await postgres.analytics()
    const client = await postgres.client(url)
    const { rows } = await client.query<{ name: string }>(
      `select table_schema || '.' || table_name as name from information_schema.tables where table_schema in ('ops', 'bronze', 'silver', 'bi') order by 1`,
    )
    expect(rows.map(({ name }) => name)).toEqual(
      expect.arrayContaining([
        'bi.chat_sessions',
        'bi.leads',
        'bronze.events',
        'ops.audit',
        'ops.consumer_progress',
        'ops.dead_letter',
        'silver.chat_sessions',
        'silver.leads',
      ]),
    )
    const { rows: columns } = await client.query<{ list: string }>(
      `select string_agg(attname || ' ' || format_type(atttypid, atttypmod), ', ' order by attnum) as list from pg_attribute where attrelid = 'bronze.events'::regclass and attnum > 0`,
    )
    const time = 'timestamp with time zone'
    expect(columns[0]?.list).toBe(
      `event_id text, source text, source_table text, key text, version bigint, op text, before json, after json, occurred_at ${time}, claimed_at ${time}, published_at ${time}, received_at ${time}, kafka_topic text, kafka_partition integer, kafka_offset bigint, traceparent text`,
    )
  })

  test('applies a file again when its text has changed, and only that one', async () => {
    const folder = await folderOf({ '0000_first.sql': 'select 1' })
    await cp(sqlFolder, folder, { recursive: true })
    await rm(join(folder, '0000_first.sql'))
    await writeFile(join(folder, '0900_more.sql'), 'create or replace view bi.more as select 1 as n')
    const url = await postgres.emptyDatabase()
    await migrate(url, folder)
    await writeFile(join(folder, '0900_more.sql'), 'create or replace view bi.more as select 2 as n')
    expect(await migrate(url, folder)).toEqual(['0900_more.sql'])
    const client = await postgres.client(url)
    expect((await client.query('select n from bi.more')).rows).toEqual([{ n: 2 }])
  })

  test('a fault names file, line and reason, and leaves nothing of its file behind', async () => {
    const folder = await folderOf({ '0002_wrong.sql': 'create table ops.half (id int);\n\nselect nonsense from ops.half;\n' })
    await cp(join(sqlFolder, '0001_ops_schema_file.sql'), join(folder, '0001_ops_schema_file.sql'))
    const url = await postgres.emptyDatabase()
    await expect(migrate(url, folder)).rejects.toMatchObject({
      kind: 'misconfigured',
      message: expect.stringMatching(/^0002_wrong\.sql:3: column "nonsense" does not exist/),
    })
    const client = await postgres.client(url)
    expect((await client.query(`select to_regclass('ops.half') as half`)).rows).toEqual([{ half: null }])
  })

  test('several deploys at once do each file once', async () => {
    const url = await postgres.emptyDatabase()
    const applied = await Promise.all([migrate(url), migrate(url), migrate(url)])
    expect(applied.flat().toSorted()).toEqual((await migrate(await postgres.emptyDatabase())).toSorted())
  })

  test('a database that cannot be reached is said with its name, and without its password', async () => {
    const fault = await migrate('postgres://me:topsecret@127.0.0.1:1/analytics').catch((error: unknown) => error)
    expect(fault).toMatchObject({ kind: 'unavailable', message: expect.stringContaining('analytics at 127.0.0.1:1') })
    expect(String(fault)).not.toContain('topsecret')
  })
})

describe('a definition that grows', () => {
  const pipelineOf = (columns: Record<string, ColumnType>) => {
    const table: SourceTable = { schema: 'public', name: 'growing', key: ['id'], columns }
    return Object.fromEntries(
      generatedFiles({ tables: [table], topics: { partitions: 1, maxMessageBytes: 65_536, retention: '7d' }, consumers: {} }).map(({ name, text }) => [
        name,
        text,
      ]),
    )
  }
  const grow = async (...definitions: readonly Record<string, ColumnType>[]) => {
    const url = await postgres.emptyDatabase()
    await migrate(url)
    const client = await postgres.client(url)
    const apply = async (columns: Record<string, ColumnType>) => migrate(url, await folderOf(pipelineOf(columns)))
    for (const columns of definitions) await apply(columns)
    return { client, apply }
  }
  const first = { id: 'uuid', name: 'text', score: 'smallint' } as const

  test('brings its new columns into silver and into the view, with the rows that are there', async () => {
    const { client, apply } = await grow(first)
    await client.query(`insert into silver.growing (id, name, score, _version) values ('6f2c1a4e-0000-4000-8000-00000000abcd', 'Ana', 7, 1)`)
    await apply({ id: 'uuid', email: 'text', name: 'text', score: 'smallint' })
    expect((await client.query('select * from bi.growing')).rows).toEqual([{ id: '6f2c1a4e-0000-4000-8000-00000000abcd', email: null, name: 'Ana', score: 7 }])
  })

  test('changes the type of a column, and the view shows it', async () => {
    const { client, apply } = await grow(first)
    await apply({ ...first, score: 'bigint' })
    await client.query(`insert into silver.growing (id, score, _version) values ('6f2c1a4e-0000-4000-8000-00000000abcd', 9007199254740993, 1)`)
    expect((await client.query('select score from bi.growing')).rows).toEqual([{ score: '9007199254740993' }])
  })

  test('leaves the views of others on top of its own as they are when a column is added at the end', async () => {
    const { client, apply } = await grow(first)
    await client.query('create view public.mine as select name from bi.growing')
    await apply({ ...first, email: 'text' })
    expect((await client.query('select count(*)::int as n from public.mine')).rows).toEqual([{ n: 0 }])
    expect((await client.query('select email from bi.growing')).rows).toEqual([])
  })
})

describe('a local source database', () => {
  test('gets each migration once, recorded where the Supabase CLI records it', async () => {
    const url = await postgres.emptyDatabase()
    const folder = await folderOf({
      '20260101000000_one.sql': 'create table public.one (id int)',
      '20260102000000_two_words.sql': 'create table public.two (id int)',
    })
    expect(await applySourceMigrations(url, folder)).toEqual(['20260101000000_one.sql', '20260102000000_two_words.sql'])
    expect(await applySourceMigrations(url, folder)).toEqual([])
    const client = await postgres.client(url)
    const { rows } = await client.query('select version, name, statements from supabase_migrations.schema_migrations order by version')
    expect(rows).toEqual([
      { version: '20260101000000', name: 'one', statements: ['create table public.one (id int)'] },
      { version: '20260102000000', name: 'two_words', statements: ['create table public.two (id int)'] },
    ])
  })

  test('refuses a migration whose text has changed since, and leaves what the Supabase CLI recorded alone', async () => {
    const url = await postgres.emptyDatabase()
    const folder = await folderOf({ '20260101000000_one.sql': 'create table public.one (id int);\n' })
    await applySourceMigrations(url, folder)
    const changed = await folderOf({ '20260101000000_one.sql': 'create table public.one (id bigint);\n' })
    await expect(applySourceMigrations(url, changed)).rejects.toMatchObject({
      code: 'migration-changed',
      message: expect.stringMatching(/^20260101000000_one\.sql was changed .*npm run reset/),
    })
    const client = await postgres.client(url)
    await client.query(`update supabase_migrations.schema_migrations set statements = '{create table public.one (id int)}'`)
    expect(await applySourceMigrations(url, changed)).toEqual([])
  })
})
