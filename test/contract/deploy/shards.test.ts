import { describe, expect, test } from 'vitest'
import { setShards } from '../../../infra/deploy/shards.ts'
import { freshSource } from '../../support/source.ts'

const source = freshSource()
const numbers = async () => (await source.run('select shard from afluente.shards order by shard')).map(({ shard }) => Number(shard))

describe('the shards of the source', () => {
  test('become as many as the definition says, more and fewer', async () => {
    expect(await setShards(source.database.ownerUrl, 4)).toMatch(/^4 shards, 1 before; deploy capture again/)
    expect(await numbers()).toEqual([0, 1, 2, 3])
    expect(await setShards(source.database.ownerUrl, 2)).toMatch(/^2 shards, 4 before/)
    expect(await numbers()).toEqual([0, 1])
  })

  test('are left alone, epochs and all, when they are as defined', async () => {
    await source.run('update afluente.shards set epoch = 7')
    expect(await setShards(source.database.ownerUrl, 1)).toBe('1 shard, as defined')
    expect(await source.value('select epoch from afluente.shards')).toBe('7')
  })

  test('are said to wait for a transaction that has written and stays open, which is named, and nothing it wrote', async () => {
    const user = await source.connect()
    await user.run(`set application_name = 'night import'; begin; insert into public.leads (name) values ('S3CRET')`)
    const fault = await setShards(source.database.ownerUrl, 4).catch((error: unknown) => error)
    expect(fault).toMatchObject({
      kind: 'unavailable',
      message: expect.stringMatching(
        /nothing was changed .*stays open.*: process \d+ \(role project_owner, night import, idle in transaction, open since .*run this again/,
      ) as unknown,
    })
    expect(String(fault)).not.toContain('S3CRET')
    await user.run('commit')
    expect(await setShards(source.database.ownerUrl, 4)).toMatch(/^4 shards, 1 before/)
  })

  test('are said to wait for another when that was let go on in their place', async () => {
    await source.run(`create or replace function afluente.raise_epochs() returns void language plpgsql as
      'begin raise exception using errcode = ''40P01'', message = ''deadlock detected''; end'`)
    await expect(setShards(source.database.ownerUrl, 4)).rejects.toMatchObject({
      kind: 'unavailable',
      message: expect.stringMatching(/nothing was changed \(deadlock detected\).*Run this again/) as unknown,
    })
  })

  test('may take longer than the role lets a statement take: what waits is as long as it is', async () => {
    await source.run(`insert into public.leads (name) select 'Ana' from generate_series(1, 40)`)
    await source.run(`
      create function public.slow() returns trigger language plpgsql as 'begin perform pg_sleep(0.02); return new; end';
      create trigger slow before update on afluente.outbox for each row execute function public.slow()`)
    await (await source.connect('superuser')).run(`alter role project_owner set statement_timeout = '200ms'`)
    try {
      expect(await setShards(source.database.ownerUrl, 4)).toMatch(/^4 shards, 1 before/)
    } finally {
      await (await source.connect('superuser')).run('alter role project_owner reset statement_timeout')
    }
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
