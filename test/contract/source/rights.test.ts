/** Who may do what: the schema is the service role's and its owner's alone, and no search path, operator or name of others matters in it. */
import { beforeEach, describe, expect, it } from 'vitest'
import { backlog, freshSource, type Session } from '../../support/source.ts'
import { assertEndsEqual } from '../../support/source-properties.ts'
import { assertSearchPathIsIgnored } from '../../support/writer-properties.ts'

const source = freshSource()

async function as(role: string): Promise<Session> {
  const session = await source.connect()
  await session.run(`set role ${role}`)
  return session
}

/** Those of the service role, who works through PostgREST. */
const forService = [
  'acknowledge',
  'backlog',
  'begin_reconcile',
  'claim',
  'drained',
  'draw_deletes',
  'end_reconcile',
  'hold_backfill',
  'list_backfills',
  'rebase',
  'release',
  'release_backfill',
  'resend_rows',
  'ring',
  'send_backfill',
  'send_deletes',
  'start_backfill',
  'steer_backfill',
  'sweep',
  'waiting',
]

/** Those that are inlined into other statements, which a setting of their own would prevent: for each, why no search path matters. */
const inlined = {
  // Calls current_setting, substring and coalesce only; runs where the search path is fixed: in triggers.
  traceparent: /^[^;]*current_setting[^;]*$/,
  // Calls mod and hashtextextended only; runs where the search path is fixed.
  shard_of: /^[^;]*hashtextextended[^;]*$/,
  // Calls regexp_replace only; runs where the search path is fixed.
  reader_of: /^[^;]*regexp_replace[^;]*$/,
  locker_of: /^[^;]*regexp_replace[^;]*$/,
  // Reads a json by key only; runs where the search path is fixed.
  is_bare: /^[^;]*item[^;]*$/,
}

