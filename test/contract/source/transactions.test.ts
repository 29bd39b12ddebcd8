/** What a transaction takes back leaves nothing, in whichever way it does so; what it keeps is there once it has committed. */
import { beforeEach, describe, expect, it } from 'vitest'
import { eventually } from '../../support/poll.ts'
import { backlog, freshSource } from '../../support/source.ts'
import { assertEndsEqual } from '../../support/source-properties.ts'

const source = freshSource()

beforeEach(async () => {
  await source.run(`create table public.t (id int primary key, n int); select afluente.capture_table('public.t')`)
})

const changes = async () => (await source.outbox('public.t')).map(({ op, key, after }) => [op, key, (JSON.parse(after ?? '{}') as { n?: number }).n])

describe('savepoints', () => {
  it('that are rolled back take their changes with them; those that are released don’t', async () => {
    await source.run(`
      begin;
      insert into public.t values (1, 1);
      savepoint a; update public.t set n = 2; savepoint b; update public.t set n = 3; insert into public.t values (2, 2);
      rollback to b; update public.t set n = 4; release b; rollback to a;
      savepoint c; update public.t set n = 5; release c; savepoint d; delete from public.t; rollback to d; commit`)
    expect(await changes()).toEqual([
      ['insert', '[1]', 1],
      ['update', '[1]', 5],
    ])
    await assertEndsEqual(source, 'public.t', 'id')
  })

  it('after an error the statement before it stands', async () => {
    await source.run('begin; insert into public.t values (1, 1); savepoint s')
    await expect(source.run('insert into public.t values (2, 2), (1, 1)')).rejects.toThrow('duplicate key')
    await source.run('rollback to s; insert into public.t values (3, 3); commit')
    expect(await changes()).toEqual([
      ['insert', '[1]', 1],
      ['insert', '[3]', 3],
    ])
  })
})

describe('blocks of PL/pgSQL', () => {
  it('that catch an exception take back what was written in them, at every depth', async () => {
    await source.run(`
      do $$
      begin
        insert into public.t values (1, 1);
        begin
          update public.t set n = 2;
          begin
            insert into public.t values (2, 2);
            insert into public.t values (1, 1);
          exception when unique_violation then
            insert into public.t values (3, 3);
          end;
          perform 1 / 0;
        exception when division_by_zero then
          update public.t set n = 10 where id = 1;
        end;
        for i in 4..6 loop
          begin
            insert into public.t values (i, i);
            if i = 5 then raise exception 'no five'; end if;
          exception when raise_exception then null;
          end;
        end loop;
      end $$`)
    expect(await changes()).toEqual([
      ['insert', '[1]', 1],
      ['update', '[1]', 10],
      ['insert', '[4]', 4],
      ['insert', '[6]', 6],
    ])
    await assertEndsEqual(source, 'public.t', 'id')
  })

  it('a procedure that commits and rolls back on its way', async () => {
    await source.run(`
      create procedure public.walk() language plpgsql as $$
      begin
        for i in 1..4 loop
          insert into public.t values (i, i);
          if i % 2 = 0 then rollback; else commit; end if;
        end loop;
      end $$`)
    await source.run('call public.walk()')
    expect(await changes()).toEqual([
      ['insert', '[1]', 1],
      ['insert', '[3]', 3],
    ])
  })

  it('a failure of the capture in a block that is taken back counts for nothing', async () => {
    await source.run(`alter table afluente.outbox add constraint wrong check (key <> '[2]')`)
    await source.run(
      `do $$ begin insert into public.t values (2, 2); raise exception 'no'; exception when others then insert into public.t values (1, 1); end $$`,
    )
    expect(await changes()).toEqual([['insert', '[1]', 1]])
    expect((await backlog(source)).failures).toBe(0)
  })
})

describe('two-phase commit', () => {
  it('what is prepared is not there yet; committed by another session it is, rolled back it never was', async () => {
    const other = await source.connect()
    await source.run(`begin; insert into public.t values (1, 1); update public.t set n = 2; prepare transaction 'kept'`)
    await source.run(`begin; insert into public.t values (2, 2); prepare transaction 'dropped'`)
    await source.run('insert into public.t values (3, 3)')
    expect(await changes()).toEqual([['insert', '[3]', 3]])
    await other.run(`commit prepared 'kept'`)
    await other.run(`rollback prepared 'dropped'`)
    expect(await changes()).toEqual([
      ['insert', '[1]', 1],
      ['update', '[1]', 2],
      ['insert', '[3]', 3],
    ])
    await assertEndsEqual(source, 'public.t', 'id')
  })

  it('a key written before and after it keeps its order', async () => {
    await source.run('insert into public.t values (1, 0)')
    const writer = await source.connect()
    await source.run(`begin; update public.t set n = 1 where id = 1; prepare transaction 'first'`)
    const waiting = writer.run('update public.t set n = n + 10 where id = 1')
    await eventually('the second writer waits', async () => (await source.value(`select count(*) from pg_locks where not granted`)) !== '0')
    await source.run(`commit prepared 'first'`)
    await waiting
    expect((await changes()).map(([, , n]) => n)).toEqual([0, 1, 11])
    await assertEndsEqual(source, 'public.t', 'id')
  })
})

describe('isolation', () => {
  it.each(['read committed', 'repeatable read', 'serializable'])('%s: the image is what the transaction leaves', async (level) => {
    await source.run('insert into public.t values (1, 1), (2, 2)')
    const other = await source.connect()
    await source.run(`begin isolation level ${level}; select * from public.t`)
    await other.run('update public.t set n = 20 where id = 2')
    await source.run('update public.t set n = 10 where id = 1; insert into public.t values (3, 3); update public.t set n = 30 where id = 3; commit')
    await assertEndsEqual(source, 'public.t', 'id')
  })

  it('a writer that waited for a row sends what it made of the row it found', async () => {
    await source.run('insert into public.t values (1, 1), (2, 1)')
    const [first, second] = [await source.connect(), await source.connect()]
    await first.run('begin; update public.t set n = n + 1 where id = 1; delete from public.t where id = 2')
    const waiting = second.run('update public.t set n = n * 10')
    await eventually('the second writer waits', async () => (await source.value(`select count(*) from pg_locks where not granted`)) !== '0')
    await first.run('commit')
    await waiting
    expect(await source.run('select * from public.t')).toEqual([{ id: '1', n: '20' }])
    await assertEndsEqual(source, 'public.t', 'id')
  })
})
