/** Which changes stand in the outbox after which statements, and in which order. */
import { beforeEach, describe, expect, it } from 'vitest'
import { freshSource } from '../../support/source.ts'
import { assertCommitsInOrder, assertEchoesArrive, assertEndsEqual, makeRestless } from '../../support/source-properties.ts'

const source = freshSource()

beforeEach(async () => {
  await source.run(`create table public.items (id int primary key, name text); select afluente.capture_table('public.items')`)
})

/** Op, key and the image's name, in version order. */
async function changes(table = 'public.items') {
  return (await source.outbox(table)).map(({ after, before, key, op }) => [op, key, (JSON.parse(after ?? before ?? '{}') as { name?: string }).name])
}

const byText = (a: unknown, b: unknown) => JSON.stringify(a).localeCompare(JSON.stringify(b))

describe('one statement', () => {
  it('inserts, updates and deletes many rows: a change a key', async () => {
    await source.run(`insert into public.items values (1, 'a'), (2, 'b')`)
    await source.run(`update public.items set name = name || '!'`)
    await source.run('delete from public.items')
    expect((await changes()).toSorted(byText)).toEqual([
      ['delete', '[1]', 'a!'],
      ['delete', '[2]', 'b!'],
      ['insert', '[1]', 'a'],
      ['insert', '[2]', 'b'],
      ['update', '[1]', 'a!'],
      ['update', '[2]', 'b!'],
    ])
  })

  it('carries the row before a delete always, before an update only where the table asks for it', async () => {
    await source.run(`insert into public.items values (1, 'a'); update public.items set name = 'b'`)
    await source.run(`select afluente.capture_table('public.items', with_before => true)`)
    await source.run(`update public.items set name = 'c'; delete from public.items`)
    expect((await source.outbox()).map(({ op, before, after }) => [op, before, after])).toEqual([
      ['insert', null, '{"id":1,"name":"a"}'],
      ['update', null, '{"id":1,"name":"b"}'],
      ['update', '{"id":1,"name":"b"}', '{"id":1,"name":"c"}'],
      ['delete', '{"id":1,"name":"c"}', null],
    ])
  })

  it('upserts: what was new is an insert, what was there an update', async () => {
    await source.run(`insert into public.items values (1, 'a')`)
    await source.emptyOutbox()
    await source.run(`insert into public.items values (1, 'A'), (2, 'b') on conflict (id) do update set name = excluded.name`)
    await source.run(`insert into public.items values (1, 'ignored') on conflict do nothing`)
    expect((await changes()).toSorted(byText)).toEqual([
      ['insert', '[2]', 'b'],
      ['update', '[1]', 'A'],
    ])
  })

  it('merges, and deletes and inserts the same key at once', async () => {
    await source.run(`insert into public.items values (1, 'a'), (2, 'b'), (3, 'c')`)
    await source.run(`
      merge into public.items t using (values (1), (2), (9)) s (id) on t.id = s.id
      when matched and t.id = 1 then delete when matched then update set name = 'merged' when not matched then insert values (9, 'new')`)
    await source.run(`with gone as (delete from public.items where id = 3 returning id) insert into public.items select id + 1, 'four' from gone`)
    await assertEndsEqual(source, 'public.items', 'id')
  })

  it('touches nothing: no change, no ringing', async () => {
    await source.run(`update public.items set name = 'x'; delete from public.items`)
    expect(await changes()).toEqual([])
    expect(await source.value('select last_value from afluente.last_rung')).toBe('0')
  })

  it('of 1 500 rows whose keys all shift', async () => {
    await source.run('insert into public.items select n, n::text from generate_series(1, 1500) n')
    await source.run('update public.items set id = -id')
    await source.run('update public.items set id = 1 - id where id < -700')
    await assertEndsEqual(source, 'public.items', 'id')
  })

  it('that changes a key: the old one is deleted, then the new one inserted', async () => {
    await source.run(`insert into public.items values (1, 'a')`)
    await source.emptyOutbox()
    await source.run(`update public.items set id = 7, name = 'b'`)
    expect(await changes()).toEqual([
      ['delete', '[1]', 'a'],
      ['insert', '[7]', 'b'],
    ])
  })

  it('that changes only the text of a key, which Postgres calls equal', async () => {
    await source.run(`create table public.prices (price numeric primary key); select afluente.capture_table('public.prices')`)
    await source.run('insert into public.prices values (1.0); update public.prices set price = 1.00')
    expect((await source.outbox('public.prices')).map(({ op, key }) => [op, key])).toEqual([
      ['insert', '[1.0]'],
      ['delete', '[1.0]'],
      ['insert', '[1.00]'],
    ])
  })

  it('on a table with keys of several columns and odd names', async () => {
    const superuser = await source.connect('superuser')
    await superuser.run('create schema "Odd.Schema" authorization project_owner')
    await source.run(`
      create table "Odd.Schema"."Ta'ble" ("a-b" text, "C" uuid, primary key ("C", "a-b"));
      select afluente.capture_table('"Odd.Schema"."Ta''ble"', topic => 'odd-topic')`)
    await source.run(`insert into "Odd.Schema"."Ta'ble" values ('x-y', '00000000-0000-0000-0000-000000000001')`)
    expect(await source.outbox()).toMatchObject([
      { source_table: "Odd.Schema.Ta'ble", topic: 'odd-topic', key: '["00000000-0000-0000-0000-000000000001", "x-y"]' },
    ])
  })
})

