/** What capture_table refuses, each with one clear error and nothing installed; what it takes, and takes again. */
import { describe, expect, it } from 'vitest'
import { freshSource } from '../../support/source.ts'

const source = freshSource()

/** All that capture_table leaves behind, as text. */
async function installed(): Promise<string> {
  return JSON.stringify(
    await source.run(`
      select 'trigger' as kind, tgrelid::regclass || ' ' || tgname as name, concat(tgenabled, pg_get_triggerdef(oid)) as what from pg_trigger where not tgisinternal
      union all
      select 'function', oid::regprocedure::text, concat(pg_get_functiondef(oid), proacl) from pg_proc where pronamespace = 'afluente'::regnamespace
      union all
      select 'row', table_oid::text, (to_jsonb(c) #- '{columns,triggers}')::text from afluente.captured_tables c
      order by 1, 2`),
  )
}

async function assertRefused(call: string, message: RegExp): Promise<void> {
  const before = await installed()
  const error: unknown = await source.run(call).catch((caught: unknown) => caught)
  expect(error).toBeInstanceOf(Error)
  expect(error instanceof Error ? error.message : '').toMatch(message)
  expect(await installed()).toBe(before)
}

describe('refused is', () => {
  const plain = 'create table public.t (id int primary key, name text)'
  it.each([
    ['a table without a primary key', 'create table public.t (id int unique not null)', '', /^afluente: public\.t has no primary key/],
    [
      'a deferrable primary key',
      'create table public.t (id int primary key deferrable initially immediate)',
      '',
      /^afluente: the primary key of public\.t is deferrable/,
    ],
    [
      'a deferred primary key',
      'create table public.t (id int primary key deferrable initially deferred)',
      '',
      /^afluente: the primary key of public\.t is deferrable/,
    ],
    ['an unknown column to exclude', plain, `, exclude => array['x', 'id']`, /^afluente: public\.t has no column x$/],
    ['a column without a name to exclude', plain, `, exclude => array['name', null]`, /^afluente: public\.t has no column NULL$/],
    [
      'a dropped column to exclude',
      `${plain}; alter table public.t drop column name`,
      `, exclude => array['name']`,
      /^afluente: public\.t has no column name$/,
    ],
    ['a system column to exclude', plain, `, exclude => array['ctid']`, /^afluente: public\.t has no column ctid$/],
    ['a key column to exclude', plain, `, exclude => array['name', 'id']`, /^afluente: id belongs to the primary key of public\.t and can't be excluded$/],
    ['a view', 'create view public.t as select 1 as id', '', /^afluente: public\.t is a view/],
    ['a materialized view', 'create materialized view public.t as select 1 as id', '', /^afluente: public\.t is a materialized view/],
    ['a sequence', 'create sequence public.t', '', /^afluente: public\.t is no table/],
    ['an index', 'create table public.w (id int); create index t on public.w (id)', '', /^afluente: public\.t is no table/],
    ['a row type', 'create type public.t as (id int)', '', /relation "t" does not exist|^afluente: public\.t is no table/],
    ['a temporary table', 'create temp table t (id int primary key)', '', /^afluente: pg_temp_\d+\.t is a temporary table/],
    [
      'a table without a log',
      'create unlogged table public.t (id int primary key)',
      '',
      /^afluente: public\.t is unlogged: a crash would empty it, and nobody would learn of it$/,
    ],
    [
      'a partition without a log',
      'create table public.t (id int primary key) partition by range (id); create unlogged table public.p partition of public.t default',
      '',
      /^afluente: public\.p is unlogged/,
    ],
    [
      'a parent of other tables',
      'create table public.t (id int primary key); create table public.u () inherits (public.t)',
      '',
      /^afluente: other tables inherit from public\.t/,
    ],
    [
      'a child of another table',
      'create table public.u (id int not null); create table public.t (id int primary key) inherits (public.u)',
      '',
      /^afluente: public\.t inherits from public\.u$/,
    ],
    [
      'a partition',
      'create table public.w (id int primary key) partition by hash (id); create table public.t partition of public.w for values with (modulus 1, remainder 0)',
      '',
      /^afluente: public\.t is a partition/,
    ],
  ])('%s', async (_, ddl, more, message) => {
    await source.run(ddl)
    await assertRefused(`select afluente.capture_table('t'${more})`, message)
  })

  it.each([
    ['a missing table', `'public.nothing'`, /^relation "public\.nothing" does not exist$/],
    ['a missing table, by number', '999999', /^afluente: there is no table 999999$/],
    ['no table', 'null', /^afluente: there is no table/],
    ['a system table', `'pg_catalog.pg_class'`, /^afluente: tables of the schema pg_catalog are not captured$/],
    ['a table of the information schema', `'information_schema.sql_features'`, /^afluente: tables of the schema information_schema are not captured$/],
    ['a toast table', `(select reltoastrelid::regclass from pg_class where oid = 'public.leads'::regclass)`, /^afluente: pg_toast\.pg_toast_\d+ is no table/],
    ['its own outbox', `'afluente.outbox'`, /^afluente: tables of the schema afluente are not captured$/],
    ['somebody else’s table', `'vault.secrets'`, /^afluente: vault\.secrets belongs to postgres, and project_owner may not put triggers on it$/],
  ])('%s', async (_, table, message) => {
    await assertRefused(`select afluente.capture_table(${table})`, message)
  })

  it('a foreign table, and a partitioned one that has it for a partition', async () => {
    const superuser = await source.connect('superuser')
    await superuser.run(`
      create extension file_fdw; create server files foreign data wrapper file_fdw;
      create foreign table public.f (id int) server files options (filename '/dev/null');
      create table public.w (id int) partition by list (id); create table public.w_1 partition of public.w for values in (1) partition by list (id);
      create foreign table public.w_2 partition of public.w_1 for values in (1) server files options (filename '/dev/null');
      alter table public.w owner to project_owner; alter table public.w_1 owner to project_owner`)
    await assertRefused(`select afluente.capture_table('public.f')`, /^afluente: public\.f is a foreign table/)
    await assertRefused(`select afluente.capture_table('public.w')`, /^afluente: public\.w_2, a partition of public\.w, is a foreign table/)
  })

  it('a table whose rows are hidden from the owner', async () => {
    await source.run(`${plain}; alter table public.t enable row level security, force row level security`)
    const superuser = await source.connect('superuser')
    await superuser.run('alter role project_owner nobypassrls')
    try {
      await assertRefused(`select afluente.capture_table('public.t')`, /^afluente: row-level security hides rows of public\.t from project_owner$/)
    } finally {
      await superuser.run('alter role project_owner bypassrls')
    }
  })

  it.each(['', '.', '..', 'with space', 'a/b', 'a\\b', 'ação', 'a:b', 'a"b', `a'b`, 'a\nb', 'a\n', ' a', 'a'.repeat(246), 'a'.repeat(249), 'a'.repeat(250)])(
    'the topic name %j',
    async (topic) => {
      await source.run(plain)
      await assertRefused(
        `select afluente.capture_table('public.t', topic => '${topic.replaceAll("'", "''")}')`,
        /^afluente: E?'[\s\S]*' is no name for a Kafka topic$/,
      )
    },
  )

  it('a default topic name that Kafka would not take, with a hint at what to give', async () => {
    await source.run('create table public."Ação" (id int primary key)')
    await assertRefused(`select afluente.capture_table('public."Ação"')`, /'afluente\.public\.Ação' is no name for a Kafka topic/)
    await expect(source.run(`select afluente.capture_table('public."Ação"')`)).rejects.toMatchObject({ hint: expect.stringContaining('topic =>') })
  })

  it('the release of a table that is not captured', async () => {
    await source.run(plain)
    await assertRefused(`select afluente.release_table('public.t')`, /^afluente: t is not captured$|^afluente: public\.t is not captured$/)
  })
})

describe('taken is', () => {
  it.each(['a', '...', 'a.b_c-D9', 'a'.repeat(245)])('the topic name %s', async (topic) => {
    await source.run(`create table public.t (id int primary key); select afluente.capture_table('t', topic => '${topic}'); insert into public.t values (1)`)
    expect((await source.outbox()).map((row) => row.topic)).toEqual([topic])
  })

  it('nothing where something is left out: exclude and with_before of NULL are none', async () => {
    await source.run(`create table public.t (id int primary key); select afluente.capture_table('t', null, null, null); insert into public.t values (1)`)
    expect(await source.outbox()).toMatchObject([{ topic: 'afluente.public.t', after: '{"id":1}' }])
  })

  it('a table twice: nothing changes', async () => {
    await source.run(`
      create table public.t (id int primary key, a text, b text); create table public.w (id int primary key) partition by hash (id);
      create table public.w_0 partition of public.w for values with (modulus 1, remainder 0)`)
    const again = `select afluente.capture_table('t', 'topic', array['b'], true), afluente.capture_table('w')`
    await source.run(again)
    const once = await installed()
    expect(once).toContain('afluente_truncate')
    await source.run(again)
    await source.run(again)
    expect(await installed()).toBe(once)
  })

  it('a table again with other options, which changes how it is captured', async () => {
    await source.run(`create table public.t (id int primary key, a text, b text)`)
    await source.run(`select afluente.capture_table('t'); select afluente.capture_table('t', topic => 'other', exclude => array['b'])`)
    await source.run(`insert into public.t values (1, 'a', 'b'); select afluente.capture_table('t'); update public.t set a = 'A'`)
    expect((await source.outbox()).map(({ topic, after }) => [topic, after])).toEqual([
      ['other', '{"id":1,"a":"a"}'],
      ['afluente.public.t', '{"id":1,"a":"A","b":"b"}'],
    ])
  })

  it('and given back by release_table, which leaves nothing but what is in the outbox', async () => {
    const before = await installed()
    await source.run(`create table public.t (id int primary key); select afluente.capture_table('t'); insert into public.t values (1)`)
    await source.run(`select afluente.release_table('t'); insert into public.t values (2); truncate public.t`)
    expect(await source.outbox()).toHaveLength(1)
    expect(await installed()).toBe(before)
  })
})
