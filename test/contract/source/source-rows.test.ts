/** Reading a source table by key, over SOURCE_DATABASE_URL: in the key's order, whatever the key is made of, and never writing. */
import { afterEach, beforeEach, describe, expect, it } from 'vitest'
import { type ReadOnlyDb, sourceDb } from '../../../shared/adapters/postgres/source-db.ts'
import { sourceRows } from '../../../shared/adapters/postgres/source-rows.ts'
import { describeQuery, pageQuery, shapeOf } from '../../../shared/adapters/postgres/source-selection.ts'
import { settle } from '../../../shared/engine/settled.ts'
import type { Selection, SourceRows } from '../../../shared/ports/source-rows.ts'
import { eventually } from '../../support/poll.ts'
import { freshSource } from '../../support/source.ts'

const source = freshSource()
const signal = new AbortController().signal
let db: ReadOnlyDb
let rows: SourceRows

beforeEach(async () => {
  await (
    await source.connect('superuser')
  ).run(
    `do $$ begin create role reader login; exception when duplicate_object then null; end $$; alter role reader set datestyle = 'German'; alter role reader set timezone = 'Asia/Kolkata'`,
  )
  await source.run('grant usage on schema public to reader')
  const url = new URL(source.database.url)
  url.username = 'reader'
  db = sourceDb({ connectionString: url.href })
  rows = sourceRows({ db })
})

afterEach(() => db.close())

const of = (table: string, more: Partial<Selection> = {}): Selection => ({ table, condition: null, since: null, ...more })

/** All keys, in pages of so many. */
async function keysOf(selection: Selection, page: number): Promise<readonly string[]> {
  const keys: string[] = []
  for (;;) {
    const found = await rows.page(selection, keys.at(-1) ?? null, page, { signal })
    keys.push(...found.map(({ key }) => key))
    if (found.length < page) return keys
  }
}

