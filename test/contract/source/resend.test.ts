/** Rows that are there go through once more, by key, beside whoever writes them. */
import { beforeEach, describe, expect, it } from 'vitest'
import { eventually } from '../../support/poll.ts'
import { backlog, claim, freshSource, resend } from '../../support/source.ts'
import { measureAnew } from '../../support/source-properties.ts'
import { mutate } from '../../support/mutate.ts'
import { assertReadsAreNeverStale, assertReadsKillNoWriter } from '../../support/resend-properties.ts'

const source = freshSource()
const items = 'public.items'

beforeEach(async () => {
  await source.run(`create table ${items} (id int primary key, name text); select afluente.capture_table('${items}')`)
  await source.run(`insert into ${items} values (1, 'a'), (2, 'b'), (3, 'c')`)
  await source.emptyOutbox()
})

const sent = async (table?: string) => (await source.outbox(table)).map(({ key, op, after }) => [key, op, after])

describe('rows that are sent again', () => {
  it('go out as reads, as they stand, each with a version of its own; those that are gone are named and left alone', async () => {
    expect(await resend(source, items, ['[1]', '[3]', '[9]', '[1]'])).toEqual({ sent: 2, locked: [], gone: ['[9]'], keeps: 'images' })
    expect(await sent()).toEqual([
      ['[1]', 'read', '{"id":1,"name":"a"}'],
      ['[3]', 'read', '{"id":3,"name":"c"}'],
    ])
    const rows = await source.outbox()
    expect(new Set(rows.map(({ version }) => version)).size).toBe(2)
    expect(rows[0]).toMatchObject({ source_table: items, topic: 'afluente.public.items', before: null })
  })

  it('are claimed like changes', async () => {
    await resend(source, items, ['[2]'])
    expect(await claim(source, 'capture')).toMatchObject({ status: 'held', rows: [[expect.any(Number), items, 'afluente.public.items', '[2]', 'read', null, '{"id":2,"name":"b"}', expect.any(String), null, null]] }) // prettier-ignore
  })

  it('leave excluded columns behind, and carry the trace of the call', async () => {
    await source.run(`create table public.people (id int primary key, secret text); select afluente.capture_table('public.people', exclude => '{secret}')`)
    await source.run(`insert into public.people values (1, 'hush')`)
    await source.emptyOutbox()
    const trace = '00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01'
    await source.run(`set afluente.traceparent = '${trace}'`)
    await resend(source, 'public.people', ['[1]'])
    expect(await source.outbox()).toMatchObject([{ op: 'read', after: '{"id":1}', traceparent: trace }])
  })

  it('lie in the shard of their key, among several', async () => {
    await source.run('select afluente.set_shards(4)')
    await resend(source, items, ['[1]', '[2]', '[3]'])
    const there = await source.run('select shard from afluente.outbox order by key')
    await source.emptyOutbox()
    await source.run(`update ${items} set name = name || '!'`)
    expect(await source.run('select shard from afluente.outbox order by key')).toEqual(there)
  })

  it('ring the doorbell where nobody is at work', async () => {
    const superuser = await source.connect('superuser')
    await superuser.run(
      `select vault.create_secret('http://127.0.0.1:9/', 'afluente_capture_url'); select vault.create_secret('0123456789abcdef', 'afluente_webhook_secret')`,
    )
    const rung = async () => Number(await superuser.value('select last_value from afluente.last_rung'))
    await superuser.run(`select setval('afluente.last_rung', 0)`)
    await resend(source, items, ['[9]'])
    expect(await rung()).toBe(0)
    await resend(source, items, ['[1]'])
    expect(await rung()).toBeGreaterThan(0)
    await superuser.run(`select setval('afluente.last_rung', 0); update afluente.shards set leased_until = clock_timestamp() + interval '1 minute'`)
    await resend(source, items, ['[1]'])
    expect(await rung()).toBe(0)
  })

  it.each([
    ['uuid', `'00000000-0000-0000-0000-00000000000a'`, '["00000000-0000-0000-0000-00000000000A"]'],
    ['timestamptz', `'2026-01-01 00:00:00+00'`, '["2026-01-01T00:00:00Z"]'],
    ['numeric', '1.00', '[1.0]'],
    ['text', `'a'`, '["a" ]'],
    ['text[]', `'{a}'`, '[["a"] ]'],
    ['jsonb', `'null'`, '[ null]'],
  ])('have no second name: another text of a key of %s is a key that is gone', async (type, value, other) => {
    await source.run(`create table public.keyed (id ${type} primary key); insert into public.keyed values (${value})`)
    await source.run(`select afluente.capture_table('public.keyed')`)
    const key = (await source.value('select jsonb_build_array(id)::text from public.keyed')) ?? ''
    const odd = await source.connect()
    await odd.run(`set timezone = 'Asia/Kolkata'; set datestyle = 'German'`)
    const utc = await source.connect()
    await utc.run(`set timezone = 'UTC'`)
    const own = (await utc.value('select jsonb_build_array(id)::text from public.keyed')) ?? key
    expect(await resend(odd, 'public.keyed', [own, other])).toEqual({ sent: 1, locked: [], gone: [other], keeps: 'images' })
    expect((await source.outbox('public.keyed')).map((row) => row.key)).toEqual([own])
  })
})

