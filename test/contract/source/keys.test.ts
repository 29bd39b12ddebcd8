/** A key's text: exact, the same from every session, never another's; and keys that change, swap or come back. */
import { beforeEach, describe, expect, it } from 'vitest'
import { backlog, held, freshSource } from '../../support/source.ts'
import { assertEndsEqual } from '../../support/source-properties.ts'

const source = freshSource()

beforeEach(async () => {
  await source.run(`set timezone = 'UTC'`)
})

const opsAndKeys = async () => (await source.outbox('public.t')).map(({ op, key }) => [op, key])

async function capture(columns: string): Promise<void> {
  await source.run(`create table public.t (${columns}); select afluente.capture_table('public.t')`)
}

describe('the key is exact for', () => {
  it.each([
    ['a text with quotes, brackets and backslashes', 'text', `'["a\\", {''b''}] %I $1 {name}'`, `["[\\"a\\\\\\", {'b'}] %I $1 {name}"]`],
    ['a text with control characters, and one beyond the first plane', 'text', `E'\\t\\n\\x01 🌊 é'`, '["\\t\\n\\u0001 🌊 é"]'],
    ['the empty text', 'text', `''`, '[""]'],
    ['a text that looks like JSON', 'text', `'null'`, '["null"]'],
    ['a char that is padded', 'char(4)', `'ab'`, '["ab  "]'],
    ['a uuid, however it is written', 'uuid', `'{A0EEBC99-9C0B4EF8-BB6D6BB9-BD380A11}'`, '["a0eebc99-9c0b-4ef8-bb6d-6bb9bd380a11"]'],
    ['a bigint beyond 2^53', 'bigint', '9007199254740993', '[9007199254740993]'],
    ['the lowest bigint', 'bigint', '-9223372036854775808', '[-9223372036854775808]'],
    ['a numeric of 40 digits', 'numeric', '1234567890123456789012345678901234567890.10', '[1234567890123456789012345678901234567890.10]'],
    ['a numeric that is no number', 'numeric', `'NaN'`, '["NaN"]'],
    ['a double', 'float8', '0.1::float8 + 0.2::float8', '[0.30000000000000004]'],
    ['a boolean', 'boolean', 'true', '[true]'],
    ['a date without end', 'date', `'infinity'`, '["infinity"]'],
    ['a timestamptz', 'timestamptz', `'2026-03-01 23:59:59.123456-03'`, '["2026-03-02T02:59:59.123456+00:00"]'],
    ['an enum', 'public.mood', `'so "so"'`, '["so \\"so\\""]'],
    ['a domain', 'public.code', `'AB'`, '["AB"]'],
    ['bytea', 'bytea', `'\\x00ff'`, '["\\\\x00ff"]'],
    ['a network', 'inet', `'10.0.0.1/24'`, '["10.0.0.1/24"]'],
    ['a range', 'int4range', `'[1,5]'`, '["[1,6)"]'],
    ['an array', 'int[]', `'{1,2}'`, '[[1, 2]]'],
    ['jsonb', 'jsonb', `'{"b": 1.0, "a": null}'`, '[{"a": null, "b": 1.0}]'],
    ['a row type', 'public.pair', `'(1,"a ""b""")'`, '[{"a": 1, "b": "a \\"b\\""}]'],
  ])('%s', async (_, type, value, key) => {
    await source.run(
      `create type public.mood as enum ('so "so"'); create domain public.code as text check (value = upper(value)); create type public.pair as (a int, b text)`,
    )
    await capture(`id ${type} primary key, n int`)
    await source.run(`insert into public.t values (${value}, 1)`)
    await source.run('update public.t set n = 2')
    await source.run('delete from public.t')
    expect(await opsAndKeys()).toEqual([
      ['insert', key],
      ['update', key],
      ['delete', key],
    ])
    expect((await held(source, 'keys')).rows.map((row) => row[3])).toEqual([key, key, key])
  })
})

describe('a key of several columns', () => {
  it('stands in the key’s order, and no two keys have one text', async () => {
    await capture('b text, a text, n int, primary key (a, b)')
    const pairs = [
      ['a-b', 'c'],
      ['a', 'b-c'],
      ['a", "b', 'c'],
      ['a', 'b", "c'],
      ['["a"]', ''],
      ['', '["a"]'],
      ['a', ''],
      ['', 'a'],
    ]
    for (const [a, b] of pairs) await source.run('insert into public.t (a, b) values ($1, $2)', [a, b])
    await source.run('update public.t set n = 1')
    const rows = await source.outbox('public.t')
    expect(rows.slice(0, pairs.length).map((row) => JSON.parse(row.key) as unknown)).toEqual(pairs)
    expect(new Set(rows.map((row) => row.key)).size).toBe(pairs.length)
    await assertEndsEqual(source, 'public.t', 'a, b')
  })

  it('of all types at once; columns that the key’s index merely includes are none of it', async () => {
    await capture('d int, a bigint, b timestamptz, c numeric, primary key (a, b, c) include (d)')
    await source.run(`insert into public.t values (1, 9007199254740993, '2026-01-01 00:00+05:30', 1.50)`)
    await source.run('update public.t set d = 2')
    expect(await opsAndKeys()).toEqual([
      ['insert', '[9007199254740993, "2025-12-31T18:30:00+00:00", 1.50]'],
      ['update', '[9007199254740993, "2025-12-31T18:30:00+00:00", 1.50]'],
    ])
  })
})

