/** Foreign keys that write rows nobody named in a statement, in other tables and in the same one. */
import { describe, expect, it } from 'vitest'
import { backlog, freshSource } from '../../support/source.ts'
import { assertEndsEqual } from '../../support/source-properties.ts'

const source = freshSource()

const ops = async (table: string) =>
  (await source.outbox(table)).map(({ op, key, after }) => [op, key, after]).toSorted((a, b) => String(a).localeCompare(String(b)))

async function assertEndEqual(keys: Readonly<Record<string, string>>): Promise<void> {
  for (const [table, key] of Object.entries(keys)) await assertEndsEqual(source, table, key)
  expect((await backlog(source)).failures).toBe(0)
}

describe('a parent that is', () => {
  /** The child's reference, then its rows after a delete of parent 1 and a new key for parent 2. */
  it.each([
    [
      'on delete cascade on update cascade',
      [
        ['delete', '[10]', null],
        ['update', '[20]', '{"id":20,"parent":22}'],
      ],
    ],
    [
      'on delete set null on update set null',
      [
        ['update', '[10]', '{"id":10,"parent":null}'],
        ['update', '[20]', '{"id":20,"parent":null}'],
      ],
    ],
    [
      'on delete set default on update set default',
      [
        ['update', '[10]', '{"id":10,"parent":3}'],
        ['update', '[20]', '{"id":20,"parent":3}'],
      ],
    ],
    [
      'on delete cascade on update cascade deferrable initially deferred',
      [
        ['delete', '[10]', null],
        ['update', '[20]', '{"id":20,"parent":22}'],
      ],
    ],
  ])('deleted and keyed anew changes its children, which reference it %s', async (reference, expected) => {
    await source.run(`
      create table public.parent (id int primary key);
      create table public.child (id int primary key, parent int default 3 references public.parent ${reference});
      insert into public.parent values (1), (2), (3); insert into public.child values (10, 1), (20, 2), (30, 3)`)
    await source.run(`select afluente.capture_table('public.parent'), afluente.capture_table('public.child')`)
    await source.run('begin; delete from public.parent where id = 1; update public.parent set id = 22 where id = 2; commit')
    expect(await ops('public.parent')).toEqual([
      ['delete', '[1]', null],
      ['delete', '[2]', null],
      ['insert', '[22]', '{"id":22}'],
    ])
    expect(await ops('public.child')).toEqual(expected)
  })

  it('deleted sets some columns of its children to NULL, and not the others', async () => {
    await source.run(`
      create table public.parent (a int, b int, primary key (a, b));
      create table public.child (id int primary key, a int, b int, foreign key (a, b) references public.parent on delete set null (b));
      insert into public.parent values (1, 1); insert into public.child values (10, 1, 1);
      select afluente.capture_table('public.child')`)
    await source.run('delete from public.parent')
    expect(await ops('public.child')).toEqual([['update', '[10]', '{"id":10,"a":1,"b":null}']])
  })

  it('not captured itself still changes captured children, through three tables', async () => {
    await source.run(`
      create table public.a (id int primary key);
      create table public.b (id int primary key references public.a on update cascade on delete cascade);
      create table public.c (id int primary key references public.b on update cascade on delete cascade, n int default 0);
      select afluente.capture_table('public.c');
      insert into public.a values (1), (2); insert into public.b values (1), (2); insert into public.c values (1), (2)`)
    await source.run('update public.a set id = id + 10')
    await source.run('update public.c set n = 1; delete from public.a where id = 11')
    await assertEndEqual({ 'public.c': 'id' })
    expect(await source.outbox('public.c')).toHaveLength(2 + 4 + 2 + 1)
  })
})

