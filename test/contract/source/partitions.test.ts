/** Partitions: there from the start, attached or made later, detached, dropped, in layers; written through the root and straight. */
import { beforeEach, describe, expect, it } from 'vitest'
import { backlog, freshSource } from '../../support/source.ts'
import { assertEndsEqual } from '../../support/source-properties.ts'

const source = freshSource()

beforeEach(async () => {
  // The columns of one partition stand in another order; it has lost one besides.
  await source.run(`
    create table public.log (day date, id int, name text, primary key (day, id)) partition by range (day);
    create table public.log_2025 (gone int, name text, id int not null, day date not null);
    alter table public.log_2025 drop column gone;
    alter table public.log attach partition public.log_2025 for values from ('2025-01-01') to ('2026-01-01');
    create table public.log_2026 partition of public.log for values from ('2026-01-01') to ('2027-01-01')`)
  await source.run(`select afluente.capture_table('public.log')`)
})

const entry = async () => (await backlog(source)).tables.find(({ table }) => table === 'public.log')
const assertEqual = () => assertEndsEqual(source, 'public.log', 'day, id')
const triggersOn = (table: string) => source.value(`select count(*) from pg_trigger where tgname like 'afluente%' and tgrelid = '${table}'::regclass`)
const make2027 = `create table public.log_2027 partition of public.log for values from ('2027-01-01') to ('2028-01-01')`

