/** DDL that changes rows which are there fires no trigger: the next look marks the table to be reconciled, once, and for nothing else. */
import { beforeEach, describe, expect, it } from 'vitest'
import { mutate } from '../../support/mutate.ts'
import { backlog, freshSource } from '../../support/source.ts'

const source = freshSource()

beforeEach(async () => {
  await source.run(`create table public.t (id int primary key, name text); select afluente.capture_table('t')`)
})

const entryOf = async (table: string) => (await backlog(source)).tables.find((entry) => entry.table === table)

describe('DDL that changes rows without firing a trigger', () => {
  beforeEach(() => source.run(`insert into public.t values (1, 'a'), (2, 'b')`))

  const marks = async () => {
    const entry = await entryOf('public.t')
    return { failures: entry?.failures, reconcileSince: entry?.reconcileSince, lastFailure: entry?.lastFailure }
  }
  const unmarked = { failures: 0, reconcileSince: null, lastFailure: null }
  const markedFor = (columns: string) => ({
    failures: 1,
    reconcileSince: expect.any(String),
    lastFailure: `55000: columns were changed, or added with a value: rows that were there before need a reconcile (${columns})`,
  })

  it.each([
    ['another type', `alter column name type int using ascii(name)`, 'name'],
    ['another type without a rewrite', `alter column name type public.word`, 'name'],
    ['values that are computed, under the type as it was', `alter column name type text using upper(name)`, 'name'],
    ['a new column with a default', `add column "N o" int default 5`, '"N o"'],
    ['a new column whose default is taken away again', `add column n int default 5; alter table public.t alter column n drop default`, 'n'],
    ['a new column with a default that differs from row to row', `add column n uuid default gen_random_uuid()`, 'n'],
    ['a new column that is generated', `add column n text generated always as (name || '!') stored`, 'n'],
    ['a new column that counts', `add column n int generated always as identity, add column m serial`, 'n, m'],
    ['a new column whose default is its domain’s', `add column n public.five`, 'n'],
  ])('marks the table once: %s', async (_, ddl, columns) => {
    await source.run('create domain public.five as int default 5; create domain public.word as text')
    expect(await marks()).toEqual(unmarked)
    await source.run(`alter table public.t ${ddl}`)
    await source.run('select afluente.sweep(), afluente.sweep()')
    expect(await marks()).toEqual(markedFor(columns))
    await source.run(`update public.t set id = id; select afluente.capture_table('public.t')`)
    expect(await marks()).toEqual(markedFor(columns))
  })

  it.each([
    ['a new column without a default', 'alter table public.t add column n int'],
    ['a default for a column that is there', `alter table public.t add column n int; alter table public.t alter column n set default 5`],
    ['a renamed column', 'alter table public.t rename column name to other'],
    ['a dropped column', 'alter table public.t drop column name'],
    [
      'a text that may be longer, or has no limit',
      'alter table public.t alter column short type varchar(40); alter table public.t alter column short type text',
    ],
    ['a column that may not be null', 'alter table public.t alter column name set not null'],
    ['a rewrite', 'alter table public.t set unlogged; alter table public.t set logged'],
    ['a TRUNCATE', 'truncate public.t'],
    ['a column that is excluded', `alter table public.t alter column hidden type text using 'x'`],
  ])('does not mark for %s', async (_, ddl) => {
    await source.run(
      `alter table public.t add column short varchar(20), add column hidden int; select afluente.capture_table('public.t', exclude => array['hidden'])`,
    )
    await source.run(ddl)
    expect(await marks()).toEqual(unmarked)
  })

  it('is not taken for one with a rewrite that came long before or after it', async () => {
    await source.run('truncate public.t')
    expect(await marks()).toEqual(unmarked)
    await source.run('alter table public.t alter column name set not null')
    expect(await marks()).toEqual(unmarked)
    await source.run('truncate public.t')
    expect(await marks()).toEqual(unmarked)
  })

  it('marks before the table is captured anew, and again for the next of its kind', async () => {
    await source.run(`alter table public.t add column n int default 5; select afluente.capture_table('public.t')`)
    expect(await marks()).toEqual(markedFor('n'))
    await source.run(`update afluente.captured_tables set failures = 0, reconcile_since = null, last_failure = null`)
    await source.run('alter table public.t add column m int default 5')
    expect(await marks()).toEqual(markedFor('m'))
  })

  it('in a partitioned table: as much, through the whole alone', async () => {
    await source.run(`drop table public.t; select afluente.release_table(table_oid) from afluente.captured_tables where table_name = 't';
      create table public.t (id int primary key, name text) partition by range (id);
      create table public.low partition of public.t for values from (0) to (10);
      create table public.high (name text, id int not null);
      alter table public.t attach partition public.high for values from (10) to (20);
      select afluente.capture_table('public.t'); insert into public.t values (1, 'a'), (11, 'b')`)
    await marks()
    await source.run('update afluente.captured_tables set failures = 0, reconcile_since = null, last_failure = null')
    await source.run('alter table public.t add column n int; alter table public.low alter column n set default 5')
    expect(await marks()).toEqual(unmarked)
    await source.run('alter table public.t add column m int default 5')
    expect(await marks()).toEqual(markedFor('m'))
    await source.run(`update afluente.captured_tables set failures = 0, reconcile_since = null, last_failure = null`)
    await source.run('alter table public.t alter column name type text using upper(name)')
    expect(await marks()).toEqual(markedFor('name'))
  })

  it('is looked for while a partition is locked, without waiting', async () => {
    await source.run(`create table public.p (id int primary key) partition by range (id);
      create table public.low partition of public.p for values from (0) to (10); select afluente.capture_table('public.p')`)
    const other = await source.connect()
    await other.run('begin; lock table public.low in access exclusive mode; alter table public.p add column n int default 5')
    await source.run(`alter table public.t add column n int default 5; set statement_timeout = '5s'`)
    expect(await source.value('select afluente.sweep()')).toBe('f')
    expect(await marks()).toEqual(markedFor('n'))
    expect(await entryOf('public.p')).toMatchObject({ failures: 0, problem: null })
    await other.run('commit')
    expect(await entryOf('public.p')).toMatchObject({ failures: 1, problem: null })
  })

  it('marks for a renamed label of an enum, in an array and under a domain too, and for no new one', async () => {
    await source.run(`create type public.mood as enum ('sad', 'ok'); create domain public.feeling as public.mood;
      alter table public.t add column a public.mood, add column b public.mood[], add column c public.feeling, add column d int`)
    expect(await marks()).toEqual(unmarked)
    await source.run(`alter type public.mood add value 'so so' before 'ok'`)
    await source.run(`alter type public.mood add value 'fine' before 'ok'`)
    await source.run('truncate public.t')
    expect(await marks()).toEqual(unmarked)
    await source.run(`alter type public.mood rename value 'sad' to 'blue'`)
    expect(await marks()).toEqual(markedFor('a, b, c'))
    expect(await marks()).toEqual(markedFor('a, b, c'))
  })

  it('waits for the next look when somebody holds the table’s entry, and holds up no other', async () => {
    await source.run(`create table public.u (id int primary key); select afluente.capture_table('public.u')`)
    const other = await source.connect()
    await other.run(`begin; select from afluente.captured_tables where table_name = 't' for update`)
    await source.run('alter table public.t add column n int default 5; alter table public.u add column n int default 5')
    await source.run('select afluente.note_alterations()')
    expect(await source.run(`select table_name from afluente.captured_tables where reconcile_since is not null`)).toEqual([{ table_name: 'u' }])
    await other.run('commit')
    expect(await marks()).toEqual(markedFor('n'))
  })

  it.each([
    ['a look that compares types alone', 'w.rewritten and c.former -> 1 <> c.now -> 1', 'false', `alter column name type text using upper(name)`],
    [
      'a look that takes new columns for empty ones',
      /when c\.former is null\s+then [\s\S]*?\s+else/g,
      'when c.former is null then false else',
      'add column n int default 5',
    ],
    [
      'a look that compares nothing but columns that are new',
      'c.former -> 0 <> c.now -> 0 or w.rewritten and c.former -> 1 <> c.now -> 1',
      'false',
      'alter column name type int using 1',
    ],
  ])('stays unnoticed by %s', async (_, from, to, ddl) => {
    await mutate(source, 'afluente.altered_columns', from, to)
    await source.run(`alter table public.t ${ddl}`)
    expect(await marks()).toEqual(unmarked)
  })
})

it('a table that was written while its triggers were off is marked when they come back', async () => {
  await source.run(`create table public.asleep (id int primary key); select afluente.capture_table('public.asleep')`)
  await source.run(`alter table public.asleep disable trigger afluente_insert; insert into public.asleep values (1)`)
  await source.run(`select afluente.capture_table('public.asleep')`)
  expect((await backlog(source)).tables.find(({ table }) => table === 'public.asleep')).toMatchObject({
    failures: 2,
    reconcileSince: expect.any(String),
    problem: null,
  })
})

it('a table that takes a dropped one’s name is marked: the sinks hold the old rows', async () => {
  await source.run(`create table public.anew (id int primary key); select afluente.capture_table('public.anew'); insert into public.anew values (1)`)
  await source.run(`drop table public.anew; create table public.anew (id int primary key); select afluente.capture_table('public.anew')`)
  expect((await backlog(source)).tables.find(({ table }) => table === 'public.anew')).toMatchObject({ failures: 1, reconcileSince: expect.any(String) })
})