describe('a table that references itself', () => {
  const captured = `select afluente.capture_table('public.tree', with_before => true)`

  it('with keys that cascade: the statement that changes one changes what hangs on it', async () => {
    await source.run(`
      create table public.tree (id int primary key, parent int references public.tree on update cascade on delete cascade);
      ${captured}; insert into public.tree values (1, null), (2, 1), (3, 2), (4, 4)`)
    await source.run('update public.tree set id = id + 10 where id in (1, 4)')
    await source.run('update public.tree set id = id * 10')
    await source.run('update public.tree set id = id + 1, parent = null where id = 20')
    await assertEndEqual({ 'public.tree': 'id' })
    await source.run('delete from public.tree where id in (21, 140)')
    await assertEndEqual({ 'public.tree': 'id' })
    expect(await source.run('select * from public.tree order by id')).toEqual([{ id: '110', parent: null }])
  })

  it('with references set to NULL by the very statement that writes the row', async () => {
    await source.run(`
      create table public.tree (id int primary key, parent int references public.tree on update set null on delete set null, n int default 0);
      ${captured}; insert into public.tree values (1, 1), (2, 1), (3, 2)`)
    await source.run('update public.tree set id = id + 10, n = n + 1')
    await assertEndEqual({ 'public.tree': 'id' })
    await source.run('delete from public.tree where id = 11')
    await assertEndEqual({ 'public.tree': 'id' })
    expect(await source.run('select * from public.tree order by id')).toEqual([
      { id: '12', parent: null, n: '1' },
      { id: '13', parent: null, n: '1' },
    ])
  })

  it('in a key of two columns, one of which cascades', async () => {
    await source.run(`
      create table public.tree (a int, b int, a_up int, b_up int, primary key (a, b), foreign key (a_up, b_up) references public.tree on update cascade on delete cascade);
      ${captured}; insert into public.tree values (1, 1, null, null), (1, 2, 1, 1), (2, 1, 1, 2)`)
    await source.run('update public.tree set a = a + 5 where b = 1; update public.tree set b = 9 where a = 1')
    await source.run('delete from public.tree where a = 1')
    await assertEndEqual({ 'public.tree': 'a, b' })
    expect(await source.value('select count(*) from public.tree')).toBe('1')
  })

  it('with triggers of the user’s own on top of cascades', async () => {
    await source.run(`
      create table public.tree (id int primary key, parent int references public.tree on update cascade on delete cascade, children int default 0);
      create function public.count_children() returns trigger language plpgsql as $$
      begin
        update public.tree t set children = (select count(*) from public.tree c where c.parent = t.id)
        where t.id in (coalesce(new.parent, 0), coalesce(old.parent, 0));
        return null;
      end $$;
      create trigger count_children after insert or delete or update of parent on public.tree for each row execute function public.count_children();
      ${captured}; insert into public.tree values (1, null), (2, 1), (3, 1), (4, 2)`)
    await source.run('update public.tree set id = id + 10 where parent is null')
    await source.run('update public.tree set parent = 11 where id = 4; delete from public.tree where id = 2')
    await assertEndEqual({ 'public.tree': 'id' })
    expect(await source.value('select children from public.tree where id = 11')).toBe('2')
  })
})

describe('two tables that reference each other', () => {
  it('end equal, though checks are put off to the end of the transaction', async () => {
    await source.run(`
      create table public.hen (id int primary key, egg int);
      create table public.egg (id int primary key, hen int references public.hen on update cascade on delete cascade deferrable initially deferred);
      alter table public.hen add foreign key (egg) references public.egg on update cascade on delete set null deferrable initially deferred;
      select afluente.capture_table('public.hen'), afluente.capture_table('public.egg')`)
    await source.run('begin; insert into public.hen values (1, 1), (2, 2); insert into public.egg values (1, 2), (2, 1); commit')
    await source.run('begin; update public.hen set id = id + 10; update public.egg set id = id + 20; commit')
    await assertEndEqual({ 'public.hen': 'id', 'public.egg': 'id' })
    await source.run('delete from public.hen where id = 11')
    await assertEndEqual({ 'public.hen': 'id', 'public.egg': 'id' })
    expect(await source.value('select count(*) from public.egg')).toBe('1')
  })
})