describe('partitions that were there', () => {
  it('are captured through the root and straight, under the root’s name, with the root’s columns', async () => {
    await source.run(`insert into public.log values ('2025-05-05', 1, 'a'), ('2026-05-05', 2, 'b')`)
    await source.run(`insert into public.log_2025 (day, id, name) values ('2025-06-06', 3, 'c')`)
    await source.run(`update public.log_2026 set name = 'B' where id = 2`)
    await source.run('delete from public.log_2025 where id = 1')
    expect((await source.outbox()).map(({ op, source_table, key, before, after }) => [op, source_table, key, after ?? before])).toEqual([
      ['insert', 'public.log', '["2025-05-05", 1]', '{"day":"2025-05-05","id":1,"name":"a"}'],
      ['insert', 'public.log', '["2026-05-05", 2]', '{"day":"2026-05-05","id":2,"name":"b"}'],
      ['insert', 'public.log', '["2025-06-06", 3]', '{"day":"2025-06-06","id":3,"name":"c"}'],
      ['update', 'public.log', '["2026-05-05", 2]', '{"day":"2026-05-05","id":2,"name":"B"}'],
      ['delete', 'public.log', '["2025-05-05", 1]', expect.stringContaining('"name":"a"')],
    ])
    await assertEqual()
  })

  it('a row that moves from one to another, alone and with others, is deleted under its old key and inserted under its new one', async () => {
    await source.run(`insert into public.log values ('2025-05-05', 1, 'a'), ('2025-05-05', 2, 'b'), ('2026-05-05', 3, 'c')`)
    await source.emptyOutbox()
    await source.run(`update public.log set day = '2026-05-05' where id = 1`)
    expect((await source.outbox()).map(({ op, key }) => [op, key])).toEqual([
      ['delete', '["2025-05-05", 1]'],
      ['insert', '["2026-05-05", 1]'],
    ])
    await source.run(`update public.log set name = name`)
    await source.run(`update public.log set day = day + case when id = 3 then -365 else 100 end, name = name || '!'`)
    await assertEqual()
    await source.run(`insert into public.log values ('2025-05-05', 3, 'x') on conflict (day, id) do update set name = 'upserted'`)
    await source.run(
      `merge into public.log l using (values (1), (9)) s (id) on l.id = s.id when matched then update set name = 'merged' when not matched then insert values ('2026-01-01', 9, 'merged')`,
    )
    await assertEqual()
  })

  const moves = `merge into public.log l using (values (1), (2)) s (id) on l.id = s.id when matched then update set day = l.day + case when l.id = 2 then 0 when l.day < '2026-01-01' then 365 else -365 end, name = 'merged'`

  it('a row that a MERGE moves is deleted under its old key and inserted under its new one', async () => {
    await source.run(`insert into public.log values ('2025-05-05', 1, 'a'), ('2025-05-05', 2, 'b'), ('2026-05-05', 3, 'c')`)
    await source.emptyOutbox()
    await source.run(moves)
    expect((await source.outbox()).map(({ op, key, after }) => [op, key, after])).toEqual([
      ['delete', '["2025-05-05", 1]', null],
      ['insert', '["2026-05-05", 1]', '{"day":"2026-05-05","id":1,"name":"merged"}'],
      ['update', '["2025-05-05", 2]', '{"day":"2025-05-05","id":2,"name":"merged"}'],
    ])
    expect(await entry()).toMatchObject({ failures: 0 })
  })

  it.each([
    ['prepared', `prepare moving as ${moves}; execute moving; deallocate moving`],
    ['in a function', `do $$ begin ${moves}; end $$`],
    [
      'with triggers of the user’s own, which update meanwhile',
      `update public.log set name = 'before'; create function public.meanwhile() returns trigger language plpgsql as $$ begin update public.log set name = name where id = 3; return new; end $$;
      create trigger a before insert or update or delete on public.log for each statement when (pg_trigger_depth() = 0) execute function public.meanwhile();
      create trigger b before insert on public.log for each row when (pg_trigger_depth() = 0) execute function public.meanwhile()`,
    ],
    [
      'in a partition of partitions',
      `create table public.log_2028 partition of public.log for values from ('2028-01-01') to ('2029-01-01') partition by hash (id);
      create table public.log_2028_0 partition of public.log_2028 for values with (modulus 2, remainder 0);
      create table public.log_2028_1 partition of public.log_2028 for values with (modulus 2, remainder 1);
      select afluente.backlog(); insert into public.log select '2028-01-01', n from generate_series(1, 40) n;
      merge into public.log_2028 l using generate_series(1, 20) n on l.id = n when matched then update set id = l.id + 100`,
    ],
    [
      'in a partition that came a moment ago',
      `${make2027}; merge into public.log l using (values (3)) s (id) on l.id = s.id when matched then update set day = '2027-01-01'`,
    ],
    [
      'beside rows it deletes and inserts',
      `merge into public.log l using (values (1, '2026-05-05'::date), (2, null), (3, '2025-05-05'), (9, '2025-05-05')) s (id, day) on l.id = s.id
      when matched and s.day is null then delete when matched then update set day = s.day when not matched then insert values (s.day, s.id, 'new')`,
    ],
    ['in the role of a replica', `set session_replication_role = replica; ${moves}`],
  ])('a row that a MERGE moves: %s', async (_, sql) => {
    const session = await source.connect(sql.includes('session_replication_role') ? 'superuser' : 'owner')
    await source.run(`insert into public.log values ('2025-05-05', 1, 'a'), ('2025-05-05', 2, 'b'), ('2026-05-05', 3, 'c')`)
    await session.run(sql)
    await assertEqual()
    await session.run(moves)
    await assertEqual()
    // A partition that was written to before it was adopted marks its table.
    expect(await entry()).toMatchObject({ failures: sql.includes('2027') ? 2 : 0, problem: null })
  })

  it('rows that several sessions’ MERGEs move to and fro, some of which are undone', async () => {
    await source.run(`insert into public.log select '2025-01-01'::date + n, n, 'a' from generate_series(1, 20) n`)
    const sessions = await Promise.all([1, 2, 3].map(() => source.connect()))
    const move = (days: number, name: string) => `merge into public.log l using generate_series(1, 20) n on l.id = n
      when matched and l.id % 2 = ${days < 0 ? 0 : 1} then update set day = '2025-06-01'::date + l.id + ${Math.max(0, days)}, name = '${name}' when matched then update set name = '${name}'`
    await Promise.all(
      sessions.map(async (session, at) => {
        for (let round = 0; round < 8; round += 1) {
          // Two may meet: one of them is told to try again, or both wait for each other.
          await session
            .run(`begin; ${move(round % 2 === 0 ? 365 : -1, `${at}.${round}`)}; ${round % 3 === 0 ? 'rollback' : 'commit'}`)
            .catch(() => session.run('rollback'))
        }
      }),
    )
    await assertEqual()
    expect(await entry()).toMatchObject({ failures: 0 })
  })

  it('a key that a MERGE changes after it inserted another row', async () => {
    await source.run(`insert into public.log values ('2025-05-05', 1, 'a'), ('2026-05-05', 2, 'b')`)
    await source.run(`set enable_hashjoin = off; set enable_mergejoin = off`)
    await source.run(`merge into public.log l using (select * from (values (9), (2), (8), (1)) v (id) offset 0) s on l.id = s.id
      when matched then update set id = l.id + 100 when not matched then insert values ('2025-01-01', s.id, 'new')`)
    await assertEqual()
    expect(await source.value('select count(*) from public.log where id > 100')).toBe('2')
  })

  it('what a client updates, upserts, deletes and merges without moving a row is sent once', async () => {
    await source.run(`insert into public.log values ('2025-05-05', 1, 'a'), ('2025-05-05', 2, 'b')`)
    await source.emptyOutbox()
    await source.run(
      `begin; merge into public.log l using (values (1), (5)) s (id) on l.id = s.id when matched then update set name = 'm' when not matched then insert values ('2025-01-01', 5, 'm'); commit`,
    )
    await source.run(`insert into public.log values ('2025-05-05', 1, 'u'), ('2025-05-05', 6, 'u') on conflict (day, id) do update set name = 'u'`)
    await source.run(`update public.log set day = day + 365 where id = 1`)
    await source.run(`delete from public.log where id = 2`)
    expect((await source.outbox()).map(({ op, key }) => `${op} ${key}`)).toEqual([
      'update ["2025-05-05", 1]',
      'insert ["2025-01-01", 5]',
      'update ["2025-05-05", 1]',
      'insert ["2025-05-05", 6]',
      'delete ["2025-05-05", 1]',
      'insert ["2026-05-05", 1]',
      'delete ["2025-05-05", 2]',
    ])
    await assertEqual()
  })

  it('triggers of moved rows that are missing or switched off are seen', async () => {
    const names = await source.run(
      `select tgname from pg_trigger where tgrelid = 'public.log'::regclass and tgname ~ '_(moved_out|moved_in|never)_[0-9a-f]{8}$'`,
    )
    expect(names).toHaveLength(3)
    for (const { tgname } of names) {
      const name = tgname ?? ''
      await source.run(`alter table public.log_2026 disable trigger ${name}`)
      expect((await entry())?.problem).toContain(`log_2026.${name}`)
      await source.run(`select afluente.capture_table('public.log')`)
      expect(await entry()).toMatchObject({ problem: null })
    }
    await source.run('drop trigger afluente_merge on public.log')
    expect((await entry())?.problem).toContain('log.afluente_merge')
  })

  it('with triggers of the user’s own on the root, which move the row on', async () => {
    await source.run(`
      create function public.move() returns trigger language plpgsql as $$ begin update public.log set day = day + 365 where day = new.day and id = new.id; return null; end $$;
      create trigger move after insert or update on public.log for each row when (new.day < '2026-01-01') execute function public.move()`)
    await source.run(`insert into public.log values ('2025-05-05', 1, 'a'); insert into public.log_2025 (day, id) values ('2025-06-05', 2)`)
    expect(await source.value('select count(*) from public.log_2026')).toBe('2')
    await assertEqual()
  })

  it('in the role of a replica, by COPY, and under session settings of its own', async () => {
    const superuser = await source.connect('superuser')
    await superuser.run(`set session_replication_role = replica; set timezone = 'Asia/Kolkata'; set datestyle = 'German'; set enable_partition_pruning = off`)
    await superuser.run(
      `copy public.log from program $$printf '01.02.2025\\t1\\ta\\n01.02.2026\\t2\\tb\\n'$$; copy public.log_2026 (day, id) from program $$printf '02.02.2026\\t3\\n'$$`,
    )
    await superuser.run(`update public.log_2026 set name = 'straight'`)
    await assertEqual()
    expect(new Set((await source.outbox()).map((row) => row.key))).toEqual(new Set(['["2025-02-01", 1]', '["2026-02-01", 2]', '["2026-02-02", 3]']))
  })
})