describe('a transaction', () => {
  it('that is rolled back leaves nothing', async () => {
    await source.run(`begin; insert into public.items values (1, 'a'); rollback`)
    await source.run(`begin; insert into public.items values (2, 'b'); savepoint s; insert into public.items values (3, 'c'); rollback to s; commit`)
    expect(await changes()).toEqual([['insert', '[2]', 'b']])
  })

  it('on two tables leaves both, and a cascade as well', async () => {
    await source.run(`begin; insert into public.leads (id, name) values ('00000000-0000-0000-0000-000000000001', 'Ana');
      insert into public.chat_sessions (lead_id, channel) values ('00000000-0000-0000-0000-000000000001', 'web'); commit`)
    await source.run('delete from public.leads')
    expect((await source.outbox()).map(({ op, source_table, topic }) => [op, source_table, topic])).toEqual([
      ['insert', 'public.leads', 'afluente.public.leads'],
      ['insert', 'public.chat_sessions', 'afluente.public.chat_sessions'],
      ['delete', 'public.leads', 'afluente.public.leads'],
      // The foreign key has set lead_id to null.
      ['update', 'public.chat_sessions', 'afluente.public.chat_sessions'],
    ])
    await assertEndsEqual(source, 'public.chat_sessions', 'id')
  })

  it('whose cascades reach a row twice, or change its key, ends equal to the table', async () => {
    await source.run(`
      create table public.tree (
        id int primary key, parent int references public.tree on update cascade on delete cascade,
        uncle int references public.tree on update cascade on delete set null
      );
      create table public.leaf (id int references public.tree on update cascade on delete cascade, n int, primary key (id, n));
      select afluente.capture_table('public.tree'), afluente.capture_table('public.leaf');
      insert into public.tree values (1, null, null), (2, 1, 1), (3, 2, 1), (4, 3, 3); insert into public.leaf select n, n from generate_series(1, 4) n`)
    await source.run('update public.tree set id = id + 10 where id in (1, 2)')
    await source.run('update public.tree set id = id + 100')
    for (const table of ['tree', 'leaf']) await assertEndsEqual(source, `public.${table}`, table === 'tree' ? 'id' : 'id, n')
    await source.run('delete from public.tree where id in (112, 104)')
    for (const table of ['tree', 'leaf']) await assertEndsEqual(source, `public.${table}`, table === 'tree' ? 'id' : 'id, n')
  })

  it('that replays in the role of a replica is captured too', async () => {
    const replica = await source.connect('superuser')
    await replica.run(`set session_replication_role = replica; insert into public.items values (1, 'a')`)
    expect(await changes()).toEqual([['insert', '[1]', 'a']])
  })

  it('carries the trace of the session, else of the request, else none; what is no trace is none', async () => {
    const trace = '00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01'
    const other = '00-0af7651916cd43dd8448eb211c80319d-b7ad6b7169203331-00'
    await source.run(`insert into public.items values (1)`)
    await source.run(
      `begin; set local request.headers = '{"host":"x","traceparent":"${other}"}'; insert into public.items values (2); set local afluente.traceparent = '${trace}'; insert into public.items values (3); commit`,
    )
    await source.run(
      `begin; set local request.headers = '{"traceparent'; insert into public.items values (4); set local afluente.traceparent = 'x'; insert into public.items values (5); commit`,
    )
    expect((await source.outbox()).map((row) => row.traceparent)).toEqual([null, other, trace, null, null])
  })
})

