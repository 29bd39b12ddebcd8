/** Afluente in somebody's database: it fails nobody, blocks nobody, shows nothing, and says what is wrong. */
import { afterAll, beforeAll, beforeEach, describe, expect, it } from 'vitest'
import { startPostgres, type TestPostgres } from '../../support/postgres.ts'
import { backlog, held, openSource, release, type Source } from '../../support/source.ts'
import { assertEndsEqual, assertUsersGoOn } from '../../support/source-properties.ts'

let postgres: TestPostgres
let source: Source

beforeAll(async () => {
  postgres = await startPostgres()
})
afterAll(() => postgres.stop())
beforeEach(async () => {
  await source?.close()
  source = await openSource(postgres)
})

const insertLead = () => source.run(`insert into public.leads (name) values ('Ana')`)
const problemOf = async (table: string) => (await backlog(source)).tables.find((entry) => entry.table === table)?.problem

async function withVault(): Promise<void> {
  await source.run(
    `select vault.create_secret('https://project.example/functions/v1/capture', 'afluente_capture_url'); select vault.create_secret('the secret', 'afluente_webhook_secret')`,
  )
}
async function rings(): Promise<number> {
  const superuser = await source.connect('superuser')
  return Number(await superuser.value('select count(*) from net.http_request_queue'))
}

describe('a failure in the capture', () => {
  it('leaves the user’s statement standing', async () => {
    await assertUsersGoOn(source)
  })

  it('is counted, and marks the table to be reconciled, once and without a row’s values', async () => {
    await assertUsersGoOn(source)
    const { failures, tables } = await backlog(source)
    const leads = tables.find((entry) => entry.table === 'public.leads')
    expect(failures).toBe(1)
    expect(leads).toMatchObject({
      failures: 1,
      lastFailure: '42P01: relation "afluente.outbox" does not exist',
      reconcileSince: expect.stringMatching(/Z$/),
      problem: null,
    })
    await assertUsersGoOn(source)
    const again = (await backlog(source)).tables.find((entry) => entry.table === 'public.leads')
    expect(again).toMatchObject({ failures: 2, reconcileSince: leads?.reconcileSince })
  })

  it('that could quote a row is noted by its code alone', async () => {
    await source.run(`alter table afluente.outbox add constraint quoting check ((after ->> 'name')::int > 0)`)
    await source.run(`insert into public.leads (name) values ('a private name')`)
    const { tables } = await backlog(source)
    expect(tables.find((entry) => entry.table === 'public.leads')?.lastFailure).toBe('22P02')
    expect(JSON.stringify(tables)).not.toContain('private')
  })

  it('leaves the user’s statement standing even when it can’t be noted', async () => {
    await source.run('alter table afluente.failures rename to failures_away')
    await assertUsersGoOn(source)
  })

  it('holds up nobody: two open transactions that both fail', async () => {
    await source.run('alter table afluente.outbox rename to outbox_away')
    const [a, b] = [await source.connect(), await source.connect()]
    await a.run(`begin; insert into public.leads (name) values ('Ana')`)
    await b.run(`set lock_timeout = '500ms'; begin; insert into public.leads (name) values ('Rui'); commit`)
    await a.run('commit')
    await source.run('alter table afluente.outbox_away rename to outbox')
    expect((await backlog(source)).failures).toBe(2)
  })
})