it('a partition may be renamed, and its rows are captured as before', async () => {
  await source.run(`alter table public.log_2025 rename to "Old log"; create schema attic; alter table public."Old log" set schema attic`)
  await source.run(`insert into attic."Old log" (day, id, name) values ('2025-01-01', 1, 'a'); insert into public.log values ('2025-01-02', 2, 'b')`)
  await source.run(`update attic."Old log" set name = 'c'; delete from attic."Old log" where id = 1; truncate attic."Old log"`)
  await assertEqual()
  expect(await entry()).toMatchObject({ failures: 0, problem: null })
})

it('a root that was renamed is told, and its partitions’ changes count as failures', async () => {
  await source.run(
    `alter table public.log rename to "log anew"; insert into public.log_2025 (day, id) values ('2025-01-01', 1); insert into "log anew" values ('2025-01-01', 2)`,
  )
  expect(await source.outbox()).toEqual([])
  expect(await entry()).toMatchObject({ failures: 2, problem: expect.stringContaining('renamed') })
})

it('whoever owns a captured table makes and attaches partitions of it, with no right to the schema afluente', async () => {
  const superuser = await source.connect('superuser')
  await superuser.run(
    `drop role if exists app_owner; create role app_owner; grant app_owner to project_owner; grant create, usage on schema public to app_owner`,
  )
  await source.run(
    `create table public.app (id int primary key) partition by range (id); alter table public.app owner to app_owner; select afluente.capture_table('public.app')`,
  )
  await superuser.run(`set role app_owner; create table public.app_1 partition of public.app for values from (0) to (10);
    create table public.app_2 (id int primary key); alter table public.app attach partition public.app_2 for values from (10) to (20); insert into public.app values (1), (11)`)
  expect((await source.outbox('public.app')).map(({ key }) => key)).toEqual(['[1]', '[11]'])
  await source.run('select afluente.backlog()')
  await superuser.run(`reset role; create role another_owner; alter table public.app owner to another_owner; grant another_owner to project_owner`)
  expect((await backlog(source)).tables.find(({ table }) => table === 'public.app')?.problem).toMatch(/another_owner owns the table now/)
  await source.run(`select afluente.capture_table('public.app')`)
  expect((await backlog(source)).tables.find(({ table }) => table === 'public.app')?.problem).toBeNull()
  await superuser.run(`drop owned by app_owner, another_owner; drop role app_owner, another_owner`)
})

