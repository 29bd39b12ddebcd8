/** The definition, the SQL of both databases and the topics say the same. */
import { readdir, readFile } from 'node:fs/promises'
import { join } from 'node:path'
import { afterAll, beforeAll, describe, expect, test } from 'vitest'
import { checkSource } from '../../infra/deploy/check-source.ts'
import { sqlFolder } from '../../infra/deploy/generate.ts'
import { migrate } from '../../infra/deploy/migrate.ts'
import { silverType } from '../../shared/mappings/column-types.ts'
import { generatedFiles, isGenerated } from '../../shared/mappings/silver-ddl.ts'
import { pipeline } from '../../shared/pipeline.ts'
import { qualifiedName, type SourceTable } from '../../shared/tables/table.ts'
import { startPostgres, type TestPostgres } from '../support/postgres.ts'
import { openSource } from '../support/source.ts'

const tables: readonly SourceTable[] = pipeline.tables
let postgres: TestPostgres
beforeAll(async () => {
  postgres = await startPostgres()
})
afterAll(async () => postgres?.stop())

describe('sql/', () => {
  test('holds what the definition generates, and nothing generated besides', async () => {
    const wanted = generatedFiles(pipeline)
    expect(wanted.length).toBeGreaterThan(0)
    const found = (await readdir(sqlFolder)).filter(isGenerated)
    expect(found.toSorted(), 'Run: npm run generate').toEqual(wanted.map(({ name }) => name).toSorted())
    for (const { name, text } of wanted) expect(await readFile(join(sqlFolder, name), 'utf8'), `sql/${name} differs. Run: npm run generate`).toBe(text)
  })

  test('gives silver the columns of the definition, and its own four', async () => {
    const source = await openSource(postgres)
    await source.run('create database analytics')
    const url = new URL(postgres.url)
    url.pathname = '/analytics'
    await migrate(url.href)
    const session = await openSource({ ...postgres, newDatabase: async () => ({ url: url.href, ownerUrl: url.href }) })
    for (const table of tables) {
      const columns = await session.run(
        `select attname, format_type(atttypid, atttypmod) as type from pg_attribute where attrelid = $1::regclass and attnum > 0 order by attnum`,
        [`silver.${table.name}`],
      )
      const own = [
        ['_version', 'bigint'],
        ['_deleted_at', 'timestamp with time zone'],
        ['_event_id', 'text'],
        ['_synced_at', 'timestamp with time zone'],
      ]
      const defined = Object.entries(table.columns).map(([name, type]) => [name, silverType(type).replace('timestamptz', 'timestamp with time zone')])
      expect(columns.map(({ attname, type }) => [attname, type])).toEqual([...defined, ...own])
    }
    await session.close()
    await source.close()
  })
})

describe('supabase/migrations', () => {
  test('make the tables of the definition, and capture each into its topic', async () => {
    const source = await openSource(postgres)
    expect(await checkSource(source.database.ownerUrl, tables)).toEqual({ differences: [], undefinedColumns: [] })
    await source.close()
  })

  test('keep the order of columns that the definition has', async () => {
    const source = await openSource(postgres)
    for (const table of tables) {
      const columns = await source.run('select attname from pg_attribute where attrelid = $1::regclass and attnum > 0 and not attisdropped order by attnum', [
        qualifiedName(table),
      ])
      expect(columns.map((column) => column['attname'])).toEqual(Object.keys(table.columns))
    }
    await source.close()
  })

  test('a source that has drifted is told of every difference at once', async () => {
    const source = await openSource(postgres)
    await source.run(`
      alter table public.leads rename column company to firm;
      alter table public.leads alter column score type bigint;
      alter table public.leads alter column estimated_value type numeric(20, 4);
      select afluente.release_table('public.chat_sessions');`)
    const { differences, undefinedColumns } = await checkSource(source.database.ownerUrl, [
      ...tables,
      { schema: 'public', name: 'nowhere', key: ['id'], columns: { id: 'uuid' } },
      { ...(tables[1] ?? { schema: '', name: '', columns: {} }), key: ['id', 'lead_id'] },
    ])
    expect(differences).toEqual([
      expect.stringMatching(/^public\.leads: the definition lists company, the source has id, name, .*firm/),
      'public.leads.score: it is bigint in the source, the definition says smallint.',
      'public.leads.estimated_value: it is numeric(20,4) in the source, the definition says numeric(14,2).',
      "public.chat_sessions: it is not captured. Add a migration to supabase/migrations with: select afluente.capture_table('public.chat_sessions');",
      'public.nowhere: the source has no such table. Create it, or take it out of shared/pipeline.ts.',
      'public.chat_sessions: its primary key is (id), the definition says (id, lead_id).',
      "public.chat_sessions: it is not captured. Add a migration to supabase/migrations with: select afluente.capture_table('public.chat_sessions');",
    ])
    expect(undefinedColumns).toEqual(['public.leads.firm'])
    await source.close()
  })

  test('types are compared as definitions write them', async () => {
    const source = await openSource(postgres)
    await source.run(`
      create type public.mood as enum ('happy');
      create domain public.short as varchar(10);
      create table public.kinds (id bigint, a varchar(5), b public.mood, c public.mood[], d numeric(5,1), e timestamp(3), f timestamptz, g time(0), h public.short, i text[], j interval day to second, k double precision, primary key (k, id));
      select afluente.capture_table('public.kinds');`)
    const kinds = {
      schema: 'public',
      name: 'kinds',
      key: ['k', 'id'],
      columns: {
        id: 'bigint',
        a: 'text',
        b: 'enum',
        c: 'enum[]',
        d: 'numeric',
        e: 'timestamp',
        f: 'timestamptz',
        g: 'time',
        h: 'text',
        i: 'text[]',
        j: 'interval',
        k: 'double precision',
      },
    } as const
    expect(await checkSource(source.database.ownerUrl, [kinds])).toEqual({ differences: [], undefinedColumns: [] })
    await source.close()
  })

  test('a role that may not look is told which one may', async () => {
    const source = await openSource(postgres)
    const url = new URL(source.database.url)
    url.username = 'authenticator'
    await expect(checkSource(url.href, tables)).rejects.toMatchObject({
      kind: 'misconfigured',
      message: expect.stringContaining('the role that applied supabase/migrations'),
    })
    await source.close()
  })

  test('without the schema afluente it is said what to apply', async () => {
    expect((await checkSource(postgres.url, [])).differences).toEqual(['The schema afluente is missing: apply supabase/migrations.'])
  })
})
