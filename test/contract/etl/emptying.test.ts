/** A source that all at once has little or nothing of what the copy shows: nothing is taken out, unless somebody says so. */
import { describe, expect, test } from 'vitest'
import { realPostgres } from '../sink/postgres-server.ts'
import { itemsJob, openWorld, type World } from './world.ts'

const postgres = realPostgres()
const refused = { status: 'failed', deleted: 0, inserted: 0, updated: 0, attempt: 1, error: expect.stringContaining('would-empty') }

const PAIRS =
  'create table items (id bigint, n integer, name text, price numeric, seen_at timestamp, updated_at timestamp not null default now(), primary key (id, n))'

async function filled(rows: number, over: Parameters<typeof openWorld>[1] = {}): Promise<World> {
  const world = await openWorld(postgres, over)
  await world.source.query(`insert into items (id, name) select i, 'name ' || i from generate_series(1, ${rows}) as i`)
  expect(await world.run()).toMatchObject({ status: 'success', inserted: rows })
  return world
}

describe('a source that', () => {
  test.for(['full', 'reconcile'] as const)(
    'gives no row any more fails the %s run at once, says what to do, and leaves the copy as it was',
    async (loadType) => {
      const { copy, run, source } = await filled(35)
      const before = await copy()
      await source.query('alter table items rename to hidden; create view items as select * from hidden where id < 0')
      const ended = await run({ loadType })
      expect(ended).toMatchObject(refused)
      const command = loadType === 'full' ? 'run items --full --yes' : 'reconcile items --yes'
      expect(ended.error).toContain(`of 35 rows that silver.items_copy shows, public.items has none`)
      expect(ended.error).toContain(`npx afluente etl ${command}`)
      expect(await copy()).toEqual(before)
      expect(await run({ loadType, dryRun: true })).toMatchObject({ status: 'success', deleted: 35 })
      expect(await copy()).toEqual(before)
      expect(await run({ loadType, acceptDeletes: true })).toMatchObject({ status: 'success', deleted: 35 })
      expect(await copy()).toEqual([])
      // Of an empty copy nothing can go.
      expect(await run({ loadType })).toMatchObject({ status: 'success', deleted: 0 })
    },
  )

  test('gives as many rows of somebody else is not believed either', async () => {
    const { copy, reconcile, source } = await filled(35)
    const before = await copy()
    await source.query('update items set id = id + 1000')
    expect(await reconcile()).toMatchObject(refused)
    expect(await copy()).toEqual(before)
  })

  test('has lost less than half is believed, and more is not', async () => {
    const { copy, reconcile, source, truth } = await filled(35)
    await source.query('delete from items where id <= 17')
    expect(await reconcile()).toMatchObject({ status: 'success', deleted: 17 })
    expect(await copy()).toEqual(await truth())
    await source.query('delete from items where id <= 28')
    expect(await reconcile()).toMatchObject(refused)
  })

  test('has lost few rows is believed, whatever share they are; all of them is more than few', async () => {
    const { reconcile, source } = await filled(12)
    await source.query('delete from items where id <= 10')
    expect(await reconcile()).toMatchObject({ status: 'success', deleted: 10 })
    await source.query('delete from items')
    expect(await reconcile()).toMatchObject(refused)
  })

  test('is never asked where a job ignores deletes', async () => {
    const { copy, reconcile, source } = await filled(12, { job: { ...itemsJob, deletes: 'ignore' } })
    await source.query('delete from items')
    expect(await reconcile()).toMatchObject({ status: 'success', deleted: 0 })
    expect(await copy()).toHaveLength(12)
  })
})

test('the rows that are looked for come from a part of a large table', async () => {
  const { deps, silver } = await filled(12)
  await silver.query(
    `insert into silver.items_copy (id, name, _synced_at) select i, 'x', now() from generate_series(100, 60000) as i; update silver.items_copy set _deleted_at = now() where id % 2 = 0; analyze silver.items_copy`,
  )
  const keys = await deps().store.sample(itemsJob, 1_000, { signal: new AbortController().signal })
  expect(new Set(keys.map(([key]) => key)).size).toBe(1_000)
  expect(keys.every(([key]) => Number(key) % 2 === 1)).toBe(true)
})

test('a large table of which next to nothing lives, or of which statistics tell nothing true, is looked at as a whole', async () => {
  const { deps, silver } = await filled(12)
  await silver.query(`update pg_class set reltuples = 1e9 where oid = 'silver.items_copy'::regclass`)
  expect(await deps().store.sample(itemsJob, 1_000, { signal: new AbortController().signal })).toHaveLength(12)
})

test('a key of several columns is looked for as a whole', async () => {
  const { reconcile, run, source } = await openWorld(postgres, { schema: PAIRS, job: { ...itemsJob, key: ['id', 'n'] } })
  await source.query('insert into items (id, n) select i, n from generate_series(1, 20) as i, generate_series(1, 2) as n')
  expect(await run()).toMatchObject({ status: 'success', inserted: 40 })
  await source.query('update items set id = id + 100 where n = 2')
  expect(await reconcile()).toMatchObject({ status: 'success', inserted: 20, deleted: 20 })
  await source.query('update items set id = id + 1000 where id <> 5')
  expect(await reconcile()).toMatchObject(refused)
})
