/** The number of shards: every key has one, whatever was in the outbox when the number changed. */
import { afterAll, beforeAll, beforeEach, expect, it } from 'vitest'
import { startPostgres, type TestPostgres } from '../../support/postgres.ts'
import { acknowledge, held, openSource, type Source } from '../../support/source.ts'

let postgres: TestPostgres
let source: Source

beforeAll(async () => {
  postgres = await startPostgres()
})
afterAll(() => postgres.stop())
beforeEach(async () => {
  await source?.close()
  source = await openSource(postgres)
  await source.run(`create table public.items (id int primary key, name text); select afluente.capture_table('public.items')`)
})

const shardsOfKeys = async () => new Map((await source.outbox()).map(({ key, shard }) => [key, shard]))

it('spreads keys over the shards, and never one key over two', async () => {
  await source.run('select afluente.set_shards(4)')
  await source.run(`insert into public.items select n from generate_series(1, 200) n; update public.items set name = 'x'`)
  const rows = await source.outbox()
  expect(new Set(rows.map(({ shard }) => shard))).toEqual(new Set(['0', '1', '2', '3']))
  expect(new Set(rows.map(({ key, shard }) => `${key} ${shard}`)).size).toBe(200)
})

it('moves what waits when the number changes, up and down', async () => {
  await source.run('insert into public.items select n from generate_series(1, 100) n')
  await source.run('select afluente.set_shards(8)')
  const former = await shardsOfKeys()
  await source.emptyOutbox()
  await source.run(`update public.items set name = 'x'`)
  expect(await shardsOfKeys()).toEqual(former)
  await source.run('select afluente.set_shards(1)')
  expect(new Set((await shardsOfKeys()).values())).toEqual(new Set(['0']))
  expect((await held(source, 'a')).rows).toHaveLength(100)
})

it('takes every shard from its holder, and what moved below a settled version is found', async () => {
  await source.run('insert into public.items values (1), (2), (3)')
  const former = await held(source, 'a')
  await source.run('update afluente.shards set settled = 9000000000000000')
  await source.run('select afluente.set_shards(2)')
  expect(await acknowledge(source, former.epoch, [former.rows[0]?.[0] ?? 0])).toMatchObject({ status: 'fenced' })
  const rows = [...(await held(source, 'b')).rows, ...(await held(source, 'b', { shard: 1 })).rows]
  expect(rows.map((row) => row[3]).toSorted()).toEqual(['[1]', '[2]', '[3]'])
})

it('that was rolled back is mended by the next sweep, and not while it is under way', async () => {
  const other = await source.connect()
  await other.run('begin; select afluente.set_shards(8)')
  await source.run('select afluente.sweep()')
  await other.run('rollback')
  await source.run('insert into public.items select n from generate_series(1, 50) n')
  expect(new Set((await shardsOfKeys()).values()).size).toBeGreaterThan(1)
  await source.run('select afluente.sweep()')
  expect((await held(source, 'a')).rows).toHaveLength(50)
  await source.run(`update public.items set name = 'x'`)
  expect(new Set((await shardsOfKeys()).values())).toEqual(new Set(['0']))
})

it('stays as it is when the number is the same', async () => {
  const before = await source.run('select * from afluente.shards')
  await source.run('select afluente.set_shards(1)')
  expect(await source.run('select * from afluente.shards')).toEqual(before)
})

it('waits for whoever writes, five seconds at the most', async () => {
  const writer = await source.connect()
  await writer.run('begin; insert into public.items values (1)')
  await source.run(`set statement_timeout = '20s'`)
  await expect(source.run('select afluente.set_shards(2)')).rejects.toThrow('lock timeout')
  await writer.run('commit')
  await source.run('select afluente.set_shards(2)')
})

it.each(['0', '65', 'null'])('refuses %s shards', async (count) => {
  await expect(source.run(`select afluente.set_shards(${count})`)).rejects.toThrow(`afluente: ${count} shards`)
})