it('a captured table may become a partition of another one: it is told, and marked', async () => {
  await source.run(`
    create table public.q (day date, id int, name text, primary key (day, id)) partition by range (day); create table public.q_1 partition of public.q default;
    select afluente.capture_table('public.q'); insert into public.q values ('2029-01-01', 1, 'a');
    alter table public.log attach partition public.q for values from ('2029-01-01') to ('2030-01-01')`)
  await source.run('select afluente.sweep()')
  expect((await backlog(source)).tables.find(({ table }) => table === 'public.q')).toMatchObject({
    problem: expect.stringContaining('became a partition of public.log'),
    reconcileSince: expect.any(String),
  })
  await source.run(`update public.q set name = 'b'`)
  expect((await source.outbox('public.log')).at(-1)).toMatchObject({ key: '["2029-01-01", 1]', op: 'update' })
})

describe('partitions of partitions', () => {
  it('at every depth are captured, and adopted when they come', async () => {
    await source.run(`
      create table public.log_2028 partition of public.log for values from ('2028-01-01') to ('2029-01-01') partition by hash (day, id);
      create table public.log_2028_0 partition of public.log_2028 for values with (modulus 2, remainder 0);
      select afluente.capture_table('public.log')`)
    await source.run('create table public.log_2028_1 partition of public.log_2028 for values with (modulus 2, remainder 1); select afluente.backlog()')
    expect([await triggersOn('public.log_2028'), await triggersOn('public.log_2028_0'), await triggersOn('public.log_2028_1')]).toEqual(['8', '7', '7'])
    for (const table of ['log', 'log_2028'])
      await source.run(`insert into public.${table} select '2028-02-02', n from generate_series(1, 20) n on conflict do nothing`)
    for (const table of ['log_2028', 'log_2028_0', 'log_2028_1']) await source.run(`update public.${table} set name = coalesce(name, '') || '!'`)
    await source.run(`update public.log_2028 set id = id + 100; delete from public.log_2028_1 where id % 2 = 0`)
    await assertEqual()
    expect(await entry()).toMatchObject({ failures: 0, problem: null })
  })
})

