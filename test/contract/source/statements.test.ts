/** Every way there is to write rows: upserts, MERGE, views, COPY, joins, cursors, statements of 100 000 rows. */
import { beforeEach, describe, expect, it } from 'vitest'
import { backlog, endState, freshSource } from '../../support/source.ts'
import { assertEndsEqual } from '../../support/source-properties.ts'

const source = freshSource()
let version: number

beforeEach(async () => {
  version = Number(await source.value(`select current_setting('server_version_num')::int / 10000`))
  await source.run(`
    create table public.t (id int primary key, n int, name text unique);
    select afluente.capture_table('public.t'); insert into public.t values (1, 1, 'a'), (2, 2, 'b'), (3, 3, 'c')`)
})

const newest = async () => (await source.outbox('public.t')).slice(3).map(({ op, key, after }) => [op, key, (JSON.parse(after ?? '{}') as { n?: number }).n])
const sorted = async () => (await newest()).toSorted((a, b) => JSON.stringify(a).localeCompare(JSON.stringify(b)))
const assertEqual = () => assertEndsEqual(source, 'public.t', 'id')

describe('INSERT … ON CONFLICT', () => {
  it('with both outcomes in one statement, and a third that its condition leaves alone', async () => {
    await source.run(`insert into public.t values (1, 10, 'a'), (2, 20, 'b'), (4, 40, 'd') on conflict (id) do update set n = excluded.n where t.id <> 2`)
    expect(await sorted()).toEqual([
      ['insert', '[4]', 40],
      ['update', '[1]', 10],
    ])
    await assertEqual()
  })

  it('on another unique index than the key’s: the row that was there keeps its key', async () => {
    await source.run(`insert into public.t values (7, 70, 'b'), (8, 80, 'x') on conflict (name) do update set n = excluded.n`)
    expect(await sorted()).toEqual([
      ['insert', '[8]', 80],
      ['update', '[2]', 70],
    ])
    await assertEqual()
  })

  it('do nothing: what was there makes no change', async () => {
    await source.run(`insert into public.t values (1, 9, 'z'), (9, 9, 'a'), (5, 5, 'e') on conflict do nothing`)
    expect(await sorted()).toEqual([['insert', '[5]', 5]])
  })

  it('with triggers that write the rows again', async () => {
    await source.run(`
      create function public.again() returns trigger language plpgsql as $$
      begin
        insert into public.t values (new.id, new.n, new.name) on conflict (id) do update set n = t.n + 1000;
        return null;
      end $$;
      create trigger again after insert or update on public.t for each row when (new.n < 1000) execute function public.again()`)
    await source.run(`insert into public.t values (1, 10, 'a'), (4, 40, 'd') on conflict (id) do update set n = excluded.n`)
    expect(await source.run('select id, n from public.t where id in (1, 4) order by id')).toEqual([
      { id: '1', n: '1010' },
      { id: '4', n: '1040' },
    ])
    await assertEqual()
  })
})

describe('MERGE', () => {
  it('with all outcomes in one statement', async () => {
    await source.run(`
      merge into public.t using (values (1, 10), (2, 20), (3, 30), (4, 40), (5, 50)) s (id, n) on t.id = s.id
      when matched and t.id = 1 then delete
      when matched and t.id = 2 then do nothing
      when matched then update set n = s.n
      when not matched and s.id = 5 then do nothing
      when not matched then insert values (s.id, s.n, 'm')`)
    expect(await sorted()).toEqual([
      ['delete', '[1]', undefined],
      ['insert', '[4]', 40],
      ['update', '[3]', 30],
    ])
    await assertEqual()
  })

  it('that changes keys, and removes what its source lacks', async () => {
    const rest = version >= 17 ? 'when not matched by source then delete' : ''
    await source.run(
      `merge into public.t using (values (1), (9)) s (id) on t.id = s.id when matched then update set id = 100, n = 0 when not matched then insert values (9, 9, 'n') ${rest}`,
    )
    if (version < 17) await source.run('delete from public.t where id in (2, 3)')
    expect((await source.run('select id from public.t order by id')).map((row) => row['id'])).toEqual(['9', '100'])
    await assertEqual()
  })
})

describe('a view', () => {
  it('that Postgres can write through, also with a check and with the rights of whoever asks', async () => {
    await source.run(`
      create view public.small with (security_invoker = true) as select id, n as number, name from public.t where n < 100 with check option;
      create view public.smaller as select id, number from public.small where number < 50`)
    await source.run(
      'insert into public.smaller values (4, 40); update public.smaller set number = number + 1 where id = 1; delete from public.smaller where id = 2',
    )
    await expect(source.run('update public.small set number = 1000')).rejects.toThrow('violates check option')
    await source.run(`insert into public.small values (3, 33, 'c'), (6, 6, 'f') on conflict (id) do update set number = excluded.number`)
    expect(await sorted()).toEqual([
      ['delete', '[2]', undefined],
      ['insert', '[4]', 40],
      ['insert', '[6]', 6],
      ['update', '[1]', 2],
      ['update', '[3]', 33],
    ])
    await assertEqual()
  })

  it('with INSTEAD OF triggers over two tables', async () => {
    await source.run(`
      create table public.u (id int primary key references public.t on delete cascade, extra text);
      create view public.both as select t.id, t.n, u.extra from public.t left join public.u using (id);
      create function public.write_both() returns trigger language plpgsql as $$
      begin
        if tg_op = 'DELETE' then
          delete from public.t where id = old.id;
          return old;
        end if;
        insert into public.t values (new.id, new.n) on conflict (id) do update set n = excluded.n;
        insert into public.u values (new.id, new.extra) on conflict (id) do update set extra = excluded.extra;
        return new;
      end $$;
      create trigger write_both instead of insert or update or delete on public.both for each row execute function public.write_both();
      select afluente.capture_table('public.u')`)
    await source.run(
      `insert into public.both values (1, 10, 'x'), (4, 40, 'y'); update public.both set n = n + 1, extra = 'z'; delete from public.both where id in (1, 2)`,
    )
    await assertEqual()
    await assertEndsEqual(source, 'public.u', 'id')
    expect(await source.run('select id, extra from public.u order by id')).toEqual([
      { id: '3', extra: 'z' },
      { id: '4', extra: 'z' },
    ])
  })
})

