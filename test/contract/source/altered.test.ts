/** What DDL does to a captured table: it goes on where it can, and where it can't somebody is told what to do. */
import { beforeEach, describe, expect, it } from 'vitest'
import { backlog, held, freshSource } from '../../support/source.ts'
import { assertEndsEqual } from '../../support/source-properties.ts'

const source = freshSource()

beforeEach(async () => {
  await source.run(`create table public.t (id int primary key, name text); select afluente.capture_table('t')`)
})

const entryOf = async (table: string) => (await backlog(source)).tables.find((entry) => entry.table === table)
const problemOf = async (table: string) => (await entryOf(table))?.problem
const images = async () => (await source.outbox('public.t')).map((row) => row.after)

describe('columns that come, go and change', () => {
  it('are in the image at once, in sessions that were open before as well', async () => {
    const open = await source.connect()
    await open.run(`insert into public.t values (1, 'a')`)
    await source.run('alter table public.t add column extra int default 5')
    await open.run(`update public.t set name = 'b'`)
    await source.run('alter table public.t rename column name to "Full name"')
    await open.run('update public.t set extra = 6')
    await source.run(`alter table public.t alter column extra type text using 'x' || extra`)
    await open.run(`update public.t set extra = extra || '!'`)
    await source.run('alter table public.t drop column "Full name", add column born date not null default $$2026-01-01$$')
    await open.run('update public.t set extra = null')
    expect(await images()).toEqual([
      '{"id":1,"name":"a"}',
      '{"id":1,"name":"b","extra":5}',
      '{"id":1,"Full name":"b","extra":6}',
      '{"id":1,"Full name":"b","extra":"x6!"}',
      '{"id":1,"extra":null,"born":"2026-01-01"}',
    ])
    await assertEndsEqual(source, 'public.t', 'id')
    // The rows that stood there while the DDL ran are another matter: see marked.test.ts.
    expect(await entryOf('public.t')).toMatchObject({ failures: 1, lastFailure: expect.stringMatching(/^55000: columns were changed/), problem: null })
  })

  it('within one transaction with the rows they hold', async () => {
    await source.run(
      `begin; insert into public.t values (1, 'a'); alter table public.t add column n int; update public.t set n = 1; alter table public.t rename n to m; commit`,
    )
    expect(await images()).toEqual(['{"id":1,"name":"a"}', '{"id":1,"name":"a","n":1}'])
    await source.run('begin; alter table public.t drop column m; update public.t set name = null; rollback; update public.t set m = 2')
    expect((await images()).at(-1)).toBe('{"id":1,"name":"a","m":2}')
  })

  it('a key whose type widens goes on; a key of another name counts as failures, until the table is captured anew', async () => {
    await source.run(`insert into public.t values (1, 'a')`)
    await source.run('alter table public.t alter column id type bigint')
    await source.run(`insert into public.t values (9007199254740993, 'b'); update public.t set name = name || '!'`)
    await assertEndsEqual(source, 'public.t', 'id')
    await source.run(`select afluente.capture_table('public.t'); update afluente.captured_tables set failures = 0, reconcile_since = null`)
    expect(await entryOf('public.t')).toMatchObject({ failures: 0, problem: null })
    await source.run('alter table public.t rename id to number')
    await source.run(`update public.t set name = 'lost'`)
    expect(await entryOf('public.t')).toMatchObject({ failures: 1, lastFailure: '42703: column r.id does not exist', reconcileSince: expect.any(String) })
    await source.run(`select afluente.capture_table('public.t'); update public.t set name = 'kept'`)
    await assertEndsEqual(source, 'public.t', 'number')
    expect(await problemOf('public.t')).toBeNull()
  })

  it('a table that lost its key is told: each row would be looked for in the whole table, so its changes count as failures', async () => {
    await source.run(`insert into public.t select n, 'a' from generate_series(1, 3000) n; analyze public.t; alter table public.t drop constraint t_pkey`)
    await source.emptyOutbox()
    const read = () => source.value(`select seq_tup_read from pg_stat_xact_user_tables where relid = 'public.t'::regclass`)
    await source.run(`begin; update public.t set name = 'b'`)
    expect(await read()).toBe('3000')
    await source.run('commit')
    expect(await problemOf('public.t')).toMatch(/lost its primary key: add one, then select afluente\.capture_table\('public\.t'\)/)
    expect(await source.outbox()).toEqual([])
    expect(await entryOf('public.t')).toMatchObject({
      failures: 1,
      lastFailure: expect.stringContaining('lost its primary key'),
      reconcileSince: expect.any(String),
    })
    await source.run(`alter table public.t add primary key (id); update public.t set name = 'c' where id = 1`)
    expect((await images()).at(-1)).toBe('{"id":1,"name":"c"}')
    expect(await problemOf('public.t')).toBeNull()
  })

  it('a key whose index was built anew serves as before', async () => {
    await source.run('reindex index concurrently public.t_pkey')
    await source.run(`insert into public.t values (1, 'a')`)
    expect((await images()).at(-1)).toBe('{"id":1,"name":"a"}')
    expect(await entryOf('public.t')).toMatchObject({ failures: 0, problem: null })
  })
})