describe('a row written from two time zones', () => {
  it('has one key, and ends equal', async () => {
    await capture('id timestamptz primary key, n int')
    const [kolkata, newYork] = [await source.connect(), await source.connect()]
    await kolkata.run(
      `set timezone = 'Asia/Kolkata'; set datestyle = 'SQL, DMY'; insert into public.t values ('2026-11-01 11:30:00', 1), ('2026-11-01 12:30:00', 1)`,
    )
    await newYork.run(`set timezone = 'America/New_York'; update public.t set n = 2; delete from public.t where id = '2026-11-01 06:00:00+00'`)
    // Two moments that New York's clocks call alike.
    expect(new Set((await source.outbox()).map((row) => row.key))).toEqual(new Set(['["2026-11-01T06:00:00+00:00"]', '["2026-11-01T07:00:00+00:00"]']))
    await assertEndsEqual(source, 'public.t', 'id')
    expect(await source.value('select count(*) from public.t')).toBe('1')
  })
})

describe('a key that Postgres calls equal and prints anew', () => {
  it.each([
    ['numeric', '1.0', '1.00', '[1.0]', '[1.00]'],
    ['citext', `'Ana'`, `'ANA'`, '["Ana"]', '["ANA"]'],
    ['interval', `'24:00:00'`, `'1 day'`, '["24:00:00"]', '["1 day"]'],
    ['jsonb', `'1.0'`, `'1.00'`, '[1.0]', '[1.00]'],
    ['numeric[]', `'{1.0}'`, `'{1.00}'`, '[[1.0]]', '[[1.00]]'],
    ['text collate public.caseless', `'Ana'`, `'ANA'`, '["Ana"]', '["ANA"]'],
  ])('%s: the old text is deleted, the new one inserted', async (type, from, to, before, after) => {
    await (await source.connect('superuser')).run('create extension citext')
    await source.run(`create collation public.caseless (provider = icu, locale = 'und-u-ks-level2', deterministic = false)`)
    await capture(`id ${type} primary key, n int default 0`)
    await source.run(`insert into public.t values (${from})`)
    await source.run(`update public.t set id = ${to}`)
    await source.run(`insert into public.t values (${from}, 1) on conflict (id) do update set n = excluded.n`)
    await source.run(`insert into public.t values (${from}, 2) on conflict (id) do update set id = excluded.id`)
    expect(await opsAndKeys()).toEqual([
      ['insert', before],
      ['delete', before],
      ['insert', after],
      ['update', after],
      ['delete', after],
      ['insert', before],
    ])
    await assertEndsEqual(source, 'public.t', 'id')
    await source.run(`delete from public.t; insert into public.t values (${to})`)
    await assertEndsEqual(source, 'public.t', 'id')
    expect((await backlog(source)).failures).toBe(0)
  })
})

