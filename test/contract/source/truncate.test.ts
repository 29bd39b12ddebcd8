/** TRUNCATE fires no row's trigger: up to 100 000 rows it is a delete a key, above that one change says it all, the floor. */
import { beforeEach, describe, expect, it } from 'vitest'
import { backlog, freshSource } from '../../support/source.ts'
import { assertFloorHolds } from '../../support/source-properties.ts'

const source = freshSource()

beforeEach(async () => {
  await source.run(`create table public.items (id int primary key, name text); select afluente.capture_table('public.items')`)
})

/** Fills a captured table without its changes. */
async function fill(table: string, rows: number, from = 1): Promise<void> {
  await source.run(`
    alter table ${table} disable trigger afluente_insert;
    insert into ${table} (id) select n from generate_series(${from}, ${from + rows - 1}) n;
    alter table ${table} enable always trigger afluente_insert;
    update afluente.captured_tables c set columns = afluente.columns_of(c.table_oid)`)
}

const opsAndKeys = async (table?: string) => (await source.outbox(table)).map(({ op, key }) => [op, key])
const failures = async () => (await backlog(source)).failures

describe('a TRUNCATE', () => {
  it('of few rows is a delete of each key, with the last image', async () => {
    await source.run(`insert into public.items values (1, 'a'), (2, 'b')`)
    await source.emptyOutbox()
    await source.run('truncate public.items')
    expect((await source.outbox()).map(({ op, before, after }) => [op, before, after])).toEqual([
      ['delete', '{"id":1,"name":"a"}', null],
      ['delete', '{"id":2,"name":"b"}', null],
    ])
  })

  it('of 100 000 rows is 100 000 deletes', async () => {
    await fill('public.items', 100_000)
    await source.run('truncate public.items')
    expect(await source.run('select op, count(*) as rows, count(distinct key) as keys from afluente.outbox group by 1')).toEqual([
      { op: 'delete', rows: '100000', keys: '100000' },
    ])
  })

  it('of one row more is the floor: above every change before it, below every one after it', async () => {
    await fill('public.items', 100_001)
    await assertFloorHolds(source)
    expect(await failures()).toBe(0)
  })

  it('that is rolled back, whole or to a savepoint, leaves nothing', async () => {
    await fill('public.items', 100_001)
    await source.run('begin; truncate public.items; rollback')
    await source.run(`begin; savepoint s; truncate public.items; rollback to s; insert into public.items values (0, 'zero'); commit`)
    expect(await opsAndKeys()).toEqual([['insert', '[0]']])
  })

  it('waits for whoever writes, and the floor is above what they wrote', async () => {
    await fill('public.items', 100_001)
    const [writer, truncater] = [await source.connect(), await source.connect()]
    await writer.run(`begin; insert into public.items values (0, 'late')`)
    const truncated = truncater.run('truncate public.items')
    await writer.run(`update public.items set name = 'later' where id = 0; commit`)
    await truncated
    expect(await opsAndKeys()).toEqual([
      ['insert', '[0]'],
      ['update', '[0]'],
      ['truncate', '[]'],
    ])
  })

  it('with CASCADE, over captured and uncaptured tables: each captured one speaks for itself', async () => {
    await source.run(`
      create table public.uncaptured (id int primary key references public.items);
      create table public.parts (id int primary key references public.uncaptured);
      create table public.many (id int primary key references public.items);
      select afluente.capture_table('public.parts'); select afluente.capture_table('public.many');
      insert into public.items values (1, 'a'); insert into public.uncaptured values (1); insert into public.parts values (1)`)
    await fill('public.items', 100_001, 2)
    await fill('public.many', 100_001, 1)
    await source.emptyOutbox()
    await source.run('truncate public.items cascade')
    expect(await opsAndKeys('public.items')).toEqual([['truncate', '[]']])
    expect(await opsAndKeys('public.many')).toEqual([['truncate', '[]']])
    expect(await opsAndKeys('public.parts')).toEqual([['delete', '[1]']])
  })
})

describe('a TRUNCATE of a partitioned table', () => {
  beforeEach(async () => {
    await source.run(`
      create table public.sales (id int primary key) partition by range (id);
      create table public.low partition of public.sales for values from (minvalue) to (200000);
      create table public.high partition of public.sales for values from (200000) to (maxvalue) partition by range (id);
      create table public.higher partition of public.high for values from (200000) to (maxvalue);
      select afluente.capture_table('public.sales');
      insert into public.sales values (1), (200001)`)
    await source.emptyOutbox()
  })

  it('as a whole sends each delete once', async () => {
    await source.run('truncate public.sales')
    expect(await opsAndKeys()).toEqual([
      ['delete', '[1]'],
      ['delete', '[200001]'],
    ])
  })

  it('as a whole, of many rows, is one floor', async () => {
    await fill('public.low', 100_000, 2)
    await source.run('truncate public.sales')
    expect(await opsAndKeys()).toEqual([['truncate', '[]']])
  })

  it('one of its partitions alone sends its deletes, however many: the others’ rows live on', async () => {
    await fill('public.low', 100_000, 2)
    await source.run('truncate public.low')
    expect(await source.run('select op, count(*) as rows, count(before) as images from afluente.outbox group by 1')).toEqual([
      { op: 'delete', rows: '100001', images: '0' },
    ])
  })

  it('a branch alone, and a partition after the whole in one transaction', async () => {
    await source.run('truncate public.high')
    expect(await opsAndKeys()).toEqual([['delete', '[200001]']])
    await source.emptyOutbox()
    await source.run('begin; truncate public.sales; insert into public.low values (7); truncate public.low; commit')
    expect(await opsAndKeys()).toEqual([
      ['delete', '[1]'],
      ['insert', '[7]'],
      ['delete', '[7]'],
    ])
  })
})