describe('COPY', () => {
  it('into a table, into a view and with FREEZE', async () => {
    const superuser = await source.connect('superuser')
    await superuser.run(`copy public.t from program $$printf '4,40,"d, ""quoted"""\\n5,,\\n'$$ with (format csv)`)
    await superuser.run(`
      create view public.way_in as select * from public.t;
      create function public.let_in() returns trigger language plpgsql as $$ begin insert into public.t values (new.id, new.n, new.name); return new; end $$;
      create trigger let_in instead of insert on public.way_in for each row execute function public.let_in();
      copy public.way_in (id, n) from program $$printf '6\\t60\\n7\\t70\\n'$$`)
    await assertEqual()
    expect(await sorted()).toEqual([
      ['insert', '[4]', 40],
      ['insert', '[5]', null],
      ['insert', '[6]', 60],
      ['insert', '[7]', 70],
    ])
    await superuser.run(`begin; truncate public.t; copy public.t (id) from program $$printf '1\\n8\\n'$$ with (freeze); commit`)
    await assertEqual()
    expect(await source.value('select count(*) from public.t')).toBe('2')
  })

  it('that breaks off leaves nothing', async () => {
    const superuser = await source.connect('superuser')
    await expect(superuser.run(`copy public.t from program $$printf '4\\t4\\tx\\n1\\t1\\ty\\n'$$`)).rejects.toThrow('duplicate key')
    expect(await newest()).toEqual([])
  })
})

describe('a statement', () => {
  it('that joins, finds a row twice, or moves rows between tables', async () => {
    await source.run(`create table public.u (id int primary key, n int); select afluente.capture_table('public.u')`)
    await source.run('update public.t set n = s.n from (values (1, 100), (1, 101), (2, 200)) s (id, n) where t.id = s.id')
    await source.run('delete from public.t using public.t other where t.id = other.id + 2')
    await source.run(`
      with gone as (delete from public.t where id = 2 returning id, n), there as (insert into public.u select id, n from gone returning *), also as (update public.t set n = 0 where id = 1)
      insert into public.u select id + 10, n from there`)
    await assertEqual()
    await assertEndsEqual(source, 'public.u', 'id')
    expect(await source.value('select count(*) from public.u')).toBe('2')
  })

  it('of a cursor, of a prepared plan that has become generic, of a function', async () => {
    await source.run(
      `begin; declare c cursor for select * from public.t order by id for update; fetch 2 from c; update public.t set n = 22 where current of c; fetch c; delete from public.t where current of c; commit`,
    )
    await source.run('prepare p (int) as update public.t set n = n + $1 where id = $1')
    for (let turn = 0; turn < 8; turn += 1) await source.run('execute p (1)')
    await source.run(
      'create function public.f(i int) returns setof public.t language sql as $$ update public.t set n = n + 1 where id <> i returning * $$; select * from public.f(1)',
    )
    expect((await newest()).map(([op, , n]) => [op, n])).toEqual([
      ['update', 22],
      ['delete', undefined],
      ...Array.from({ length: 8 }, (_, turn) => ['update', turn + 2]),
      ['update', 23],
    ])
    await assertEqual()
  })

  it('on a table from which another came to inherit later: the heir’s rows are not taken for its own', async () => {
    await source.run(`create table public.heir () inherits (public.t); insert into public.heir values (1, 500, 'heir'), (50, 50, 'heir')`)
    await source.run('update public.t set n = n + 1')
    await source.run('delete from public.t where id = 2')
    expect([...endState(await source.outbox('public.t'))]).toEqual([
      ['[1]', '{"id":1,"n":2,"name":"a"}'],
      ['[3]', '{"id":3,"n":4,"name":"c"}'],
    ])
  })

  it('of 100 000 rows, inserted, updated, keyed anew, upserted and deleted', async () => {
    await source.run('truncate public.t; delete from afluente.outbox')
    for (const [sql, changes] of [
      ['insert into public.t select i, i from generate_series(1, 100000) i', 100_000],
      ['update public.t set n = n + 1', 100_000],
      ['update public.t set id = -id where id % 2 = 0', 100_000],
      ['insert into public.t select i, 0 from generate_series(1, 100000) i on conflict (id) do update set n = -1', 100_000],
      ['delete from public.t where id < 0', 50_000],
    ] as const) {
      const before = await source.value('select last_value from afluente.version')
      await source.run(sql)
      expect([sql, Number(await source.value('select count(*) from afluente.outbox where version > $1', [before]))]).toEqual([sql, changes])
    }
    expect(
      await source.run(`
        with last as (select distinct on (key) key, op, after::text as image from afluente.outbox order by key, version desc)
        select count(*) as keys, count(*) filter (where l.image is distinct from t.image) as wrong
        from (select * from last where op <> 'delete') l
        full join (select jsonb_build_array(r.id)::text as key, row_to_json(r.*)::text as image from public.t r) t on t.key = l.key`),
    ).toEqual([{ keys: '100000', wrong: '0' }])
    expect((await backlog(source)).failures).toBe(0)
  })
})
