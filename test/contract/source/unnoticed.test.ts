/** Everything the triggers rest on is broken in turn: the user's statement stands, the failure is counted, the table is marked. */
import { beforeEach, describe, expect, it } from 'vitest'
import { backlog, freshSource, type Session } from '../../support/source.ts'
import { assertUsersGoOn } from '../../support/source-properties.ts'

const source = freshSource()
let superuser: Session

beforeEach(async () => {
  superuser = await source.connect('superuser')
  await source.run(`create table public.t (id int primary key, n int, name text); select afluente.capture_table('public.t')`)
  await source.run(`insert into public.t values (1, 1, 'private one'), (2, 2, 'private two')`)
  await source.emptyOutbox()
})

const entryOf = async (table: string) => (await backlog(source)).tables.find((entry) => entry.table === table)

/** One statement of each kind; each must do what it says. */
async function writeAll(session: Session = source): Promise<void> {
  await session.run(`insert into public.t values (3, 3, 'private three')`)
  await session.run(`update public.t set n = n + 10 where id = 1`)
  await session.run('delete from public.t where id = 2')
  expect(await session.run('select id, n from public.t order by id')).toEqual([
    { id: '1', n: '11' },
    { id: '3', n: '3' },
  ])
  await session.run('truncate public.t')
  expect(await session.value('select count(*) from public.t')).toBe('0')
}

const sabotages: readonly (readonly [what: string, broken: string, mended: string, failures: number, last: string])[] = [
  [
    'the outbox is gone',
    'alter table afluente.outbox rename to away',
    'alter table afluente.away rename to outbox',
    4,
    '42P01: relation "afluente.outbox" does not exist',
  ],
  [
    'the outbox lacks a column',
    'alter table afluente.outbox rename traceparent to away',
    'alter table afluente.outbox rename away to traceparent',
    4,
    '42703: column "traceparent" of relation "outbox" does not exist',
  ],
  [
    'the outbox has a column more, which must be filled',
    'alter table afluente.outbox add extra int not null',
    'alter table afluente.outbox drop extra',
    4,
    '23502',
  ],
  [
    'a check refuses every change',
    'alter table afluente.outbox add constraint never check (false)',
    'alter table afluente.outbox drop constraint never',
    4,
    '23514',
  ],
  [
    'a check reads what it should not',
    `alter table afluente.outbox add constraint odd check (coalesce(after, before) ->> 'name' is null or (coalesce(after, before) ->> 'name')::int > 0)`,
    'alter table afluente.outbox drop constraint odd',
    4,
    '22P02',
  ],
  [
    'a trigger on the outbox raises',
    `create function public.no() returns trigger language plpgsql as $$ begin raise exception 'no: %', new.after; end $$; create trigger no before insert on afluente.outbox for each row execute function public.no()`,
    'drop trigger no on afluente.outbox',
    4,
    'P0001',
  ],
  [
    'the outbox may not be written',
    'revoke insert on afluente.outbox from project_owner',
    'grant insert on afluente.outbox to project_owner',
    4,
    '42501: permission denied for table outbox',
  ],
  [
    'the sequence of versions is gone',
    'alter sequence afluente.version rename to away',
    'alter sequence afluente.away rename to version',
    4,
    '42P01: relation "afluente.version" does not exist',
  ],
  ['the versions are used up', `select setval('afluente.version', 9007199254740991)`, `select setval('afluente.version', 1)`, 4, '2200H'],
  [
    'the sequence may not be used',
    'revoke all on sequence afluente.version from project_owner',
    'grant all on sequence afluente.version to project_owner',
    4,
    '42501: permission denied for sequence version',
  ],
  [
    'the versions begin again',
    `insert into afluente.outbox (version, source_table, topic, key, shard, op, occurred_at) select n, 'x', 'x', 'x', 0, 'delete', now() from generate_series(1, 100) n; select setval('afluente.version', 1)`,
    'select',
    4,
    '23505',
  ],
  [
    'the shards are gone',
    'alter table afluente.shards rename to away',
    'alter table afluente.away rename to shards',
    4,
    '42P01: relation "afluente.shards" does not exist',
  ],
  ['there is no shard', 'delete from afluente.shards', 'insert into afluente.shards (shard) values (0)', 4, '22012'],
  [
    'the count of shards is gone',
    'alter sequence afluente.shard_count rename to away',
    'alter sequence afluente.away rename to shard_count',
    4,
    '42P01: relation "afluente.shard_count" does not exist',
  ],
  [
    'the list of captured tables is gone, which only a TRUNCATE reads',
    'alter table afluente.captured_tables rename to away',
    'alter table afluente.away rename to captured_tables',
    1,
    '42P01: relation "afluente.captured_tables" does not exist',
  ],
  [
    'the measure of the outbox is gone',
    'alter sequence afluente.outbox_measured rename to away',
    'alter sequence afluente.away rename to outbox_measured',
    3,
    '42P01: relation "afluente.outbox_measured" does not exist',
  ],
  [
    'the mark of the last ring is gone',
    'alter sequence afluente.last_rung rename to away',
    'alter sequence afluente.away rename to last_rung',
    3,
    '42P01: relation "afluente.last_rung" does not exist',
  ],
  [
    'a function is gone',
    'alter function afluente.shard_of rename to away',
    'alter function afluente.away rename to shard_of',
    4,
    '42883: function afluente.shard_of(text, bigint) does not exist',
  ],
  [
    'the table may not be read',
    'alter table public.t owner to postgres; revoke all on public.t from project_owner, anon, authenticated, service_role',
    'alter table public.t owner to project_owner',
    4,
    '42501: permission denied for table t',
  ],
]