describe('a DROP TABLE', () => {
  it('leaves no function that fires; the changes before it still go out, and it is told once', async () => {
    await source.run(`begin; insert into public.t values (1, 'a'); drop table public.t; commit`)
    expect((await held(source, 'a')).rows.map((row) => row[3])).toEqual(['[1]'])
    expect(await problemOf('public.t')).toMatch(/^the table was dropped/)
    await source.run(`create table public.t (id int primary key, other int); insert into public.t values (1, 1)`)
    expect(await source.outbox('public.t')).toHaveLength(1)
    expect(await problemOf('public.t')).toMatch(/^the table was dropped/)
  })

  it('with its schema, or of a table that is referenced, is no error', async () => {
    await source.run(`
      create schema gone; create table gone.t (id int primary key); create table gone.u (id int primary key references gone.t on delete cascade);
      select afluente.capture_table('gone.t'), afluente.capture_table('gone.u'); insert into gone.t values (1); insert into gone.u values (1)`)
    await source.run('drop table gone.t cascade')
    await source.run('drop schema gone cascade')
    expect([await problemOf('gone.t'), await problemOf('gone.u')]).toEqual([expect.stringMatching(/dropped/), expect.stringMatching(/dropped/)])
    expect(await source.outbox()).toHaveLength(2)
  })
})

describe('session_replication_role', () => {
  it.each(['replica', 'local', 'origin'])('%s: every kind of statement is captured', async (role) => {
    const session = await source.connect('superuser')
    await session.run(`set session_replication_role = ${role}`)
    for (const sql of [
      `insert into public.t values (1, 'a'), (2, 'b')`,
      `update public.t set name = 'c' where id = 1`,
      'delete from public.t where id = 1',
      'truncate public.t',
    ])
      await session.run(sql)
    expect((await source.outbox('public.t')).map(({ op, key }) => [op, key])).toEqual([
      ['insert', '[1]'],
      ['insert', '[2]'],
      ['update', '[1]'],
      ['delete', '[1]'],
      ['delete', '[2]'],
    ])
  })
})