describe('a row that somebody writes', () => {
  it.each([
    ['updates', `update ${items} set name = 'new' where id = 1`, '{"id":1,"name":"new"}'],
    ['locks', `select from ${items} where id = 1 for update`, '{"id":1,"name":"a"}'],
    ['puts in again', `delete from ${items} where id = 1; insert into ${items} values (1, 'again')`, '{"id":1,"name":"again"}'],
  ])('(%s) is named as locked, without waiting, and goes out as it is afterwards', async (_, statement, after) => {
    const user = await source.connect()
    await user.run(`begin; ${statement}`)
    expect(await resend(source, items, ['[1]', '[2]'])).toEqual({ sent: 1, locked: ['[1]'], gone: [], keeps: 'images' })
    await user.run('commit')
    expect(await resend(source, items, ['[1]'])).toMatchObject({ sent: 1 })
    expect((await source.outbox()).at(-1)).toMatchObject({ key: '[1]', op: 'read', after })
  })

  it('(deletes) is gone afterwards, and no read follows its delete', async () => {
    const user = await source.connect()
    await user.run(`begin; delete from ${items} where id = 1`)
    expect(await resend(source, items, ['[1]'])).toMatchObject({ sent: 0, locked: ['[1]'] })
    await user.run('commit')
    expect(await resend(source, items, ['[1]'])).toMatchObject({ sent: 0, gone: ['[1]'] })
    expect(await sent()).toEqual([['[1]', 'delete', null]])
  })

  it('(inserts) is gone as long as its insert is open: that one is captured', async () => {
    const user = await source.connect()
    await user.run(`begin; insert into ${items} values (4, 'd')`)
    expect(await resend(source, items, ['[4]'])).toMatchObject({ sent: 0, gone: ['[4]'] })
    await user.run('commit')
    expect(await sent()).toEqual([['[4]', 'insert', '{"id":4,"name":"d"}']])
  })

  it('(refers to) is sent: a foreign key holds it against deletes alone', async () => {
    const user = await source.connect()
    await user.run(`create table public.parts (id int references ${items}); begin; insert into public.parts values (1)`)
    expect(await resend(source, items, ['[1]'])).toMatchObject({ sent: 1, locked: [] })
    await user.run('commit')
  })

  it('waits no longer than the table is altered: everything is asked for again', async () => {
    const user = await source.connect()
    await user.run(`begin; alter table ${items} add column extra int`)
    const started = performance.now()
    expect(await resend(source, items, ['[1]', '[9]'])).toEqual({ sent: 0, locked: ['[1]', '[9]'], gone: [], keeps: 'images' })
    expect(performance.now() - started).toBeLessThan(2_000)
    await user.run('commit')
    expect(await resend(source, items, ['[1]', '[9]'])).toMatchObject({ sent: 1, gone: ['[9]'] })
  })

  it('after the sending began, and before its turn, is sent as it is then', async () => {
    // Printing a value of the type takes long, and says when it is under way.
    await source.run(`
      create type public.slow as enum ('slow', 'quick');
      create function public.slow_json(value public.slow) returns json language plpgsql as $$
      begin
        if value = 'slow' then
          perform pg_sleep(1);
        end if;
        return to_json(value::text);
      end $$;
      create cast (public.slow as json) with function public.slow_json(public.slow);
      create table public.slowly (id int primary key, n int, printed public.slow not null default 'quick'); select afluente.capture_table('public.slowly')`)
    await source.run(`insert into public.slowly (id, n) values (1, 0), (2, 0), (3, 0), (4, 0)`)
    await source.run(`alter table public.slowly disable trigger user; update public.slowly set printed = 'slow' where id = 1`)
    await source.run(`alter table public.slowly enable always trigger afluente_update; alter table public.slowly enable always trigger afluente_delete`)
    const sender = await source.connect()
    const pid = await sender.value('select pg_backend_pid()')
    const sending = resend(sender, 'public.slowly', ['[1]', '[2]', '[3]', '[4]'])
    await eventually('it prints the first', async () => (await source.value('select wait_event from pg_stat_activity where pid = $1', [pid])) === 'PgSleep')
    await source.run('update public.slowly set n = 1 where id = 2; update public.slowly set n = 2 where id = 2; delete from public.slowly where id = 3')
    const user = await source.connect()
    await user.run('begin; update public.slowly set n = 1 where id = 4')
    expect(await sending).toEqual({ sent: 2, locked: ['[3]', '[4]'], gone: [], keeps: 'images' })
    await user.run('rollback')
    const rows = (await source.outbox('public.slowly')).filter(({ op }) => op !== 'insert')
    expect(rows.map(({ after, key, op }) => [key, op, after])).toEqual([
      ['[2]', 'update', '{"id":2,"n":1,"printed":"quick"}'],
      ['[2]', 'update', '{"id":2,"n":2,"printed":"quick"}'],
      ['[3]', 'delete', null],
      ['[1]', 'read', '{"id":1,"n":0,"printed":"slow"}'],
      ['[2]', 'read', '{"id":2,"n":2,"printed":"quick"}'],
    ])
    expect(await resend(source, 'public.slowly', ['[3]', '[4]'])).toEqual({ sent: 1, locked: [], gone: ['[3]'], keeps: 'images' })
  })

  it('and moves to another partition meanwhile is sent from there', async () => {
    await source.run(`
      create table public.parted (id int, part int, n int, primary key (id, part)) partition by list (part);
      create table public.parted_1 partition of public.parted for values in (1); create table public.parted_2 partition of public.parted for values in (2);
      select afluente.capture_table('public.parted'); insert into public.parted values (1, 1, 0), (2, 1, 0)`)
    await source.emptyOutbox()
    const user = await source.connect()
    await user.run('begin; update public.parted set part = 2 where id = 1')
    expect(await resend(source, 'public.parted', ['[1, 1]', '[1, 2]', '[2, 1]'])).toEqual({ sent: 1, locked: ['[1, 1]'], gone: ['[1, 2]'], keeps: 'images' })
    await user.run('commit')
    expect(await resend(source, 'public.parted', ['[1, 1]', '[1, 2]'])).toEqual({ sent: 1, locked: [], gone: ['[1, 1]'], keeps: 'images' })
  })
})

