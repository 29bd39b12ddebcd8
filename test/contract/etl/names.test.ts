/** Columns may be called what the statements of a job call things themselves. */
import { expect, test } from 'vitest'
import { etlJob } from '../../../shared/tables/etl-job.ts'
import { realPostgres } from '../sink/postgres-server.ts'
import { openWorld } from './world.ts'

const postgres = realPostgres()

const NAMES = [
  'job',
  'epoch',
  'is_new',
  'hash',
  'hashes',
  'rows',
  'sum',
  'odd',
  'key',
  'lease',
  'incoming',
  'changed',
  'gone',
  'page',
  'there',
  'version',
  'n',
  'select',
  'last_0',
  'r',
]

const job = etlJob({
  source: { database: 'chatwoot', relation: 'public.items' },
  key: ['nth', 'ordinal'],
  cursor: 'at',
  into: 'items_copy',
  columns: {
    nth: { type: 'bigint' },
    ordinal: { type: 'integer' },
    at: { type: 'timestamptz' },
    ...Object.fromEntries(NAMES.map((name) => [name, { type: 'text', clean: ['trim'] } as const])),
  },
  overlap: '10s',
  margin: '0s',
  pageRows: 10,
  deletes: 'mark',
  topic: 'afluente.etl.items',
})

const quotedNames = NAMES.map((name) => `"${name}"`).join(', ')
const SCHEMA = `create table items (nth bigint, ordinal integer, at timestamptz not null default clock_timestamp(), ${NAMES.map((name) => `"${name}" text`).join(', ')}, primary key (nth, ordinal))`

test('each load, reconcile and delete works on them, to the topic as well', async () => {
  const { reconcile, run, silver, source } = await openWorld(postgres, { schema: SCHEMA, job })
  await source.query(
    `insert into items (nth, ordinal, at, ${quotedNames}) select i, 1, now() - interval '1 hour', ${NAMES.map((name) => `'${name} ' || i`).join(', ')} from generate_series(1, 25) as i`,
  )
  expect(await run()).toMatchObject({ status: 'success', error: null, inserted: 25 })
  await source.query(`update items set job = ' another ', at = clock_timestamp() where nth = 3`)
  expect(await run()).toMatchObject({ status: 'success', error: null, updated: 1 })
  await source.query(`update items set hash = 'past the cursor' where nth = 5; delete from items where nth = 7`)
  expect(await reconcile()).toMatchObject({ status: 'success', error: null, updated: 1, deleted: 1, caughtByReconcile: 2 })
  expect(await run({ loadType: 'full' })).toMatchObject({ status: 'success', error: null, unchanged: 24, deleted: 0 })
  const { rows } = await silver.query('select nth, job, hash, is_new, rows from silver.items_copy where nth in (3, 5) order by nth')
  expect(rows).toEqual([
    { nth: '3', job: 'another', hash: 'hash 3', is_new: 'is_new 3', rows: 'rows 3' },
    { nth: '5', job: 'job 5', hash: 'past the cursor', is_new: 'is_new 5', rows: 'rows 5' },
  ])
})