describe('pages', () => {
  it.each([
    ['int', `generate_series(-3, 4)`],
    ['bigint', `generate_series(9007199254740990, 9007199254740996)`],
    ['uuid', `gen_random_uuid() from generate_series(1, 9)`],
    ['text', `unnest(array['a', 'B', 'ä', '"', 'a b', '''', '\\', '', 'z', '☃'])`],
    ['text collate "C"', `unnest(array['a', 'B', 'ä', 'Ä', '', 'z'])`],
    ['varchar(9)', `unnest(array['b', 'a', 'c d'])`],
    ['char(4)', `unnest(array['b', 'a', 'cd'])`],
    ['numeric', `unnest('{1.00,1.1,-5,10000000000000000000000.5,NaN}'::numeric[])`],
    ['numeric(9,2)', `unnest('{1.00,1.1,-5}'::numeric[])`],
    ['float8', `unnest('{0.1,0.30000000000000004,-1e300,NaN,Infinity}'::float8[])`],
    ['timestamptz', `unnest('{2026-01-01 00:00:00.000001+05:30,infinity,-infinity,0044-03-15 10:00:00+00 BC}'::timestamptz[])`],
    ['timestamp', `unnest('{2026-01-01 00:00:00.000001,infinity}'::timestamp[])`],
    ['date', `unnest('{2026-01-01,-infinity,0044-03-15 BC}'::date[])`],
    ['interval', `unnest('{1 mon 2 days,-1 days,00:00:00.000001}'::interval[])`],
    ['bytea', String.raw`unnest(array['\x00ff', '\x', '\xff']::bytea[])`],
    ['boolean', `unnest('{t,f}'::boolean[])`],
    ['inet', `unnest('{10.0.0.1/8,10.0.0.1,::1}'::inet[])`],
    ['int[]', `unnest(array['{1,2}', '{}', '{2}', null]::text[])::int[] limit 3`],
    ['jsonb', `unnest(array['{"a":1}', 'null', '[1,"x"]', '"x"']::jsonb[])`],
    ['public.mood', `unnest('{sad,ok,"so so"}'::public.mood[])`],
    ['public.code', `unnest('{ab,cd}'::text[])::public.code`],
    ['citext', `unnest('{a,B,c,D}'::citext[])`],
  ])('hold each key of %s once, in its order, as the triggers write it', async (type, values) => {
    const superuser = await source.connect('superuser')
    await superuser.run('create extension if not exists citext')
    await source.run(`
      create type public.mood as enum ('ok', 'sad', 'so so'); create domain public.code as text check (length(value) = 2);
      create table public.keyed (id ${type} primary key); select afluente.capture_table('public.keyed'); grant select on public.keyed to reader;
      insert into public.keyed select ${values}`)
    const written = new Set((await source.outbox('public.keyed')).map(({ key }) => key))
    expect(written.size).toBeGreaterThan(1)
    const all = await keysOf(of('public.keyed'), 1_000)
    expect(new Set(all)).toEqual(written)
    for (const page of [1, 2, 3]) expect(await keysOf(of('public.keyed'), page), `pages of ${page}`).toEqual(all)
    const ordered = await source.connect()
    await ordered.run(`set timezone = 'UTC'`)
    expect(all).toEqual((await ordered.run('select jsonb_build_array(id)::text as key from public.keyed order by id')).map((row) => row['key']))
  })

  it('go on behind a key of several columns, straight from its index', async () => {
    await source.run(`
      create table public.many (tenant int, name text collate "C", id bigint, primary key (tenant, name, id)); select afluente.capture_table('public.many');
      grant select on public.many to reader;
      insert into public.many select n % 3, 'n' || n % 7, n from generate_series(1, 20000) n; analyze public.many`)
    const all = await keysOf(of('public.many'), 777)
    expect(all).toHaveLength(20_000)
    const ordered = await source.run('select jsonb_build_array(tenant, name, id)::text as key from public.many order by tenant, name, id')
    expect(all).toEqual(ordered.map(({ key }) => key))
    const shape = shapeOf((await db.read(describeQuery('public.many'), { signal })).rows)
    if (shape === undefined) throw new Error('public.many has no shape')
    const { text, ...how } = pageQuery(shape, of('public.many'), all[15_000] ?? null, 100)
    const plan = (await db.read({ text: `explain ${text}`, ...how }, { signal })).rows.map((row) => String(row['QUERY PLAN'])).join('\n')
    expect(plan).toMatch(/Index Only Scan using many_pkey[^]*Index Cond: \(ROW\(tenant, name, id\) > ROW\(/)
    expect(plan).not.toMatch(/Sort|Seq Scan/)
  })

  it('hold the rows of a partitioned table’s partitions, and not those of a table that inherits', async () => {
    await source.run(`
      create table public.parted (id int primary key) partition by range (id); create table public.parted_1 partition of public.parted for values from (0) to (10);
      create table public.parted_2 partition of public.parted for values from (10) to (20); insert into public.parted select generate_series(1, 19);
      create table public.parent (id int primary key); create table public.child () inherits (public.parent); insert into public.parent values (1); insert into public.child values (2);
      grant select on public.parted, public.parent to reader`)
    expect(await keysOf(of('public.parted'), 4)).toHaveLength(19)
    expect(await keysOf(of('public.parent'), 4)).toEqual(['[1]'])
  })

  it('tell a row’s status, and the day of its last change', async () => {
    await source.run(`
      create table public.told (id int primary key, status text, created_at timestamptz, updated_at timestamptz); grant select on public.told to reader;
      insert into public.told values (1, 'new', '2026-01-01 23:30+00', '2026-01-02 23:30+00'), (2, null, '2026-01-03 00:30+00', null)`)
    expect(await rows.page(of('public.told'), null, 9, { signal })).toEqual([
      { key: '[1]', status: 'new', day: '2026-01-02' },
      { key: '[2]', status: null, day: '2026-01-03' },
    ])
  })
})

describe('a selection', () => {
  beforeEach(async () => {
    await source.run(`
      create table public.told (id int primary key, n int, status text, created_at timestamptz, updated_at timestamptz); grant select on public.told to reader;
      insert into public.told select n, n % 5, 'new', now() - n * interval '1 hour', case when n % 2 = 0 then now() - n * interval '1 minute' end from generate_series(1, 100) n;
      create table public.bare (id int primary key); grant select on public.bare to reader; insert into public.bare values (1)`)
  })

  it('by condition holds the rows that meet it, page by page', async () => {
    expect(await keysOf(of('public.told', { condition: 'n = 3 or n = 4 -- two of five' }), 7)).toHaveLength(40)
    expect(await keysOf(of('public.told', { condition: `id in (select id from told where status = 'new' limit 5)` }), 2)).toHaveLength(5)
  })

  it('by time takes updated_at, and created_at where that is null', async () => {
    const since = new Date(Date.now() - 30 * 60_000 - 1).toISOString()
    const expected = await source.value(`select count(*) from public.told where coalesce(updated_at, created_at) >= $1`, [since])
    expect(await keysOf(of('public.told', { since }), 7)).toHaveLength(Number(expected))
    expect(await rows.check(of('public.bare', { since }), { signal })).toMatchObject({
      ok: false,
      reason: expect.stringMatching(/no column updated_at or created_at/),
    })
  })

  it('is estimated: exact for few rows, with its condition', async () => {
    expect(await rows.estimate(of('public.told'), { signal })).toBe(100)
    expect(await rows.estimate(of('public.told', { condition: 'n = 3' }), { signal })).toBe(20)
  })

  it.each([
    ['a column that is not there', 'nn = 3', /column "nn" does not exist/],
    ['no condition', 'n +', /syntax error/],
    ['what is not true or false', 'n', /boolean/],
    ['what closes our parenthesis', 'true) or (true', /syntax error/],
    ['what leaves a case of ours', 'true then false when true', /syntax error/],
    ['a comment that is never closed', 'true /*', /comment/],
    ['another statement', 'true; select 1', /syntax error|multiple commands/],
    ['an aggregate', 'count(*) > 1', /aggregate/],
  ])('is refused with its reason when its condition is %s', async (_, condition, reason) => {
    expect(await rows.check(of('public.told', { condition }), { signal })).toMatchObject({ ok: false, reason: expect.stringMatching(reason) })
  })

  it('is refused for a table without a primary key, and one that is not there', async () => {
    await source.run('create table public.keyless (id int); grant select on public.keyless to reader')
    for (const table of ['public.keyless', 'public.nothing']) expect(await rows.check(of(table), { signal })).toMatchObject({ ok: false })
  })
})

describe('reading', () => {
  it('writes nothing, whatever a condition calls', async () => {
    await source.run(`
      create table public.told (id int primary key); insert into public.told values (1); grant all on public.told to reader;
      create function public.sneaky() returns boolean language plpgsql as $$ begin delete from public.told; return true; end $$`)
    await expect(rows.page(of('public.told', { condition: 'public.sneaky()' }), null, 9, { signal })).rejects.toMatchObject({ kind: 'refused', code: '25006' })
    expect(await source.value('select count(*) from public.told')).toBe('1')
  })

  it('without the right says what to grant, and a value of a row is in no message', async () => {
    await source.run(`create table public.told (id int primary key, name text); insert into public.told values (1, 'secret')`)
    await expect(rows.page(of('public.told'), null, 9, { signal })).rejects.toMatchObject({
      kind: 'misconfigured',
      message: expect.stringMatching(/grant it select/),
    })
    await source.run('grant select on public.told to reader')
    const failed = await rows.page(of('public.told', { condition: 'name::int = 1' }), null, 9, { signal }).catch((error: unknown) => error)
    expect(failed).toMatchObject({ kind: 'refused', code: '22P02' })
    expect(String(failed)).not.toContain('secret')
  })

  it('keeps no transaction open between pages, nor after a failure', async () => {
    await source.run('create table public.told (id int primary key); grant select on public.told to reader; insert into public.told values (1)')
    await rows.page(of('public.told'), null, 9, { signal })
    await rows.page(of('public.told', { condition: '1/(id-1) = 1' }), null, 9, { signal }).catch(() => undefined)
    await rows.page(of('public.told'), null, 9, { signal })
    const superuser = await source.connect('superuser')
    expect(await superuser.value(`select count(*) from pg_stat_activity where usename = 'reader' and state <> 'idle'`)).toBe('0')
  })

  it('ends when it is told to', async () => {
    await source.run('create table public.told (id int primary key); grant select on public.told to reader; insert into public.told values (1)')
    const ending = new AbortController()
    const reading = rows.page(of('public.told', { condition: 'pg_sleep(60) is not null' }), null, 9, { signal: ending.signal })
    ending.abort()
    await expect(reading).rejects.toMatchObject({ name: 'AbortError' })
  })

  it('over a connection that breaks under it is unavailable, and the next is sound', async () => {
    await source.run('create table public.told (id int primary key); grant select on public.told to reader; insert into public.told values (1)')
    const reading = settle(rows.page(of('public.told', { condition: 'pg_sleep(60) is not null' }), null, 9, { signal }))
    const superuser = await source.connect('superuser')
    await eventually('it is cut', async () => {
      const cut = `select count(pg_terminate_backend(a.pid)) from (select pid from pg_stat_activity where usename = 'reader' and query like '%pg_sleep%' offset 0) a`
      return (await superuser.value(cut)) === '1'
    })
    expect(await reading).toMatchObject({ ok: false, error: { kind: 'unavailable' } })
    expect(await rows.page(of('public.told'), null, 9, { signal })).toHaveLength(1)
  })

  it('of a server that is away is unavailable', async () => {
    const away = sourceDb({ connectionString: 'postgres://reader@127.0.0.1:9/postgres' })
    await expect(away.read({ text: 'select 1', values: [] }, { signal })).rejects.toMatchObject({ kind: 'unavailable' })
    await away.close()
  })
})