describe('the doorbell', () => {
  it('rings with the secret, while nobody holds the lease, and at most once in 200 ms', async () => {
    await withVault()
    await source.run(`begin; insert into public.leads (name) values ('1'); insert into public.leads (name) values ('2'); commit`)
    const superuser = await source.connect('superuser')
    expect(
      await superuser.run(`select method, url, headers, convert_from(body, 'UTF8') as body, timeout_milliseconds as timeout from net.http_request_queue`),
    ).toEqual([
      {
        method: 'POST',
        url: 'https://project.example/functions/v1/capture',
        headers: '{"Content-Type": "application/json", "Authorization": "Bearer the secret"}',
        body: '{}',
        timeout: '5000',
      },
    ])
  })

  it('is silent while somebody is at work, and rings again when they have let go', async () => {
    await withVault()
    const { epoch } = await held(source, 'a')
    await insertLead()
    expect(await rings()).toBe(0)
    await release(source, epoch)
    await insertLead()
    expect(await rings()).toBe(1)
  })

  it('does not ring for a transaction that is rolled back', async () => {
    await withVault()
    await source.run(`begin; insert into public.leads (name) values ('1'); rollback`)
    expect(await rings()).toBe(0)
  })

  it.each([
    ['without pg_net', 'drop schema net cascade'],
    ['without Vault', 'drop schema vault cascade'],
    [
      'when pg_net raises',
      `create or replace function net.http_post(url text, body jsonb default '{}', params jsonb default '{}', headers jsonb default '{}', timeout_milliseconds int default 5000) returns bigint language plpgsql as $$ begin raise exception 'no'; end $$`,
    ],
    ['when the address was never stored', `delete from vault.secrets`],
  ])('%s nothing is rung and nothing fails', async (_, sabotage) => {
    await withVault()
    const superuser = await source.connect('superuser')
    await superuser.run(sabotage)
    await insertLead()
    await source.run('select afluente.ring(); select afluente.sweep()')
    expect(await source.outbox('public.leads')).toHaveLength(1)
    expect((await backlog(source)).failures).toBe(0)
  })
})

describe('the sweep', () => {
  it('rings when changes have waited for two seconds and nobody is at work', async () => {
    await insertLead()
    await withVault()
    expect(await source.value('select afluente.sweep()')).toBe('f')
    await source.run(`update afluente.outbox set occurred_at = occurred_at - interval '3 seconds'`)
    const { epoch } = await held(source, 'a')
    expect(await source.value('select afluente.sweep()')).toBe('f')
    await release(source, epoch)
    expect(await source.value('select afluente.sweep()')).toBe('t')
    expect(await rings()).toBe(1)
  })

  it('is scheduled where pg_cron is, and its absence is no fault', async () => {
    expect(await source.run('select jobname, schedule, command, active from cron.job')).toEqual([
      { jobname: 'afluente-sweep', schedule: '5 seconds', command: 'select afluente.sweep()', active: 't' },
    ])
    const superuser = await source.connect('superuser')
    await superuser.run('drop schema cron cascade')
    expect(await source.value('select afluente.schedule_sweep()')).toBe('f')
  })
})

describe('rights', () => {
  it.each(['anon', 'authenticated'])('%s reads nothing and calls nothing, yet its changes are captured', async (role) => {
    await source.run(`create policy everyone on public.leads for all to ${role} using (true) with check (true); grant insert on public.leads to ${role}`)
    const session = await source.connect()
    await session.run(`set role ${role}; insert into public.leads (name) values ('Ana')`)
    expect(await source.outbox('public.leads')).toHaveLength(1)
    for (const sql of [
      'select * from afluente.outbox',
      'select * from afluente.captured_tables',
      `select afluente.claim(0, 'me')`,
      'select afluente.backlog()',
      'select afluente.ring()',
    ]) {
      await expect(session.run(sql)).rejects.toThrow('permission denied for schema afluente')
    }
  })

  it('no function of the schema is open to the public or to the API’s users; every one that writes has a fixed search path', async () => {
    const open = await source.run(`
      select p.proname from pg_proc p where p.pronamespace = 'afluente'::regnamespace
      and (has_function_privilege('anon', p.oid, 'execute') or has_function_privilege('authenticated', p.oid, 'execute'))`)
    expect(open).toEqual([])
    const loose = await source.run(`
      select p.proname from pg_proc p where p.pronamespace = 'afluente'::regnamespace and p.prosecdef
      and not exists (select from unnest(p.proconfig) c where c like 'search_path=%')`)
    expect(loose).toEqual([])
    expect(Number(await source.value(`select count(*) from pg_proc where pronamespace = 'afluente'::regnamespace`))).toBeGreaterThan(10)
  })

  it('the service role works through the functions and touches no table', async () => {
    const session = await source.connect()
    await session.run('set role service_role')
    await session.run(
      `select afluente.claim(0, 'me'); select afluente.acknowledge(0, 1, '{}'); select afluente.release(0, 1); select afluente.backlog(); select afluente.sweep(); select afluente.ring()`,
    )
    for (const sql of ['select * from afluente.outbox', 'delete from afluente.shards'])
      await expect(session.run(sql)).rejects.toThrow('permission denied for table')
  })

  it('rows that row-level security hides from a user are captured all the same', async () => {
    await source.run(`create policy mine on public.leads for insert to authenticated with check (true); grant insert on public.leads to authenticated`)
    const session = await source.connect()
    await session.run(`set role authenticated; insert into public.leads (name) values ('Ana')`)
    await assertEndsEqual(source, 'public.leads', 'id')
    expect(await source.outbox('public.leads')).toMatchObject([{ op: 'insert' }])
  })
})