describe('a captured table that is', () => {
  it.each([
    [
      'dropped',
      'drop table public.t',
      /was dropped: create it again and select afluente\.capture_table\('public\.t'\), or select afluente\.release_table\(\d+\)/,
    ],
    ['renamed', 'alter table public.t rename to t2', /was renamed or moved/],
    ['without its primary key', 'alter table public.t drop constraint t_pkey', /lost its primary key/],
    ['keyed anew', 'alter table public.t drop constraint t_pkey, add primary key (name)', /the primary key is now \(name\)/],
    ['keyed by a column of another name', 'alter table public.t rename column id to number', /the primary key is now \(number\)/],
    [
      'keyed by a column of another type',
      'alter table public.t alter column id type text',
      /other types of the key's columns.*: select afluente\.capture_table\('public\.t'\)/,
    ],
    [
      'keyed by another column of that name',
      'alter table public.t drop column id, add column new serial primary key; alter table public.t rename column new to id',
      /or for other columns of their names: select/,
    ],
    ['without a log', 'alter table public.t set unlogged', /^a crash empties public\.t, and no trigger fires: alter table public\.t set logged$/],
    ['without the column of its key', 'alter table public.t drop column id', /lost its primary key/],
    ['moved to another schema', 'create schema elsewhere; alter table public.t set schema elsewhere', /was renamed or moved/],
    ['without a trigger', 'drop trigger afluente_update on public.t', /triggers are missing or switched off \(.*afluente_update\)/],
    ['switched off', 'alter table public.t disable trigger all', /missing or switched off/],
  ])('%s is reported, with what to do, and the others go on', async (_, ddl, problem) => {
    expect(await problemOf('public.t')).toBeNull()
    await source.run(ddl)
    await source.run(`insert into public.leads (name) values ('Ana')`)
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

  it('renamed and truncated counts as a failure', async () => {
    await source.run(`insert into public.t values (1, 'a'); alter table public.t rename to other; truncate public.other`)
    expect(await source.run('select failure from afluente.failures')).toEqual([{ failure: expect.stringContaining('the table was renamed') }])
  })

  it('made anew under its name keeps what is known against its copies', async () => {
    await source.run(`alter table public.t rename to t_old; insert into public.t_old values (1); select afluente.backlog()`)
    const marked = await source.run('select reconcile_since from afluente.captured_tables')
    await source.run(`drop table public.t_old; create table public.t (id int primary key); select afluente.capture_table('public.t')`)
    expect(await source.run('select reconcile_since from afluente.captured_tables')).toEqual(marked)
    expect(await entryOf('public.t')).toMatchObject({ failures: 2, lastFailure: expect.stringContaining('while it was not captured') })
  })

  it('released and captured again is marked: what was written meanwhile is in no stream', async () => {
    await source.run(
      `select afluente.release_table('public.t'); insert into public.t values (1); select afluente.backlog(); select afluente.capture_table('public.t')`,
    )
    expect(await entryOf('public.t')).toMatchObject({ failures: 1, reconcileSince: expect.any(String) })
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

describe('what a problem loses is marked, also once it is mended', () => {
  it('by a sweep that saw it', async () => {
    await source.run(`alter table public.t disable trigger user; insert into public.t values (1); select afluente.sweep()`)
    await source.run(['insert', 'update', 'delete', 'truncate'].map((on) => `alter table public.t enable always trigger afluente_${on}`).join(';'))
    expect(await entryOf('public.t')).toMatchObject({ problem: null, reconcileSince: expect.any(String) })
  })

  it('without one: triggers that were off for a moment', async () => {
    await source.run(`alter table public.t disable trigger user; insert into public.t values (1)`)
    await source.run(['insert', 'update', 'delete', 'truncate'].map((on) => `alter table public.t enable always trigger afluente_${on}`).join(';'))
    expect(await entryOf('public.t')).toMatchObject({
      problem: null,
      failures: 1,
      lastFailure: expect.stringContaining('switched off'),
      reconcileSince: expect.any(String),
    })
    expect(await entryOf('public.t')).toMatchObject({ failures: 1 })
  })

  it.each([
    ['a primary key that became deferrable', 'alter table public.t drop constraint t_pkey, add primary key (id) deferrable', /is deferrable/],
    ['a parent', 'create table public.parent (id int not null, name text); alter table public.t inherit public.parent', /no inherit public\.parent/],
    [
      'a key whose texts are equal in another way',
      `create collation public.nd (provider = icu, locale = 'und-u-ks-level2', deterministic = false); create table public.c (id text primary key);
      select afluente.capture_table('public.c'); alter table public.c alter id type text collate public.nd`,
      /other types of the key's columns/,
    ],
  ])('%s', async (_, ddl, problem) => {
    await source.run(ddl)
    const table = ddl.includes('public.c ') ? 'public.c' : 'public.t'
    expect(await entryOf(table)).toMatchObject({ problem: expect.stringMatching(problem), reconcileSince: expect.any(String) })
  })
})