describe('keys that change', () => {
  beforeEach(async () => {
    await capture('id int primary key, name text')
    await source.run(`insert into public.t values (1, 'a'), (2, 'b'), (3, 'c')`)
    await source.emptyOutbox()
    // The reader of the stream begins with the three rows.
    await source.run('update public.t set name = name')
  })
  const names = async () => (await source.run('select id, name from public.t order by id')).map((row) => `${row['id']}${row['name']}`).join(' ')

  it('a delete and an insert, by an upsert too', async () => {
    await source.run(`insert into public.t values (1, 'x'), (9, 'n') on conflict (id) do update set id = t.id + 100, name = excluded.name`)
    expect((await opsAndKeys()).slice(3).toSorted((a, b) => String(a).localeCompare(String(b)))).toEqual([
      ['delete', '[1]'],
      ['insert', '[101]'],
      ['insert', '[9]'],
    ])
    await assertEndsEqual(source, 'public.t', 'id')
  })

  it('one statement that updates both rows to swap them is refused by Postgres itself, and leaves nothing', async () => {
    const before = await source.outbox()
    await expect(source.run('update public.t set id = case id when 1 then 2 else 1 end where id in (1, 2)')).rejects.toThrow('duplicate key')
    expect(await source.outbox()).toEqual(before)
  })

  it.each([
    [
      'two, deleted and inserted by one statement',
      `with gone as (delete from public.t where id in (1, 2) returning id, name), sorted as (select * from gone order by id)
       insert into public.t select 3 - id, name from sorted`,
      '1b 2a 3c',
    ],
    [
      'a cycle of three, deleted and inserted by one statement',
      `with gone as (delete from public.t returning id, name), sorted as (select * from gone order by id)
       insert into public.t select id % 3 + 1, name from sorted`,
      '1c 2a 3b',
    ],
    [
      'two, by statements of one transaction over a key in between',
      'begin; update public.t set id = 0 where id = 1; update public.t set id = 1 where id = 2; update public.t set id = 2 where id = 0; commit',
      '1b 2a 3c',
    ],
    ['a row of keys, of which each takes the next one’s place', 'update public.t set id = id - 1', '0a 1b 2c'],
    ['all signs', 'update public.t set id = -id; update public.t set id = 1 - id', '2a 3b 4c'],
  ])('that swap: %s', async (_, sql, end) => {
    await source.run(sql)
    expect(await names()).toBe(end)
    await assertEndsEqual(source, 'public.t', 'id')
  })

  it('within a user’s trigger, which moves whoever stands in the way', async () => {
    await source.run(`
      create function public.make_room() returns trigger language plpgsql as $$
      begin update public.t set id = id + 10 where id = new.id; return new; end $$;
      create trigger make_room before update of id on public.t for each row when (new.id < 10) execute function public.make_room()`)
    await source.run('update public.t set id = 2 where id = 1')
    expect(await names()).toBe('2a 3c 12b')
    await assertEndsEqual(source, 'public.t', 'id')
  })

  it('deleted and inserted again in one transaction and in two', async () => {
    await source.run(`begin; delete from public.t where id = 1; insert into public.t values (1, 'one'); commit`)
    await source.run('delete from public.t where id = 2')
    await source.run(`insert into public.t values (2, 'two')`)
    await source.run(`begin; insert into public.t values (4, 'd'); delete from public.t where id = 4; commit`)
    await source.run(`with gone as (delete from public.t where id = 3 returning *) insert into public.t select id, 'three' from gone`)
    const rows = (await source.outbox('public.t')).slice(3).map(({ op, key, after }) => [op, key, after])
    expect(rows).toEqual([
      ['delete', '[1]', null],
      ['insert', '[1]', '{"id":1,"name":"one"}'],
      ['delete', '[2]', null],
      ['insert', '[2]', '{"id":2,"name":"two"}'],
      ['insert', '[4]', '{"id":4,"name":"d"}'],
      ['delete', '[4]', null],
      // One statement: when its triggers look, the row is there again.
      ['update', '[3]', '{"id":3,"name":"three"}'],
      ['insert', '[3]', '{"id":3,"name":"three"}'],
    ])
    await assertEndsEqual(source, 'public.t', 'id')
  })
})

describe('a table whose key became another one', () => {
  const marks = async () => {
    const entry = (await backlog(source)).tables.find(({ table }) => table === 'public.t')
    return entry && { failures: entry.failures, marked: entry.reconcileSince !== null, lastFailure: entry.lastFailure }
  }
  const unmarked = { failures: 0, marked: false, lastFailure: null }
  const marked = {
    failures: 1,
    marked: true,
    lastFailure: '55000: the primary key became another one: rows that were there before need a reconcile, which ends those under old keys',
  }

  beforeEach(async () => {
    await capture('id int primary key, code varchar(20) not null')
    await source.run(`insert into public.t values (1, 'a'), (2, 'b')`)
  })

  it.each([
    ['other columns', 'alter table public.t drop constraint t_pkey, add primary key (code)'],
    ['one column more', 'alter table public.t drop constraint t_pkey, add primary key (id, code)'],
    ['another type', 'alter table public.t alter column id type text'],
    ['another column of its name', 'alter table public.t drop column id, add column new serial primary key; alter table public.t rename column new to id'],
  ])('is marked when it is captured anew: %s', async (_, ddl) => {
    await source.run(`${ddl}; select afluente.capture_table('public.t')`)
    expect(await marks()).toEqual(marked)
    await source.run(`select afluente.capture_table('public.t')`)
    expect(await marks()).toEqual(marked)
    await source.emptyOutbox()
    await source.run(`update public.t set code = code || '!'`)
    await assertEndsEqual(source, 'public.t', (await source.value(`select array_to_string(afluente.primary_key('public.t'), ', ')`)) ?? '')
  })

  it('is marked though a look came between', async () => {
    await source.run('alter table public.t alter column id type text')
    expect(await marks()).toMatchObject({ failures: 1, lastFailure: expect.stringMatching(/^55000: columns were changed.*\(id\)$/) })
    await source.run(`update afluente.captured_tables set failures = 0, reconcile_since = null; select afluente.capture_table('public.t')`)
    expect(await marks()).toEqual(marked)
  })

  it.each([
    ['made anew', 'alter table public.t drop constraint t_pkey, add primary key (id)'],
    ['renamed', 'alter table public.t rename column id to number'],
  ])('is not marked when it is merely %s', async (_, ddl) => {
    await source.run(`${ddl}; select afluente.capture_table('public.t')`)
    expect(await marks()).toEqual(unmarked)
  })
})
