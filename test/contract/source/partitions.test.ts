/** Partitions that come and go: no row's trigger tells of it. */
import { afterAll, beforeAll, beforeEach, expect, it } from 'vitest'
import { startPostgres, type TestPostgres } from '../../support/postgres.ts'
import { backlog, openSource, type Source } from '../../support/source.ts'
import { assertEndsEqual } from '../../support/source-properties.ts'

let postgres: TestPostgres
let source: Source

beforeAll(async () => {
  postgres = await startPostgres()
})
afterAll(() => postgres.stop())
beforeEach(async () => {
  await source?.close()
  source = await openSource(postgres)
  await source.run(`
    create table public.sales (id int primary key, secret text, name text) partition by range (id);
    create table public.first partition of public.sales for values from (0) to (100);
    select afluente.capture_table('public.sales', exclude => '{secret}', with_before => true)`)
})

const sales = async () => (await backlog(source)).tables.find(({ table }) => table === 'public.sales')

it('one made after the table was captured gets the triggers at the next sweep, and nothing needs mending', async () => {
  await source.run('create table public.second partition of public.sales for values from (100) to (200)')
  expect(await source.value('select afluente.sweep()')).toBe('f')
  await source.run(`insert into public.second values (100, 'hush', 'a'); update public.second set name = 'b'`)
  expect((await source.outbox()).map(({ op, before, after }) => [op, before, after])).toEqual([
    ['insert', null, '{"id":100,"name":"a"}'],
    ['update', '{"id":100,"name":"a"}', '{"id":100,"name":"b"}'],
  ])
  expect(await sales()).toMatchObject({ problem: null, failures: 0, reconcileSince: null })
})

it('one attached with rows marks the table to be reconciled', async () => {
  await source.run(`
    create table public.second (id int primary key, secret text, name text); insert into public.second values (100);
    alter table public.sales attach partition public.second for values from (100) to (200)`)
  expect(await sales()).toMatchObject({
    problem: null,
    failures: 1,
    reconcileSince: expect.any(String),
    lastFailure: expect.stringMatching(/^55000: partitions/),
  })
})

it('one that was detached or dropped marks the table, and is captured no more', async () => {
  await source.run(`insert into public.sales values (1); delete from afluente.outbox; alter table public.sales detach partition public.first`)
  expect(await sales()).toMatchObject({ problem: null, failures: 1, reconcileSince: expect.any(String) })
  await source.run('insert into public.first values (2)')
  expect(await source.outbox()).toEqual([])
  await source.run('create table public.second partition of public.sales for values from (100) to (200); select afluente.backlog(); drop table public.second')
  expect(await sales()).toMatchObject({ failures: 2 })
})

it('one that was detached and still has the triggers tells of the table alone', async () => {
  await source.run(`insert into public.sales values (1, null, 'a'); alter table public.sales detach partition public.first`)
  await source.run(`update public.first set name = 'b'; insert into public.first values (2)`)
  await assertEndsEqual(source, 'public.sales', 'id')
})

it('waits for the next sweep while somebody works on a partition', async () => {
  await source.run('create table public.second partition of public.sales for values from (100) to (200)')
  const user = await source.connect()
  await user.run('begin; insert into public.sales values (150)')
  expect((await sales())?.problem).toMatch(/triggers are missing/)
  await user.run('commit')
  expect((await sales())?.problem).toBeNull()
})