describe('the functions of the schema', () => {
  const functions = (condition: string) =>
    source.run(`select distinct p.proname as name from pg_proc p where p.pronamespace = 'afluente'::regnamespace and (${condition}) order by 1`)
  const names = async (condition: string) => (await functions(condition)).map((row) => row['name'] ?? '')

  beforeEach(async () => {
    await source.run(`create table public.t (id int primary key, secret text); select afluente.capture_table('t', exclude => array['secret'])`)
  })

  it('are there, those of captured tables too', async () => {
    const all = await names('true')
    expect(all.length).toBeGreaterThan(25)
    for (const prefix of ['capture_public_t_', 'read_public_t_', 'lock_public_t_', 'claim', 'note_failure'])
      expect(all.some((name) => name.startsWith(prefix))).toBe(true)
  })

  it.each(['public', 'anon', 'authenticated', 'authenticator'])('can’t be executed by %s, not one', async (role) => {
    const who = role === 'public' ? '0' : `'${role}'::regrole`
    expect(
      await names(
        `exists (select from aclexplode(coalesce(p.proacl, acldefault('f', p.proowner))) a where a.grantee = ${who} and a.privilege_type = 'EXECUTE')`,
      ),
    ).toEqual([])
    if (role !== 'public') expect(await names(`has_function_privilege('${role}', p.oid, 'execute')`)).toEqual([])
  })

  it('can be executed by the service role where it needs them, and no other', async () => {
    expect(await names(`has_function_privilege('service_role', p.oid, 'execute')`)).toEqual(forService)
  })

  it('belong to one owner, who is no superuser', async () => {
    expect(await source.run(`select distinct proowner::regrole as owner from pg_proc where pronamespace = 'afluente'::regnamespace`)).toEqual([
      { owner: 'project_owner' },
    ])
    expect(await source.value(`select rolsuper from pg_roles where rolname = 'project_owner'`)).toBe('f')
  })

  it('have a fixed search path each, which puts temporary objects last; the few that are inlined call nothing that one could replace', async () => {
    const loose = await names(`not exists (select from unnest(p.proconfig) c where c = 'search_path=pg_catalog, pg_temp')`)
    expect(loose.filter((name) => !(name in inlined))).toEqual([])
    for (const [name, looks] of Object.entries(inlined)) {
      const body = await source.value(`select prosrc from pg_proc where pronamespace = 'afluente'::regnamespace and proname = $1 and not prosecdef`, [name])
      expect(body).toMatch(looks)
    }
    // Every one that has its owner’s rights has it, inlined or not.
    expect(await names(`p.prosecdef and not exists (select from unnest(p.proconfig) c where c = 'search_path=pg_catalog, pg_temp')`)).toEqual([])
  })

  it('change no table without a WHERE: over PostgREST, Supabase’s safeupdate refuses that within functions too', async () => {
    const bodies = await source.run(`select proname as name, prosrc as body from pg_proc where pronamespace = 'afluente'::regnamespace`)
    const changes = bodies.flatMap(({ name, body }) =>
      (body ?? '')
        .split(';')
        .flatMap((statement) => (/\b(?:update|delete from)\s+afluente\.\w+/.test(statement.replaceAll(/--.*/g, '')) ? [{ name, statement }] : [])),
    )
    expect(changes.length).toBeGreaterThan(10)
    expect(changes.filter(({ statement }) => !/\bwhere\b/.test(statement))).toEqual([])
  })

  it('build no statement from a name that is not quoted', async () => {
    // format with %s, or || beside a name, in front of EXECUTE: what is put in so is listed here with its reason.
    const dynamic = await source.run(
      `select proname as name, prosrc as body from pg_proc where pronamespace = 'afluente'::regnamespace and prosrc ~* '\\mexecute\\M' and proname !~ '^(capture|read|lock)_public_' order by 1`,
    )
    expect(dynamic.map((row) => row['name'])).toEqual([
      // Names the right, and runs nothing.
      'capture_problem',
      'capture_table',
      'capture_truncate',
      'drop_triggers',
      'offer_backfill',
      'read_images',
      'release_table',
      'resend_rows',
      'send_deletes',
    ])
    const unquoted = dynamic
      .flatMap(({ name, body }) => [...(body ?? '').matchAll(/execute format\(\s*(?:\$\w+\$[\s\S]*?\$\w+\$|'[^']*')/g)].map(([text]) => [name, text] as const))
      .filter(([, text]) => /%(\d\$)?s/.test(text))
    expect(unquoted.map(([name]) => name)).toEqual([
      // format('%I.%I'), behind a word of its own.
      'capture_truncate',
      // The columns of the key, each %I; an expression of its own; and the table as before.
      'capture_truncate',
    ])
  })
})

describe('anon and authenticated', () => {
  beforeEach(async () => {
    await source.run(`
      create table public.notes (id int primary key, owner text, body text); alter table public.notes enable row level security;
      create policy mine on public.notes for all to anon, authenticated using (owner = current_user) with check (owner = current_user);
      select afluente.capture_table('public.notes')`)
    await source.run(`insert into public.notes values (1, 'somebody', 'private')`)
  })

  it.each(['anon', 'authenticated'])('%s can touch no table, sequence or function of the schema, even where it may enter it', async (role) => {
    const objects = await source.run(`
      select 'select from afluente.' || quote_ident(relname) as sql from pg_class where relnamespace = 'afluente'::regnamespace and relkind in ('r', 'S')
      union all select 'select * from afluente.' || quote_ident(relname) from pg_class where relnamespace = 'afluente'::regnamespace and relkind in ('r', 'S')
      union all select 'insert into afluente.' || quote_ident(relname) || ' default values' from pg_class where relnamespace = 'afluente'::regnamespace and relkind = 'r'
      union all select 'delete from afluente.' || quote_ident(relname) from pg_class where relnamespace = 'afluente'::regnamespace and relkind = 'r'
      union all select 'truncate afluente.' || quote_ident(relname) from pg_class where relnamespace = 'afluente'::regnamespace and relkind = 'r'
      union all select format('select nextval(%L), setval(%1$L, 1), currval(%1$L)', 'afluente.' || quote_ident(relname)) from pg_class where relnamespace = 'afluente'::regnamespace and relkind = 'S'
      union all select format('select afluente.%I(%s)', proname, (select string_agg('null::' || format_type(t, null), ', ') from unnest(proargtypes) t))
        from pg_proc where pronamespace = 'afluente'::regnamespace and prorettype <> 'trigger'::regtype`)
    expect(objects.length).toBeGreaterThan(50)
    const session = await as(role)
    for (const { sql } of objects) await expect(session.run(sql ?? ''), sql ?? '').rejects.toThrow(/permission denied for schema afluente/)
    // PostgREST serves the schema; were somebody to open it, its objects would still be closed.
    await source.run(`grant usage on schema afluente to ${role}`)
    for (const { sql } of objects) await expect(session.run(sql ?? ''), sql ?? '').rejects.toThrow(/permission denied for (table|sequence|function)/)
  })

  it.each(['anon', 'authenticated'])('%s: its changes are captured, and what row-level security hides stays hidden', async (role) => {
    const session = await as(role)
    await session.run(
      `insert into public.notes values (2, '${role}', 'mine'); update public.notes set body = body || '!'; select afluente_missing from (select 1 as afluente_missing) x`,
    )
    await expect(session.run(`insert into public.notes values (3, 'somebody', 'not mine')`)).rejects.toThrow('row-level security')
    expect(await session.run('select id from public.notes')).toEqual([{ id: '2' }])
    await session.run('delete from public.notes')
    await assertEndsEqual(source, 'public.notes', 'id')
    expect((await source.outbox('public.notes')).map(({ op, key }) => [op, key])).toEqual([
      ['insert', '[1]'],
      ['insert', '[2]'],
      ['update', '[2]'],
      ['delete', '[2]'],
    ])
  })

  it('can’t put the trigger’s function on tables of their own, nor pretend to be a captured table', async () => {
    await source.run('create schema playground; grant all on schema playground to authenticated')
    const session = await as('authenticated')
    await session.run('create table playground.leads (id int primary key)')
    const name = await source.value(`select function_name from afluente.captured_tables where table_name = 'notes'`)
    for (const call of [`afluente.${name}('public', 'notes')`, `afluente.capture_truncate('public', 'notes')`])
      await expect(session.run(`create trigger t before truncate on playground.leads for each statement execute function ${call}`)).rejects.toThrow(
        'permission denied',
      )
    await expect(session.run(`select afluente.capture_table('playground.leads')`)).rejects.toThrow('permission denied')
  })

  it('a trace that a request brings is text of 55 characters or nothing', async () => {
    const session = await as('anon')
    await session.run(`set request.headers = '{"traceparent":"00-''; drop table x; --"}'; set afluente.traceparent = '<script>'`)
    await session.run(`insert into public.notes values (2, 'anon', 'x')`)
    expect((await source.outbox('public.notes')).at(-1)).toMatchObject({ key: '[2]', traceparent: null })
  })
})

describe('the service role', () => {
  it('works through its functions and touches no table', async () => {
    const session = await as('service_role')
    await session.run(
      `select afluente.claim(0, 'me'); select afluente.acknowledge(0, 1, '{}'); select afluente.release(0, 1); select afluente.backlog(); select afluente.sweep(); select afluente.ring(); select afluente.rebase(); select afluente.resend_rows('public.leads', '{}');
        select afluente.begin_reconcile('public.leads'); select afluente.end_reconcile('public.leads', 0); select afluente.drained(); select afluente.draw_deletes('public.leads', '{}'); select afluente.send_deletes('public.leads', '3', '{}', '{}');
        select afluente.start_backfill('public.leads'); select afluente.hold_backfill(1, 'me'); select afluente.send_backfill(1, 1); select afluente.list_backfills();
        select afluente.steer_backfill(1, 'pause'); select afluente.release_backfill(1, 1)`,
    )
    for (const { name } of await source.run(`select relname as name from pg_class where relnamespace = 'afluente'::regnamespace and relkind = 'r'`))
      for (const sql of [`select * from afluente.${name}`, `delete from afluente.${name}`, `insert into afluente.${name} default values`])
        await expect(session.run(sql), sql).rejects.toThrow('permission denied for table')
    await expect(session.run(`select afluente.capture_table('public.leads')`)).rejects.toThrow('permission denied for function')
    await expect(session.run(`select nextval('afluente.version')`)).rejects.toThrow('permission denied for sequence')
  })
})

describe('whoever writes can’t change what the trigger does by', () => {
  it('a search path, temporary tables, functions and operators named like those inside', async () => {
    await source.run(`create table public.t (id int primary key, n int, name text); select afluente.capture_table('public.t', exclude => array['name'])`)
    await assertSearchPathIsIgnored(source)
    expect((await backlog(source)).failures).toBe(0)
  })

  it('settings of planner and session', async () => {
    await source.run(`create table public.t (id int primary key, n int); select afluente.capture_table('public.t')`)
    await source.run(`
      set enable_indexscan = off; set enable_seqscan = off; set enable_bitmapscan = off; set enable_hashjoin = off; set plan_cache_mode = force_generic_plan;
      set default_transaction_isolation = 'serializable'; set row_security = off; set standard_conforming_strings = off; set backslash_quote = on;
      set check_function_bodies = off; set transform_null_equals = on; set array_nulls = off; set quote_all_identifiers = on;
      set xmloption = document; set client_min_messages = debug1; set work_mem = '64kB'; set cursor_tuple_fraction = 0`)
    await source.run('insert into public.t select n, n from generate_series(1, 2000) n')
    await source.run('update public.t set n = n + 1; update public.t set id = -id where id % 2 = 0; delete from public.t where id > 1000')
    await assertEndsEqual(source, 'public.t', 'id')
    expect((await backlog(source)).failures).toBe(0)
  })
})