describe('the user’s statements stand, and are counted, when', () => {
  it.each(sabotages)('%s', async (_, broken, mended, failures, last) => {
    await superuser.run(broken)
    await writeAll(superuser)
    await superuser.run(mended)
    expect(await entryOf('public.t')).toMatchObject({ failures, lastFailure: last, reconcileSince: expect.stringMatching(/Z$/), problem: null })
    expect(JSON.stringify(await superuser.run('select * from afluente.captured_tables'))).not.toContain('private')
  })

  it('a value can’t be printed', async () => {
    await superuser.run(`
      create type public.shy as enum ('private');
      create function public.refuse(public.shy) returns json language plpgsql as $$ begin raise exception 'never: %', $1::text; end $$;
      create cast (public.shy as json) with function public.refuse(public.shy)`)
    await source.run(`create table public.shy_ones (id int primary key, word public.shy); select afluente.capture_table('public.shy_ones')`)
    await source.run(`insert into public.shy_ones values (1, 'private')`)
    expect(await entryOf('public.shy_ones')).toMatchObject({ failures: 1, lastFailure: 'P0001' })
  })

  it('row-level security is forced upon the owner afterwards', async () => {
    await source.run('alter table public.t enable row level security, force row level security')
    await superuser.run('alter role project_owner nobypassrls')
    try {
      await superuser.run(`insert into public.t values (3, 3, 'private')`)
    } finally {
      await superuser.run('alter role project_owner bypassrls')
    }
    expect(await entryOf('public.t')).toMatchObject({ failures: 1, lastFailure: expect.stringMatching(/^42501: /) })
  })

  it('the stack is nearly used up by the user’s own triggers', async () => {
    await source.run(`
      create function public.deeper() returns trigger language plpgsql as $$
      begin
        update public.t set n = n + 1 where id = new.id;
        return null;
      exception when statement_too_complex then
        return null;
      end $$;
      create trigger deeper after update on public.t for each row when (new.n < 100000) execute function public.deeper()`)
    await superuser.run(`set max_stack_depth = '200kB'; update public.t set n = n + 1 where id = 1`)
    expect(Number(await source.value('select n from public.t where id = 1'))).toBeGreaterThan(3)
    expect(await entryOf('public.t')).toMatchObject({ failures: 0 })
    expect((await source.outbox('public.t')).at(-1)?.after).toBe(await source.value('select row_to_json(t.*) from public.t where id = 1'))
  })

  it('only what is asked now and then is gone, changes are captured all the same', async () => {
    await superuser.run(`alter table afluente.installation rename to away; select setval('afluente.outbox_measured', 0)`)
    await writeAll()
    await superuser.run('alter table afluente.away rename to installation')
    expect(await source.outbox('public.t')).toHaveLength(5)
    expect(await entryOf('public.t')).toMatchObject({ failures: 0 })
  })
})

describe('when a failure can’t even be noted, the user’s statements stand:', () => {
  it.each([
    ['the failures’ table is gone', 'alter table afluente.failures rename to away'],
    ['the failures’ table may not be written', 'revoke all on afluente.failures from project_owner'],
    ['the function that notes is gone', 'drop function afluente.note_failure cascade'],
    ['the schema may not be entered', 'revoke all on schema afluente from project_owner'],
    ['the functions may not be called', 'revoke all on all functions in schema afluente from project_owner'],
  ])('%s', async (_, sabotage) => {
    await superuser.run('alter table afluente.outbox rename to outbox_away')
    await superuser.run(sabotage)
    await expect(writeAll()).resolves.toBeUndefined()
  })
})

describe('a failure', () => {
  it('leaves the user’s statement standing', async () => {
    await assertUsersGoOn(source)
  })

  it('is counted, and marks the table to be reconciled, once and without a row’s values', async () => {
    await assertUsersGoOn(source)
    const leads = await entryOf('public.leads')
    expect(leads).toMatchObject({
      failures: 1,
      lastFailure: '42P01: relation "afluente.outbox" does not exist',
      reconcileSince: expect.stringMatching(/Z$/),
      problem: null,
    })
    await assertUsersGoOn(source)
    expect(await entryOf('public.leads')).toMatchObject({ failures: 2, reconcileSince: leads?.reconcileSince })
    expect((await backlog(source)).failures).toBe(2)
  })

  it('of one statement takes nothing from those before and after it in the transaction', async () => {
    await superuser.run(`alter table afluente.outbox add constraint wrong check (key <> '[4]')`)
    await source.run(`begin; insert into public.t values (3); insert into public.t values (4), (5); insert into public.t values (6); commit`)
    expect((await source.outbox('public.t')).map((row) => row.key)).toEqual(['[3]', '[6]'])
    expect(await entryOf('public.t')).toMatchObject({ failures: 1 })
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
