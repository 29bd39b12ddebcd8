/** Whatever a user's own triggers and rules do to the very row that is written, the last version of its key is the table's row. */
import { beforeEach, describe, expect, it } from 'vitest'
import { backlog, freshSource } from '../../support/source.ts'
import { assertEndsEqual } from '../../support/source-properties.ts'

const source = freshSource()

beforeEach(async () => {
  await source.run('create table public.t (id int primary key, n int not null default 0, name text)')
})

/** A trigger of the user's on public.t. */
function trigger(when: string, body: string, name = 'users'): string {
  return `
    create function public.${name}() returns trigger language plpgsql as $$ begin ${body} end $$;
    create ${when.includes('deferred') ? 'constraint ' : ''}trigger ${name} ${when} execute function public.${name}();`
}

/** Every kind of statement, of one row and of several, so that each trigger has its turn. */
const statements = [
  `insert into public.t values (1, 1, 'a'), (2, 2, 'b'), (3, 3, 'c')`,
  `insert into public.t values (4, -4, 'd')`,
  `insert into public.t values (1, 10, 'A'), (5, 5, 'e') on conflict (id) do update set n = excluded.n, name = excluded.name`,
  'update public.t set n = n + 1',
  'update public.t set n = -n where id in (2, 3)',
  'update public.t set id = id + 100 where id = 5',
  'delete from public.t where id in (1, 4)',
  `insert into public.t values (1, 0, 'again') on conflict do nothing`,
  'delete from public.t where id = 2',
]

async function assertFollows(users: string): Promise<void> {
  await source.run(users)
  await source.run(`select afluente.capture_table('public.t')`)
  for (const statement of statements) await source.run(statement)
  await assertEndsEqual(source, 'public.t', 'id')
  expect((await source.outbox('public.t')).length).toBeGreaterThan(8)
  expect((await backlog(source)).failures).toBe(0)
}

const afterRow = 'after insert or update on public.t for each row'

describe('a trigger after each row that', () => {
  it.each([
    ['updates the row again', trigger(`${afterRow} when (pg_trigger_depth() < 1)`, 'update public.t set n = n + 100 where id = new.id; return null;')],
    ['deletes the row', trigger(afterRow, 'delete from public.t where id = new.id and n < 0; return null;')],
    [
      'deletes the row and inserts it anew',
      trigger(
        `${afterRow} when (pg_trigger_depth() < 1)`,
        `delete from public.t where id = new.id; insert into public.t values (new.id, new.n, new.name || '!'); return null;`,
      ),
    ],
    [
      're-inserts what is deleted',
      trigger('after delete on public.t for each row', `insert into public.t values (old.id, 99, 'back') on conflict do nothing; return null;`),
    ],
    [
      're-inserts what is deleted under another key',
      trigger('after delete on public.t for each row when (old.id < 50)', 'insert into public.t values (old.id + 50, old.n, old.name); return null;'),
    ],
    ['changes the row’s key', trigger(`${afterRow} when (new.id between 2 and 40)`, 'update public.t set id = -id where id = new.id; return null;')],
    [
      'writes the row’s neighbours',
      trigger(`${afterRow} when (pg_trigger_depth() < 1)`, 'update public.t set n = n + 1 where id in (new.id - 1, new.id + 1); return null;'),
    ],
    ['writes it until it is as it should be', trigger(afterRow, 'update public.t set n = n + 1 where id = new.id and n % 5 <> 0; return null;')],
    [
      'writes it within a block that fails, and goes on',
      trigger(
        `${afterRow} when (pg_trigger_depth() < 1)`,
        `begin update public.t set n = 1000 where id = new.id; raise exception 'no'; exception when others then null; end; return null;`,
      ),
    ],
  ])('%s', async (_, users) => {
    await assertFollows(users)
  })
})

describe('a trigger after each statement that writes the rows again', () => {
  const body = 'update public.t set n = n + 1 where n % 3 <> 0; return null;'
  it.each([
    ['before Afluente’s in the order of names', 'aaa', ''],
    ['after Afluente’s', 'zzz', ''],
    ['in an open session that replays', 'replayed', 'alter table public.t enable always trigger replayed;'],
  ])('%s', async (_, name, more) => {
    await assertFollows(trigger('after insert or update on public.t for each statement when (pg_trigger_depth() < 2)', body, name) + more)
  })
})

