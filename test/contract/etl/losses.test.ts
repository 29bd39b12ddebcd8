/** Each way in which `updated_at > watermark` loses rows: lost by the plain reader, and not by a run. Two sessions, real transactions. */
import type pg from 'pg'
import { describe, expect, test } from 'vitest'
import { naiveEtl, type NaiveEtl } from '../../support/naive-etl.ts'
import { realPostgres } from '../sink/postgres-server.ts'
import { itemsJob, openWorld, type World } from './world.ts'

const postgres = realPostgres()
const OLD = `(now() - interval '1 hour') at time zone 'UTC'`
const NOW = `clock_timestamp() at time zone 'UTC'`

async function has(naive: NaiveEtl, { source }: World): Promise<boolean> {
  const { rows } = await source.query<{ id: string; name: string | null }>('select id, name from items order by id')
  return rows.length === naive.copy.size && rows.every(({ id, name }) => naive.copy.has(id) && naive.copy.get(id) === name)
}

const put = (client: pg.Client, id: number, name: string, at = NOW) =>
  client.query(
    `insert into items (id, name, updated_at) values (${id}, $1, ${at}) on conflict (id) do update set name = excluded.name, updated_at = excluded.updated_at`,
    [name],
  )

describe('what the plain way loses is not lost:', () => {
  test('a transaction that commits after the cursor has passed', async () => {
    // Without an overlap: the proof alone has to do it.
    const world = await openWorld(postgres, { job: { ...itemsJob, overlap: '0s' } })
    const { copy, run, source, truth } = world
    const naive = naiveEtl(source)
    await put(source, 1, 'early')
    await run()
    await naive.run()
    const late = await world.session()
    await late.query('begin')
    await put(late, 2, 'late')
    await put(source, 3, 'in between')
    await run()
    await naive.run()
    await late.query('commit')
    const after = await run()
    await naive.run()
    expect(await has(naive, world)).toBe(false)
    expect(await copy()).toEqual(await truth())
    expect(after).toMatchObject({ inserted: 1, caughtByOverlap: 1 })
  })

  test('a transaction that was prepared for two-phase commit, before and after it was noted', async () => {
    const world = await openWorld(postgres, { job: { ...itemsJob, overlap: '0s' } })
    const { copy, run, source, truth } = world
    await put(source, 1, 'early')
    await run()
    const [first, second] = [await world.session(), await world.session()]
    for (const [client, id] of [
      [first, 2],
      [second, 3],
    ] as const) {
      await client.query('begin')
      await put(client, id, 'prepared')
    }
    await first.query(`prepare transaction 'one'`)
    await put(source, 4, 'in between')
    await run()
    // Was open when it was noted; its virtual id is gone now.
    await second.query(`prepare transaction 'two'`)
    await put(source, 5, 'later')
    await run()
    await source.query(`commit prepared 'one'`)
    await run()
    await source.query(`commit prepared 'two'`)
    await run()
    expect(await copy()).toEqual(await truth())
  })

  test('sixty rows in one microsecond, cut by a page', async () => {
    const world = await openWorld(postgres)
    const { copy, run, source, truth } = world
    const naive = naiveEtl(source)
    await put(source, 1, 'first', OLD)
    await run()
    await source.query(`insert into items (id, name, updated_at) select i, 'together', '2026-11-01 10:00:00.123456' from generate_series(100, 159) as i`)
    await naive.run()
    await world.control.setWatermark({ job: 'items', to: '2026-10-31T00:00:00Z', actor: 'test' }, { signal: new AbortController().signal })
    expect(await run()).toMatchObject({ inserted: 60, pages: 7 })
    expect(await has(naive, world)).toBe(false)
    expect(await copy()).toEqual(await truth())
  })

  test('microseconds that are cut to milliseconds', async () => {
    const world = await openWorld(postgres, { job: { ...itemsJob, pageRows: 1, overlap: '0s' } })
    const { copy, run, source, truth } = world
    const naive = naiveEtl(source, { pageRows: 1 })
    await run()
    for (const [id, at] of [
      [1, '.123001'],
      [2, '.123002'],
      [3, '.123999'],
    ] as const)
      await put(source, id, 'close', `'2026-11-01 10:00:00${at}'`)
    await world.control.setWatermark({ job: 'items', to: '2026-10-31T00:00:00Z', actor: 'test' }, { signal: new AbortController().signal })
    await naive.run()
    await run()
    expect(await has(naive, world)).toBe(false)
    expect(await copy()).toEqual(await truth())
  })

  test('a row that is updated while it is paged, ahead of the page and behind it', async () => {
    const world = await openWorld(postgres)
    const { copy, deps, finish, run, source, start, truth } = world
    const touchAll = () => source.query(`update items set name = 'touched', updated_at = ${NOW} - interval '1 second' + id * interval '1 microsecond'`)
    const between = async () => {
      await source.query(`update items set name = 'ahead', updated_at = ${NOW} where id = 2`)
      // The application took its time, and then waited for something else.
      await source.query(`update items set name = 'behind', updated_at = (select min(updated_at) from items) where id = 25`)
    }
    await source.query(`insert into items (id, name, updated_at) select i, 'old', ${OLD} from generate_series(1, 30) as i`)
    await run()

    const naive = naiveEtl(source, { onPage: between })
    await touchAll()
    await naive.run()
    expect(await has(naive, world)).toBe(false)

    await touchAll()
    let pages = 0
    const { sources } = deps()
    const disturbed: typeof sources = (database) => {
      const inner = sources(database)
      return {
        ...inner,
        page: async (...args) => {
          const page = await inner.page(...args)
          pages += 1
          if (pages === 1) await between()
          return page
        },
      }
    }
    await finish(await start(), { sources: disturbed })
    expect(pages).toBeGreaterThan(2)
    expect(await run()).toMatchObject({ updated: 2, caughtByOverlap: 1 })
    expect(await copy()).toEqual(await truth())
  })

  test('a clock that steps back', async () => {
    const world = await openWorld(postgres)
    const { copy, run, source, truth } = world
    const naive = naiveEtl(source)
    await put(source, 1, 'on time')
    await run()
    await naive.run()
    await put(source, 2, 'from a clock that was set back', `${NOW} - interval '5 seconds'`)
    const after = await run()
    await naive.run()
    expect(await has(naive, world)).toBe(false)
    expect(after).toMatchObject({ inserted: 1, caughtByOverlap: 1 })
    expect(await copy()).toEqual(await truth())
  })

  test('a clock that steps back further than the overlap: nothing begins in its future', async () => {
    const { copy, run, silver, source, truth } = await openWorld(postgres)
    await put(source, 1, 'on time')
    await run()
    await put(source, 2, 'under the clock that was set back')
    for (const loadType of ['incremental', 'full'] as const) {
      await silver.query(`update ops.etl_control set watermark_end = watermark_end + interval '1 hour'`)
      const { startedAt, watermarkEnd } = await run({ loadType })
      expect(Date.parse(watermarkEnd ?? '')).toBeLessThan(Date.parse(startedAt) + 10_000)
    }
    expect(await copy()).toEqual(await truth())
  })

  test('a write that skips updated_at, and a hard delete', async () => {
    const world = await openWorld(postgres)
    const { copy, reconcile, run, source, truth } = world
    const naive = naiveEtl(source)
    for (const id of [1, 2, 3]) await put(source, id, 'first', OLD)
    await run()
    await naive.run()
    await source.query(`update items set name = 'skipped' where id = 1`)
    await source.query('delete from items where id = 2')
    await run()
    await naive.run()
    expect(await has(naive, world)).toBe(false)
    expect(await reconcile()).toMatchObject({ updated: 1, deleted: 1, caughtByReconcile: 2 })
    expect(await copy()).toEqual(await truth())
  })

  test('a source whose time zone is not UTC', async () => {
    const job = { ...itemsJob, columns: { ...itemsJob.columns, updated_at: { type: 'timestamptz' as const } } }
    const schema = `create table items (id bigint primary key, name text, n integer, price numeric, seen_at timestamp, updated_at timestamptz not null default clock_timestamp())`
    const world = await openWorld(postgres, { job, schema, zone: 'Asia/Tokyo' })
    const { run, silver, source } = world
    await source.query(`insert into items (id, name, seen_at, updated_at) values (1, 'x', '2026-11-01 10:00:00.000001', '2026-11-01 10:00:00.000001-03')`)
    await run()
    await source.query(`insert into items (id, name) values (2, 'y')`)
    expect(await run()).toMatchObject({ inserted: 1 })
    const { rows } = await silver.query(
      `select to_char(updated_at at time zone 'UTC', 'HH24:MI:SS.US') as updated, to_char(seen_at at time zone 'UTC', 'HH24:MI:SS.US') as seen from silver.items_copy where id = 1`,
    )
    expect(rows).toEqual([{ updated: '13:00:00.000001', seen: '10:00:00.000001' }])
    // The plain way takes its session's wall clock for UTC: nine hours are lost.
    const naive = naiveEtl(source)
    await naive.run()
    await source.query(`insert into items (id, name) values (3, 'z')`)
    await naive.run()
    expect(naive.copy.has('3')).toBe(false)
    expect(await run()).toMatchObject({ inserted: 1 })
  })
})