describe('a partition that comes later', () => {
  it.each(['select afluente.backlog()', 'select afluente.sweep()'])(
    'made empty is captured through the root at once, and straight from the next look (%s)',
    async (look) => {
      await source.run(`${make2027}; insert into public.log values ('2027-01-01', 1, 'through the root')`)
      await assertEqual()
      await source.run(look)
      await source.run(`insert into public.log_2027 values ('2027-01-01', 2, 'straight')`)
      await assertEqual()
      expect(await entry()).toMatchObject({ problem: null })
    },
  )

  it('made empty and adopted before it is written to leaves nothing to reconcile', async () => {
    await source.run(make2027)
    expect(await entry()).toMatchObject({ failures: 0, reconcileSince: null, problem: null })
    expect(await triggersOn('public.log_2027')).toBe('7')
  })

  it.each([
    [
      'attached with rows',
      `create table public.log_2027 (like public.log including all); insert into public.log_2027 values ('2027-01-01', 1, 'old'); alter table public.log attach partition public.log_2027 for values from ('2027-01-01') to ('2028-01-01')`,
    ],
    ['written straight before it was adopted', `${make2027}; insert into public.log_2027 values ('2027-01-01', 1, 'unseen')`],
  ])('%s marks the table to be reconciled, once', async (_, ddl) => {
    await source.run(ddl)
    const marked = await entry()
    expect(marked).toMatchObject({
      failures: 1,
      lastFailure: expect.stringContaining('55000: partitions with rows'),
      reconcileSince: expect.any(String),
      problem: null,
    })
    expect(await entry()).toEqual(marked)
    await source.run(`update public.log_2027 set name = 'seen'`)
    await assertEqual()
  })

  it('filled through the root and emptied straight before it was adopted marks the table', async () => {
    for (const empty of ['delete from public.log_2027', 'delete from public.log_2027; vacuum public.log_2027', 'truncate public.log_2027']) {
      await source.run(`${make2027}; insert into public.log values ('2027-01-01', 1, 'a')`)
      for (const sql of empty.split('; ')) await source.run(sql)
      const before = (await entry())?.failures ?? 0
      expect(await entry()).toMatchObject({ failures: before, reconcileSince: expect.any(String), problem: null })
      await source.run(`drop table public.log_2027; select afluente.backlog(); update afluente.captured_tables set reconcile_since = null`)
    }
  })

  it('rolled back never was', async () => {
    await source.run(`begin; ${make2027}; insert into public.log values ('2027-01-01', 1, 'a'); rollback`)
    expect(await source.outbox()).toEqual([])
    expect(await entry()).toMatchObject({ failures: 0, problem: null })
  })

  it('while somebody works on it waits for the next look, and holds up nobody', async () => {
    await source.run(make2027)
    const user = await source.connect()
    await user.run(`begin; insert into public.log_2027 values ('2027-01-01', 1, 'a')`)
    await source.run(`set statement_timeout = '10s'`)
    expect(await entry()).toMatchObject({ table: 'public.log' })
    await user.run('commit')
    expect(await entry()).toMatchObject({ failures: 1, problem: null })
    expect(await triggersOn('public.log_2027')).toBe('7')
  })
})