describe('a constraint trigger, put off to the end of the transaction, that', () => {
  const put = 'after insert or update on public.t deferrable initially deferred for each row when (new.n < 1000)'
  it.each([
    ['writes the row again', 'update public.t set n = n + 1000 where id = new.id; return null;'],
    ['deletes it', 'delete from public.t where id = new.id and n > 4; return null;'],
  ])('%s', async (_, body) => {
    await assertFollows(trigger(put, body))
  })
})

describe('a trigger before each row that', () => {
  it.each([
    [
      'changes what is written, key included',
      trigger(
        'before insert or update on public.t for each row',
        `new.n := new.n * 2; new.name := coalesce(new.name, '') || '.'; if new.id = 3 then new.id := 33; end if; return new;`,
      ),
    ],
    [
      'skips some rows',
      trigger(
        'before insert or update or delete on public.t for each row',
        'if tg_op = $i$DELETE$i$ then return case when old.id = 1 then null else old end; end if; return case when new.n = 3 then null else new end;',
      ),
    ],
    [
      'writes other rows of the table',
      trigger('before delete on public.t for each row', 'update public.t set n = n + 7 where id = 3 and old.id <> 3; return old;'),
    ],
  ])('%s', async (_, users) => {
    await assertFollows(users)
  })
})

describe('what the table itself computes', () => {
  it('generated columns, identities and defaults stand in the image', async () => {
    const virtual = Number(await source.value(`select current_setting('server_version_num')`)) >= 180_000
    await source.run(`
      create table public.computed (
        id bigint generated always as identity primary key, price numeric, taxed numeric generated always as (price * 1.23) stored,
        shown text generated always as ('€ ' || price::numeric(10, 2)::text) ${virtual ? 'virtual' : 'stored'}, born date default '2026-01-01', serial serial
      );
      select afluente.capture_table('public.computed')`)
    await source.run('insert into public.computed (price) values (1), (10.5)')
    await source.run('update public.computed set price = price * 2 where id = 1')
    expect((await source.outbox('public.computed')).map((row) => row.after)).toEqual([
      '{"id":1,"price":1,"taxed":1.23,"shown":"€ 1.00","born":"2026-01-01","serial":1}',
      '{"id":2,"price":10.5,"taxed":12.915,"shown":"€ 10.50","born":"2026-01-01","serial":2}',
      '{"id":1,"price":2,"taxed":2.46,"shown":"€ 2.00","born":"2026-01-01","serial":1}',
    ])
    await assertEndsEqual(source, 'public.computed', 'id')
  })

  it('a generated column as the key', async () => {
    await source.run(`
      create table public.computed (a text, b text, id text generated always as (a || '/' || b) stored primary key);
      select afluente.capture_table('public.computed')`)
    await source.run(`insert into public.computed (a, b) values ('x', 'y')`)
    await source.run(`update public.computed set b = 'z'`)
    expect((await source.outbox('public.computed')).map(({ op, key }) => [op, key])).toEqual([
      ['insert', '["x/y"]'],
      ['delete', '["x/y"]'],
      ['insert', '["x/z"]'],
    ])
  })

  it('a function in a statement that writes the same table meanwhile', async () => {
    await source.run(`
      create function public.meanwhile(which int) returns int language plpgsql as $$
      begin
        insert into public.t values (which + 1000, which) on conflict (id) do update set n = t.n + 1;
        return which;
      end $$;
      select afluente.capture_table('public.t'); insert into public.t values (1), (2), (3)`)
    await source.run('update public.t set n = public.meanwhile(id) where id < 1000')
    await source.run('update public.t set n = public.meanwhile(id) where id between 1 and 2')
    await source.run('delete from public.t where id < 1000 and public.meanwhile(id) > 1')
    await assertEndsEqual(source, 'public.t', 'id')
  })
})

describe('a rule', () => {
  it('that does something else as well, or instead', async () => {
    await source.run(`
      create table public.log (id int primary key, n int);
      create rule also as on insert to public.t do also insert into public.log values (new.id, new.n) on conflict do nothing;
      create rule gone as on delete to public.t do instead update public.t set name = 'deleted' where id = old.id;
      select afluente.capture_table('public.t'), afluente.capture_table('public.log')`)
    await source.run(`insert into public.t values (1, 1, 'a'), (2, 2, 'b')`)
    await source.run('delete from public.t where id = 2')
    expect((await source.outbox('public.t')).map(({ op, key }) => [op, key])).toEqual([
      ['insert', '[1]'],
      ['insert', '[2]'],
      ['update', '[2]'],
    ])
    await assertEndsEqual(source, 'public.t', 'id')
    await assertEndsEqual(source, 'public.log', 'id')
  })
})