describe('capture_table', () => {
  it.each([
    ['a table without a primary key', 'create table public.t (id int)', '', /public\.t has no primary key/],
    ['a deferrable primary key', 'create table public.t (id int primary key deferrable initially immediate)', '', /primary key of public\.t is deferrable/],
    ['an unknown column to exclude', 'create table public.t (id int primary key)', `, exclude => array['x', 'id']`, /public\.t has no column x$/],
    [
      'a key column to exclude',
      'create table public.t (id int primary key)',
      `, exclude => array['id']`,
      /id belongs to the primary key of public\.t and can't be excluded/,
    ],
    ['a view', 'create view public.t as select 1 as id', '', /public\.t is a view/],
    ['a materialized view', 'create materialized view public.t as select 1 as id', '', /public\.t is a materialized view/],
    ['a temporary table', 'create temp table t (id int primary key)', '', /is a temporary table/],
    [
      'a parent of other tables',
      'create table public.t (id int primary key); create table public.u () inherits (public.t)',
      '',
      /other tables inherit from public\.t/,
    ],
    [
      'a partition',
      'create table public.w (id int primary key) partition by hash (id); create table public.t partition of public.w for values with (modulus 1, remainder 0)',
      '',
      /public\.t is a partition/,
    ],
    ['a name that no topic can bear', 'create table public.t (id int primary key)', `, topic => 'ação'`, /'ação' is no name for a Kafka topic/],
  ])('refuses %s', async (_, ddl, more, message) => {
    await source.run(ddl)
    await expect(source.run(`select afluente.capture_table('t'${more})`)).rejects.toThrow(message)
    expect(await source.run(`select from afluente.captured_tables where table_name = 't'`)).toEqual([])
  })

  it('refuses a foreign table, its own tables, and those of somebody else', async () => {
    const superuser = await source.connect('superuser')
    await superuser.run(
      `create extension file_fdw; create server files foreign data wrapper file_fdw; create foreign table public.f (id int) server files options (filename '/dev/null'); create table public.theirs (id int primary key)`,
    )
    await expect(source.run(`select afluente.capture_table('public.f')`)).rejects.toThrow('public.f is a foreign table')
    await expect(source.run(`select afluente.capture_table('afluente.outbox')`)).rejects.toThrow('tables of the schema afluente are not captured')
    await expect(source.run(`select afluente.capture_table('public.theirs')`)).rejects.toThrow(
      'public.theirs belongs to postgres, and project_owner may not put triggers on it',
    )
    await expect(source.run(`select afluente.release_table('public.theirs')`)).rejects.toThrow('public.theirs is not captured')
  })

  it('may be called again, and changes how a table is captured', async () => {
    await source.run(
      `create table public.t (id int primary key, a text, b text); select afluente.capture_table('t'); select afluente.capture_table('t', topic => 'other', exclude => array['b'])`,
    )
    await source.run(`insert into public.t values (1, 'a', 'b'); select afluente.capture_table('t'); update public.t set a = 'A'`)
    expect((await source.outbox()).map(({ topic, after }) => [topic, after])).toEqual([
      ['other', '{"id":1,"a":"a"}'],
      ['afluente.public.t', '{"id":1,"a":"A","b":"b"}'],
    ])
  })

  it('is undone by release_table; what is in the outbox stays', async () => {
    await source.run(
      `create table public.t (id int primary key); select afluente.capture_table('t'); insert into public.t values (1); select afluente.release_table('t'); insert into public.t values (2); truncate public.t`,
    )
    expect(await source.outbox()).toHaveLength(1)
    expect(await source.value(`select count(*) from pg_proc where proname like 'capture_public_t_%'`)).toBe('0')
  })
})