describe('whoever writes at the same time', () => {
  it('the last version equals the table, though a user’s own trigger writes the row again', async () => {
    await makeRestless(source)
    await assertEchoesArrive(source)
    await source.run(`create function public.remove() returns trigger language plpgsql as $$ begin delete from public.things where id = new.id and n < 0; return null; end $$;
      create trigger remove after insert or update on public.things for each row execute function public.remove()`)
    await source.run(
      'insert into public.things (id, n) values (5, -1), (6, 6); update public.things set n = -n where id = 6; insert into public.things (id, n) values (5, 1)',
    )
    await assertEndsEqual(source, 'public.things', 'id')
  })

  it('versions of one key grow in the order of the commits', async () => {
    await assertCommitsInOrder(source)
  })

  it('ten connections on one key: what committed last has the highest version', async () => {
    await source.run(`insert into public.items values (1, '0')`)
    const sessions = await Promise.all(Array.from({ length: 10 }, () => source.connect()))
    await Promise.all(
      sessions.map(async (session, at) => {
        for (let turn = 0; turn < 20; turn += 1) {
          await session.run(
            turn % 3 === at % 3
              ? `begin; update public.items set name = (name::int + 1)::text where id = 1; select pg_sleep(0.001); commit`
              : `update public.items set name = (name::int + 1)::text where id = 1`,
          )
        }
      }),
    )
    expect((await changes()).map(([, , name]) => Number(name))).toEqual(Array.from({ length: 201 }, (_, n) => n))
  })

  it('three connections with random statements end equal to the table', async () => {
    await makeRestless(source)
    // A generator of its own, so that a failure can be repeated.
    let state = 20_261_122
    const random = (below: number) => {
      state = (state * 1_103_515_245 + 12_345) % 2_147_483_648
      return Math.floor((state / 2_147_483_648) * below)
    }
    const statement = () => {
      const [id, n] = [random(8), random(1000)]
      return [
        `insert into public.things (id, n) values (${id}, ${n}) on conflict do nothing`,
        `insert into public.things (id, n) values (${id}, ${n}) on conflict (id) do update set n = excluded.n`,
        `update public.things set n = n + 1 where id = ${id}`,
        `update public.things set id = ${random(8)} where id = ${id} and not exists (select from public.things)`,
        `delete from public.things where id = ${id}`,
        `update public.things set n = n + 1 where id in (select id from public.things where id >= ${id} order by id for update)`,
      ][random(6)]
    }
    const work = Array.from({ length: 3 }, () =>
      Array.from({ length: 60 }, () => ({ sql: statement() ?? '', end: random(4) === 0 ? 'rollback' : 'commit', single: random(2) === 0 })),
    )
    await Promise.all(
      work.map(async (statements) => {
        const session = await source.connect()
        for (const { sql, end, single } of statements) {
          // A deadlock or a unique violation between them is theirs, and leaves nothing behind.
          await session.run(single ? sql : `begin; ${sql}; ${end}`).catch(() => session.run('rollback'))
        }
      }),
    )
    await assertEndsEqual(source, 'public.things', 'id')
    expect((await source.outbox()).length).toBeGreaterThan(60)
  })
})
