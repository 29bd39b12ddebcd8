/** The number of shards: every key has one, whatever was in the outbox and whoever was writing when the number changed. */
import { beforeEach, expect, it, test } from 'vitest'
import { eventually } from '../../support/poll.ts'
import { acknowledge, freshSource, held } from '../../support/source.ts'

const source = freshSource()
beforeEach(() => source.run(`create table public.items (id int primary key, name text); select afluente.capture_table('public.items')`))

const shardsOfKeys = async () => new Map((await source.outbox()).map(({ key, shard }) => [key, shard]))

/** Changes that wait, and those of them in a shard that is not their key's. */
const placed = async (shards: number) => {
  const rows = await source.run('select key, shard, afluente.shard_of(key, $1) as due from afluente.outbox', [shards])
  return { keys: new Set(rows.map(({ key }) => key)).size, wrong: rows.filter(({ due, shard }) => due !== shard) }
}

it('spreads keys over the shards, and never one key over two', async () => {
  await source.run('select afluente.set_shards(4)')
  await source.run(`insert into public.items select n from generate_series(1, 200) n; update public.items set name = 'x'`)
  const rows = await source.outbox()
  expect(new Set(rows.map(({ shard }) => shard))).toEqual(new Set(['0', '1', '2', '3']))
  expect(new Set(rows.map(({ key, shard }) => `${key} ${shard}`)).size).toBe(200)
})

it('moves what waits when the number changes, up and down, in its order', async () => {
  await source.run(`insert into public.items select n from generate_series(1, 100) n; update public.items set name = 'x'`)
  const changes = async () => (await source.outbox()).map(({ key, op, version }) => `${op} ${key} ${version}`)
  const before = await changes()
  await source.run('select afluente.set_shards(8)')
  expect(await changes()).toEqual(before)
  const former = await shardsOfKeys()
  await source.emptyOutbox()
  await source.run(`update public.items set name = 'y'`)
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

it('whose mending was rolled back as well is mended by the sweep after it', async () => {
  await source.run('begin; select afluente.set_shards(8); rollback')
  await source.run('insert into public.items select n from generate_series(1, 50) n')
  await source.run('begin; select afluente.sweep(); rollback')
  expect(await source.value('select last_value from afluente.shard_count')).toBe('1')
  await source.run('select afluente.sweep()')
  expect((await held(source, 'a')).rows).toHaveLength(50)
})

it('is not mended while a transaction that writes is open, and the sweep waits for none', async () => {
  const [user, sweeper] = [await source.connect(), await source.connect()]
  await source.run('begin; select afluente.set_shards(8); rollback')
  await user.run('begin; insert into public.items values (1)')
  await sweeper.run(`set statement_timeout = '2s'; select afluente.sweep()`)
  expect(await source.value('select last_value from afluente.shard_count')).toBe('8')
  await user.run('commit')
  await sweeper.run('select afluente.sweep()')
  expect(await source.value('select last_value from afluente.shard_count')).toBe('1')
  expect(await placed(1)).toEqual({ keys: 1, wrong: [] })
})

const INSERT = 'insert into public.items select generate_series(1, 50)'
const TRUNCATE = 'truncate public.items'

test.each([
  [1, 4],
  [4, 1],
])('a transaction that began with %i shards writes its first change when there are %i', async (before, after) => {
  await source.run('select afluente.set_shards($1)', [before])
  const user = await source.connect()
  // Its plans are of before as well.
  await user.run(`${INSERT}; ${TRUNCATE}; delete from afluente.outbox`)
  await user.run('begin isolation level repeatable read; select from public.leads')
  await source.run('select afluente.set_shards($1)', [after])
  // Under its old snapshot it can't tell the rows that a TRUNCATE takes, so that writes a floor.
  await user.run(`${INSERT}; ${TRUNCATE}; commit`)
  expect(await placed(after)).toEqual({ keys: 51, wrong: [] })
})

test.each([
  [1, 4],
  [4, 1],
])('a statement that waits while %i shards become %i', async (before, after) => {
  await source.run('select afluente.set_shards($1)', [before])
  const [user, owner] = [await source.connect(), await source.connect()]
  await user.run(`${INSERT}; delete from public.items; delete from afluente.outbox`)
  await owner.run('begin')
  await owner.run('select afluente.set_shards($1)', [after])
  const writing = user.run(INSERT)
  await eventually('the statement waits', async () => (await source.value(`select count(*) from pg_locks where not granted`)) === '1')
  await owner.run('commit')
  await writing
  expect(await placed(after)).toEqual({ keys: 50, wrong: [] })
})

it.each(['0', '65', 'null'])('refuses %s shards', async (count) => {
  await expect(source.run(`select afluente.set_shards(${count})`)).rejects.toThrow(`afluente: ${count} shards`)
})

it('refuses to work under an old snapshot, which hides what it has to move', async () => {
  await expect(source.run('begin isolation level repeatable read; select afluente.set_shards(4)')).rejects.toThrow('under an old snapshot')
  await source.run('rollback')
  expect(await source.value('select last_value from afluente.shard_count')).toBe('1')
})
