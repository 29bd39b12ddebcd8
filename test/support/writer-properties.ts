/** What must hold of the triggers whoever writes how: nothing leaks, nothing is misled, nobody is held up. Each throws when it does not. */
import { seededRandom } from './random.ts'
import { check } from './source-properties.ts'
import { backlog, type Source } from './source.ts'

/** Whatever is done to an excluded column and its table, no value of it is in the outbox. Wants `public.people` with the column `secret` excluded. */
export async function assertExcludedStays(source: Source): Promise<void> {
  for (const sql of [
    `insert into public.people values (1, 'hush', 'Ana'), (2, 'hush', 'Rui')`,
    `update public.people set secret = 'hush hush' where id = 1`,
    `insert into public.people values (1, 'hush!', 'Eva') on conflict (id) do update set secret = excluded.secret`,
    'alter table public.people rename secret to renamed',
    'update public.people set id = 3, renamed = $$hush$$ where id = 1',
    'alter table public.people alter column renamed type varchar(99), add column age int',
    'update public.people set age = 9',
    'delete from public.people where id = 2',
    'truncate public.people',
  ])
    await source.run(sql)
  const rows = await source.outbox('public.people')
  check(rows.length === 10, `there are ${rows.length} changes: ${JSON.stringify(rows)}`)
  check(!JSON.stringify(rows).includes('hush'), `the excluded column is in ${JSON.stringify(rows)}`)
}

/** A session full of namesakes of what the triggers call changes nothing. Wants `public.t (id, n, name)` captured, `name` excluded. */
export async function assertSearchPathIsIgnored(source: Source): Promise<void> {
  const hostile = await source.connect()
  const calls = [
    ['clock_timestamp()', 'timestamptz'],
    ['row_to_json(public.t)', 'json'],
    ['row_to_json(record)', 'json'],
    ['jsonb_build_array(int)', 'jsonb'],
    ['nextval(text)', 'bigint'],
    ['nextval(regclass)', 'bigint'],
    ['mod(bigint, bigint)', 'bigint'],
    ['hashtextextended(text, int)', 'bigint'],
    ['current_setting(text, boolean)', 'text'],
    ['set_config(text, text, boolean)', 'text'],
    ['to_json(text)', 'json'],
    ['greatest(int, int)', 'int'],
    ['abs(numeric)', 'numeric'],
    ['age(xid)', 'int'],
    ['format(text, text, text)', 'text'],
  ]
  const bodies = calls.map(
    ([call, type]) =>
      `create function evil.${call?.startsWith('greatest') ? '"greatest"(int, int)' : call} returns ${type} language plpgsql as $$ begin raise exception 'evil %', '${type}'; end $$;`,
  )
  const operators = [
    ['=', 'int, int'],
    ['<>', 'name, text'],
    ['||', 'text, text'],
    ['%', 'bigint, int'],
  ].map(([operator, types]) => {
    const [left, right] = (types ?? '').split(', ')
    return `create function evil.op${left}${right}(${left}, ${right}) returns boolean language plpgsql as $$ begin raise exception 'evil operator'; end $$;
      create operator evil.${operator} (function = evil.op${left}${right}, leftarg = ${left}, rightarg = ${right});`
  })
  await hostile.run(`create schema evil; ${bodies.join('\n')} ${operators.join('\n')}`)
  // Casts by assignment are not by search path; temporary tables come first in it unless it says otherwise.
  await hostile.run(`
    create temp table t (id int, n int, name text); create temp table outbox (version bigint); create temp table shards (shard int, leased_until timestamptz);
    create temp table pg_attribute (attname name); create temp table pg_class (relname name); create temp table afluente_old (id int); create temp table afluente_new (id int);
    create temp table touched (key text); create temp table present (image json); create temp view captured_tables as select 1 as x;
    create type pg_temp.text as (x int); create type pg_temp.timestamptz as (x int); create type pg_temp.regclass as (x int); create type pg_temp.json as (x int);
    set search_path = pg_temp, evil, pg_catalog, public`)
  for (const sql of [
    `insert into public.t values (1, 1, 'hush'), (2, 2, 'hush')`,
    `update public.t set n = 5, name = 'hush hush'`,
    `update public.t set id = 3 where id operator(pg_catalog.=) 1`,
    `delete from public.t where id operator(pg_catalog.=) 2`,
    `truncate public.t`,
  ])
    await hostile.run(sql)
  const rows = (await source.outbox('public.t')).map(({ op, key, before, after }) => `${op} ${key} ${after ?? before ?? ''}`)
  const expected = [
    'insert [1] {"id":1,"n":1}',
    'insert [2] {"id":2,"n":2}',
    'update [1] {"id":1,"n":5}',
    'update [2] {"id":2,"n":5}',
    'delete [1] {"id":1,"n":5}',
    'insert [3] {"id":3,"n":5}',
    'delete [2] {"id":2,"n":5}',
    'delete [3] {"id":3,"n":5}',
  ]
  check(JSON.stringify(rows) === JSON.stringify(expected), `a search path made of it ${JSON.stringify(rows)}`)
}

