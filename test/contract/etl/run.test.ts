/** What a run moves and counts, on real Postgres at both ends. */
import { describe, expect, test } from 'vitest'
import { realPostgres } from '../sink/postgres-server.ts'
import { openWorld } from './world.ts'

const postgres = realPostgres()

const counts = { extracted: 0, inserted: 0, updated: 0, unchanged: 0, deleted: 0, rejected: 0, caughtByOverlap: 0, caughtByReconcile: 0 }
const OLD = `(now() - interval '1 hour') at time zone 'UTC'`
const NOW = `clock_timestamp() at time zone 'UTC'`

describe('a run', () => {
  test('loads all at first, then what has changed; a delete and what skips the cursor are found by the reconcile, each under its name', async () => {
    const { copy, reconcile, run, silver, source, truth } = await openWorld(postgres)
    await source.query(
      `insert into items select i, ' name ' || i, i, i * 1.10, timestamp '2026-01-01' + i * interval '1 microsecond', ${OLD} from generate_series(1, 25) as i`,
    )
    expect(await run()).toMatchObject({ ...counts, status: 'success', loadType: 'full', extracted: 25, inserted: 25, pages: 3, seen: 25, watermarkStart: null })
    expect(await copy()).toEqual(await truth())
    expect(await run()).toMatchObject({ ...counts, loadType: 'incremental', status: 'success' })
    expect(await run({ loadType: 'full' })).toMatchObject({ ...counts, extracted: 25, unchanged: 25 })
    await source.query(`update items set n = 7, updated_at = ${NOW} where id = 3`)
    await source.query('update items set seen_at = now() where id = 4')
    await source.query('delete from items where id = 5')
    expect(await run()).toMatchObject({ ...counts, extracted: 1, updated: 1 })
    expect(await reconcile()).toMatchObject({ ...counts, status: 'success', extracted: 1, updated: 1, deleted: 1, caughtByReconcile: 2, seen: 24 })
    expect(await copy()).toEqual(await truth())
    expect((await silver.query('select id, name, updated_at, _hash from silver.items_copy where _deleted_at is not null')).rows).toEqual([
      { id: '5', name: null, updated_at: null, _hash: null },
    ])
    expect(await reconcile()).toMatchObject({ ...counts, seen: 24 })
    // Equal to Postgres, and printed otherwise.
    await source.query('update items set price = round(price, 5) where id = 7')
    expect(await reconcile()).toMatchObject({ ...counts, extracted: 1, updated: 1, caughtByReconcile: 1 })
    expect(await copy()).toEqual(await truth())
    await source.query('insert into items (id, name) values (5, $1)', ['back'])
    expect(await run()).toMatchObject({ ...counts, extracted: 2, inserted: 1, unchanged: 1 })
    expect(await copy()).toEqual(await truth())
  })
})