describe('above the outbox’s budget', () => {
  it('keys alone are kept, the table is marked, and claim sends the rows as they stand', async () => {
    await measureAnew(source, 1)
    expect(await resend(source, items, ['[1]', '[2]', '[9]'])).toEqual({ sent: 2, locked: [], gone: ['[9]'], keeps: 'keys' })
    expect(await sent()).toEqual([
      ['[1]', 'update', null],
      ['[2]', 'update', null],
    ])
    await source.run('update public.items set name = $$late$$ where id = 1; delete from public.items where id = 2')
    const claimed = await claim(source, 'capture')
    expect(claimed.status === 'held' ? claimed.rows.slice(0, 2).map(([, , , key, op, , after]) => [key, op, after]) : []).toEqual([
      ['[1]', 'read', '{"id":1,"name":"late"}'],
      ['[2]', 'delete', null],
    ])
    expect((await backlog(source)).tables.find(({ table }) => table === items)).toMatchObject({ keysOnlySince: expect.any(String), failures: 0 })
  })

  it('far above it nothing is sent, and nothing is lost: all is to be asked for again', async () => {
    await measureAnew(source, 2)
    expect(await resend(source, items, ['[1]', '[2]'])).toEqual({ sent: 0, locked: ['[1]', '[2]'], gone: [], keeps: 'nothing' })
    expect(await sent()).toEqual([])
    expect((await backlog(source)).failures).toBe(0)
  })

  it('is measured anew where nobody else did for long', async () => {
    await source.run(`select setval('afluente.outbox_measured', 2)`)
    expect(await resend(source, items, ['[1]'])).toMatchObject({ sent: 1, keeps: 'images' })
  })
})

