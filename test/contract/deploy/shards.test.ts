import { afterAll, beforeAll, beforeEach, describe, expect, test } from 'vitest'
import { setShards } from '../../../infra/deploy/shards.ts'
import { startPostgres, type TestPostgres } from '../../support/postgres.ts'
import { openSource, type Source } from '../../support/source.ts'

let postgres: TestPostgres
let source: Source

beforeAll(async () => {
  postgres = await startPostgres()
})
afterAll(async () => {
  await source?.close()
  await postgres?.stop()
})
beforeEach(async () => {
  await source?.close()
  source = await openSource(postgres)
})

const numbers = async () => (await source.run('select shard, epoch from afluente.shards order by shard')).map(({ shard }) => Number(shard))

describe('the shards of the source', () => {
  test('become as many as the definition says, more and fewer, and what waits keeps its order and loses nothing', async () => {
    await source.run('create table public.items (id int primary key, n int not null default 0)')
    await source.run(`select afluente.capture_table('public.items')`)
    await source.run('insert into public.items select n from generate_series(1, 40) n')
    await source.run('update public.items set n = 1')
    const ops = async () => (await source.outbox()).map(({ key, op }) => `${op} ${key}`)
    const before = await ops()
    expect(await setShards(source.database.ownerUrl, 4)).toMatch(/^4 shards, 1 before/)
    expect(await numbers()).toEqual([0, 1, 2, 3])
    expect(await ops()).toEqual(before)
    const placed = await source.run('select shard, afluente.shard_of(key, 4) as due from afluente.outbox')
    expect(placed.filter(({ shard, due }) => shard !== due)).toEqual([])
    expect(new Set(placed.map(({ shard }) => shard)).size).toBe(4)
    await setShards(source.database.ownerUrl, 2)
    expect(await numbers()).toEqual([0, 1])
    expect(await ops()).toEqual(before)
  })

  test('are left alone, epochs and all, when they are as defined', async () => {
    await source.run('update afluente.shards set epoch = 7')
    expect(await setShards(source.database.ownerUrl, 1)).toBe('1 shard, as defined')
    expect(await source.value('select epoch from afluente.shards')).toBe('7')
  })

  test('are said to wait for a transaction that has written and stays open', async () => {
    await source.run(`create table public.items (id int primary key); select afluente.capture_table('public.items')`)
    const user = await source.connect()
    await user.run('begin; insert into public.items values (1)')
    await expect(setShards(source.database.ownerUrl, 4)).rejects.toMatchObject({
      kind: 'unavailable',
      message: expect.stringContaining('stays open') as string,
    })
    await user.run('commit')
    expect(await setShards(source.database.ownerUrl, 4)).toMatch(/^4 shards, 1 before/)
  })

  test('that the source can not make are told with what to do', async () => {
    await source.run('drop function afluente.set_shards(int)')
    await expect(setShards(source.database.ownerUrl, 4)).rejects.toMatchObject({
      kind: 'misconfigured',
      message: expect.stringMatching(/defines 4 shards, the source has 1 .*apply supabase\/migrations/) as string,
    })
  })

  test('of a source that is away are told without its password', async () => {
    const fault = await setShards('postgres://me:topsecret@127.0.0.1:1/supabase', 4).catch((error: unknown) => error)
    expect(fault).toMatchObject({ kind: 'unavailable', message: expect.stringContaining('SOURCE_DATABASE_URL') as string })
    expect(String(fault)).not.toContain('topsecret')
  })

  test('by a role that may not are told as such', async () => {
    const other = new URL(source.database.ownerUrl)
    other.username = 'anon'
    await (await source.connect('superuser')).run('alter role anon login')
    await expect(setShards(other.href, 4)).rejects.toMatchObject({ kind: 'misconfigured', message: expect.stringContaining('the role that applied') as string })
  })
})