/** Four writers at once, each of whose transactions takes rows of two tables in the order of their numbers: nobody can wait for one who waits for them. */
export async function assertOrderedWritersNeverDeadlock(source: Source): Promise<void> {
  await (await source.connect('superuser')).run(`alter role project_owner set deadlock_timeout = '10ms'`)
  const tables = ['left_ones', 'right_ones']
  for (const table of tables) {
    await source.run(`create table public.${table} (id int primary key, n int not null default 0); select afluente.capture_table('public.${table}')`)
    await source.run(`insert into public.${table} select generate_series(1, 20)`)
  }
  const ends = await Promise.all(
    [1, 2, 3, 4].map(async (seed) => {
      const random = seededRandom(seed)
      const session = await source.connect()
      for (let turn = 0; turn < 60; turn += 1) {
        const rows = Array.from({ length: 3 }, () => ({ id: 1 + Math.floor(random() * 20), table: tables[Math.floor(random() * 2)] ?? '' }))
        const inOrder = rows.toSorted((a, b) => a.id - b.id || a.table.localeCompare(b.table))
        const statements = inOrder.map(({ id, table }, at) =>
          at % 2 === 0
            ? `update public.${table} set n = n + 1 where id = ${id}`
            : `insert into public.${table} values (${id}) on conflict (id) do update set n = ${table}.n + 1`,
        )
        try {
          for (const sql of ['begin', ...statements, random() < 0.2 ? 'rollback' : 'commit']) await session.run(sql)
        } catch (error) {
          return error instanceof Error ? error.message : 'failed'
        }
      }
      return null
    }),
  )
  check(
    ends.every((end) => end === null),
    `writers in one order ended with ${JSON.stringify(ends)}`,
  )
}

/** Sessions that print everything in their own way agree on keys and images. */
export async function assertSettingsDontMatter(source: Source): Promise<void> {
  await source.run(`
    create table public.printed (at timestamptz, ratio float8, span interval, code bytea, days daterange, primary key (at, ratio, span, code, days));
    select afluente.capture_table('public.printed')`)
  const odd = await source.connect()
  await odd.run(`
    set timezone = 'Asia/Kolkata'; set datestyle = 'German, DMY'; set intervalstyle = 'sql_standard'; set extra_float_digits = -15; set bytea_output = 'escape'`)
  await odd.run(
    `insert into public.printed values ('2026-01-31 22:30:00.5+00', 0.1::float8 + 0.2::float8, '1 day 2 hours', '\\xdeadbeef', daterange('2026-01-31', '2026-02-02'))`,
  )
  const row = (await source.outbox('public.printed'))[0]
  const key = '["2026-01-31T22:30:00.5+00:00", 0.30000000000000004, "1 day 02:00:00", "\\\\xdeadbeef", "[2026-01-31,2026-02-02)"]'
  check(row?.key === key, `the key is ${row?.key ?? 'missing'}`)
}

/** What is replayed in the role of a replica is captured like everything else. */
export async function assertReplicasAreCaptured(source: Source): Promise<void> {
  const replica = await source.connect('superuser')
  await replica.run(
    `set session_replication_role = replica; insert into public.t values (1); update public.t set n = 1; delete from public.t; truncate public.t`,
  )
  const ops = (await source.outbox('public.t')).map(({ op }) => op)
  check(JSON.stringify(ops) === '["insert","update","delete"]', `of a replica's work was captured ${JSON.stringify(ops)}`)
}

/** A failure is told without a value of the row that failed. */
export async function assertFailuresQuoteNobody(source: Source): Promise<void> {
  await source.run(`alter table afluente.outbox add constraint quoting check ((after ->> 'name')::int > 0)`)
  await source.run(`insert into public.leads (name) values ('a private name')`)
  const told = JSON.stringify(await backlog(source))
  check(told.includes('22P02') && !told.includes('private'), `the failure is told as ${told}`)
}

/** A user's statements of every kind stand though the outbox and all that could note it are gone. Wants `public.t (id, n)` captured. */
export async function assertNothingIsNoticed(source: Source): Promise<void> {
  await source.run('alter table afluente.outbox rename to outbox_away; alter function afluente.note_failure rename to note_failure_away')
  for (const sql of ['insert into public.t values (1)', 'update public.t set n = 1', 'delete from public.t', 'truncate public.t']) await source.run(sql)
}

/** Who locks the doorbell's queue holds up no writer. Wants `public.t (id, n)` captured. */
export async function assertRingingWaitsForNobody(source: Source): Promise<void> {
  await source.run(`select vault.create_secret('https://x.example', 'afluente_capture_url'); select vault.create_secret('s', 'afluente_webhook_secret')`)
  const other = await source.connect('superuser')
  await other.run('begin; lock table net.http_request_queue in access exclusive mode')
  try {
    await source.run(`set statement_timeout = '2s'; insert into public.t values (1)`)
  } finally {
    await other.run('rollback')
    await source.run('reset statement_timeout')
  }
}

/** A key whose text changes, though Postgres calls it equal, is deleted under the old text. */
export async function assertOldTextsEnd(source: Source): Promise<void> {
  await source.run(`create table public.prices (price numeric primary key); select afluente.capture_table('public.prices')`)
  await source.run('insert into public.prices values (1.0); update public.prices set price = 1.00')
  const last = new Map((await source.outbox('public.prices')).map(({ key, op }) => [key, op]))
  check(last.get('[1.0]') === 'delete' && last.get('[1.00]') === 'insert', `the stream ends with ${JSON.stringify([...last])}`)
}