describe('a partition that goes', () => {
  beforeEach(async () => {
    await source.run(`insert into public.log values ('2025-05-05', 1, 'a'), ('2026-05-05', 2, 'b')`)
    await source.emptyOutbox()
  })

  it.each([
    ['detached', 'alter table public.log detach partition public.log_2025'],
    [
      'detached and written to before anybody looked',
      `alter table public.log detach partition public.log_2025; insert into public.log_2025 (day, id) values ('2025-01-01', 9); delete from public.log_2025`,
    ],
    ['dropped', 'drop table public.log_2025'],
  ])('%s: its rows are gone from the table, which is marked to be reconciled; it is let go', async (_, ddl) => {
    await source.run(ddl)
    expect(await entry()).toMatchObject({ failures: ddl.includes('insert') ? 3 : 1, reconcileSince: expect.any(String), problem: null })
    await source.run(`update public.log set name = 'B'`)
    await assertEqual()
    if (!ddl.startsWith('drop')) {
      expect(await triggersOn('public.log_2025')).toBe('0')
      await source.emptyOutbox()
      await source.run(`insert into public.log_2025 (day, id) values ('2025-02-02', 5); truncate public.log_2025`)
      expect(await source.outbox()).toEqual([])
    }
  })

  it('and is written, and comes back before anybody looked, marks the table', async () => {
    for (const write of [`update public.log_2025 set name = 'unseen'`, 'truncate public.log_2025']) {
      await source.run(`alter table public.log detach partition public.log_2025; ${write}`)
      await source.run(`alter table public.log attach partition public.log_2025 for values from ('2025-01-01') to ('2026-01-01')`)
      expect(await entry()).toMatchObject({ reconcileSince: expect.any(String), problem: null })
      await source.run('update afluente.captured_tables set reconcile_since = null')
    }
  })

  it.each([
    ['detached', 'alter table public.log detach partition public.log_2027'],
    ['dropped', 'drop table public.log_2027'],
    ['emptied', 'truncate public.log_2027'],
  ])('that came and was %s before anybody looked marks the table', async (_, ddl) => {
    await source.run(`begin; ${make2027}; insert into public.log values ('2027-01-01', 1, 'a'); ${ddl}; commit`)
    expect(await entry()).toMatchObject({ reconcileSince: expect.any(String), problem: null })
  })

  it('and is captured alone before anybody looked keeps its own triggers', async () => {
    await source.run(`alter table public.log detach partition public.log_2025; select afluente.capture_table('public.log_2025'); select afluente.sweep()`)
    await source.run(`insert into public.log_2025 (day, id) values ('2025-01-01', 9)`)
    expect((await source.outbox('public.log_2025')).map(({ key }) => key)).toEqual(['["2025-01-01", 9]'])
    await source.run(`select afluente.release_table('public.log')`)
    expect((await backlog(source)).tables.find(({ table }) => table === 'public.log_2025')).toMatchObject({ problem: null })
  })

  it('to another captured table is that one’s', async () => {
    await source.run(
      `create table public.archive (day date, id int, name text, primary key (day, id)) partition by range (day); select afluente.capture_table('public.archive')`,
    )
    await source.run(
      `alter table public.log detach partition public.log_2026; alter table public.archive attach partition public.log_2026 for values from ('2026-01-01') to ('2027-01-01')`,
    )
    await source.run(`select afluente.sweep(); select afluente.sweep(); insert into public.log_2026 values ('2026-01-01', 9)`)
    expect((await source.outbox('public.archive')).map(({ key }) => key)).toEqual(['["2026-01-01", 9]'])
  })

  it('and is captured as a table of its own afterwards', async () => {
    await source.run('alter table public.log detach partition public.log_2025; select afluente.backlog()')
    await source.run(`select afluente.capture_table('public.log_2025'); update public.log_2025 set name = 'own'`)
    expect((await source.outbox()).map(({ source_table, key }) => [source_table, key])).toEqual([['public.log_2025', '["2025-05-05", 1]']])
  })

  it('all of them, when the table is released', async () => {
    await source.run(`${make2027}; select afluente.backlog(); select afluente.release_table('public.log')`)
    for (const table of ['log', 'log_2025', 'log_2026', 'log_2027']) expect(await triggersOn(`public.${table}`)).toBe('0')
  })
})