describe('refused, and nothing done', () => {
  it.each([
    ['a table that is not captured', `select afluente.resend_rows('public.plain', '{[1]}')`, /public\.plain|plain is not captured/],
    ['no table', `select afluente.resend_rows(null, '{[1]}')`, /null is not captured/],
    ['a key of another type', `select afluente.resend_rows('${items}', array['["x"]'])`, /invalid input syntax for type integer/],
    ['an old snapshot', `begin isolation level repeatable read; select afluente.resend_rows('${items}', '{[1]}')`, /READ COMMITTED|old snapshot/],
  ])('%s', async (_, statement, reason) => {
    const session = await source.connect()
    await session.run('create table public.plain (id int primary key)')
    await expect(session.run(statement)).rejects.toThrow(reason)
    expect(await source.outbox()).toEqual([])
  })

  it('a table that came out of a dump and excludes columns', async () => {
    await source.run(`create table public.people (id int primary key, secret text); select afluente.capture_table('public.people', exclude => '{secret}')`)
    await source.run(`update afluente.captured_tables set numbers_of = 1 where table_name = 'people'`)
    await expect(resend(source, 'public.people', ['[1]'])).rejects.toThrow('came out of a dump')
  })

  it('no key is no work', async () => {
    expect(await resend(source, items, [])).toEqual({ sent: 0, locked: [], gone: [], keeps: 'images' })
  })
})

describe('beside writers of the same few rows', () => {
  it('no read is older than what was written before it, none brings a deleted row back, and no writer fails', async () => {
    await assertReadsAreNeverStale(source)
  })

  it('whoever takes its rows in one order is never told to give up', async () => {
    await assertReadsKillNoWriter(source)
  })

  async function mutateLocker(from: string | RegExp, to: string, table: string): Promise<void> {
    const name = await source.value(`select 'afluente.lock' || substr(function_name, 8) from afluente.captured_tables where table_name = $1`, [table])
    await mutate(source, name ?? '', from, to)
  }

  it.each([
    ['without the lock', (table: string) => mutateLocker('for share skip locked', '', table)],
    ['with a lock against deletes alone', (table: string) => mutateLocker('for share skip locked', 'for key share skip locked', table)],
  ])('%s old images would go out', async (_, sabotage) => {
    await expect(assertReadsAreNeverStale(source, { sabotage: () => sabotage('hot') })).rejects.toThrow('the read of')
  })

  it('waiting for a row, it would kill writers', async () => {
    const waits = async () => {
      await mutateLocker('for share skip locked', 'for share', 'hot')
      await mutate(source, 'afluente.resend_rows', "'100ms'", "'0'")
    }
    await expect(assertReadsKillNoWriter(source, { sabotage: waits })).rejects.toThrow(/deadlock/)
  })
})