describe('a captured table that is', () => {
  beforeEach(async () => {
    await source.run(`create table public.t (id int primary key, name text); select afluente.capture_table('t')`)
  })

  it.each([
    [
      'dropped',
      'drop table public.t',
      /was dropped: create it again and select afluente\.capture_table\('public\.t'\), or select afluente\.release_table\(\d+\)/,
    ],
    ['renamed', 'alter table public.t rename to t2', /was renamed or moved/],
    ['without its primary key', 'alter table public.t drop constraint t_pkey', /lost its primary key/],
    ['keyed anew', 'alter table public.t drop constraint t_pkey, add primary key (name)', /the primary key is now \(name\)/],
    ['without a trigger', 'drop trigger afluente_update on public.t', /triggers are missing or switched off \(.*afluente_update\)/],
    ['switched off', 'alter table public.t disable trigger all', /missing or switched off/],
  ])('%s is reported, with what to do, and the others go on', async (_, ddl, problem) => {
    expect(await problemOf('public.t')).toBeNull()
    await source.run(ddl)
    await insertLead()
    expect((await held(source, 'a')).rows).toHaveLength(1)
    expect(await problemOf('public.t')).toMatch(problem)
    expect(await problemOf('public.leads')).toBeNull()
  })

  it('dropped can be released by its number, or be captured again under its name', async () => {
    const number = await source.value(`select table_oid::oid from afluente.captured_tables where table_name = 't'`)
    await source.run(`drop table public.t; create table public.t (id int primary key); select afluente.capture_table('t'); insert into public.t values (1)`)
    expect(await source.outbox('public.t')).toHaveLength(1)
    await expect(source.run(`select afluente.release_table(${number})`)).rejects.toThrow('is not captured')
    const again = await source.value(`select table_oid::oid from afluente.captured_tables where table_name = 't'`)
    await source.run(`drop table public.t; select afluente.release_table(${again})`)
    expect(await source.run(`select from afluente.captured_tables where table_name = 't'`)).toEqual([])
  })

  it('widened or narrowed goes on, in open sessions too', async () => {
    await source.run(`insert into public.t values (1, 'a')`)
    await source.run(
      `alter table public.t add column extra int default 5; update public.t set name = 'b'; alter table public.t drop column name; update public.t set extra = 6`,
    )
    expect((await source.outbox('public.t')).map((row) => row.after)).toEqual(['{"id":1,"name":"a"}', '{"id":1,"name":"b","extra":5}', '{"id":1,"extra":6}'])
  })

  it('renamed goes on under its new name once it is captured again', async () => {
    await source.run(
      `alter table public.t rename to "Novo nome"; select afluente.capture_table('public."Novo nome"', topic => 'novo'); insert into public."Novo nome" values (1)`,
    )
    expect(await source.outbox()).toMatchObject([{ source_table: 'public.Novo nome', topic: 'novo', op: 'insert' }])
    expect(await source.run(`select table_name from afluente.captured_tables where table_name ilike '%t' or table_name ilike 'novo%'`)).toEqual([
      { table_name: 'Novo nome' },
    ])
    expect(await problemOf('public.Novo nome')).toBeNull()
    expect(await source.value(`select count(*) from pg_proc where proname like 'capture_public_t_%'`)).toBe('0')
  })

  it('replaced by another of its name is not read in its place: its own changes count as failures', async () => {
    await source.run(
      `insert into public.t values (1, 'old'); alter table public.t rename to t_old; create table public.t (id int primary key, name text); insert into public.t values (1, 'new'); delete from public.t_old`,
    )
    expect((await source.outbox('public.t')).map((row) => row.op)).toEqual(['insert'])
    expect((await backlog(source)).tables.find((entry) => entry.table === 'public.t')).toMatchObject({
      failures: 1,
      lastFailure: expect.stringContaining('the table was renamed'),
      problem: expect.any(String),
    })
  })
})

describe('the tables that are captured from the start', () => {
  it('keep updated_at, and check what they are given', async () => {
    await source.run(`insert into public.leads (name, updated_at) values ('Ana', '2020-01-01')`)
    await source.run(`update public.leads set score = 100`)
    expect(await source.value(`select updated_at > now() - interval '1 minute' from public.leads`)).toBe('t')
    for (const wrong of [`email = 'nobody'`, 'score = 101', `status = 'x'`])
      await expect(source.run(`update public.leads set ${wrong}`)).rejects.toThrow('violates check constraint')
    for (const wrong of [`channel = 'fax'`, 'rating = 6', `status = 'x'`])
      await expect(source.run(`insert into public.chat_sessions default values; update public.chat_sessions set ${wrong}`)).rejects.toThrow(
        'violates check constraint',
      )
  })
})
