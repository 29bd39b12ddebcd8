/** Another number of shards, while users write: no change may land in a shard that is not its key's. */
import { afterAll, beforeAll, beforeEach, expect, test } from 'vitest'
import { eventually } from '../../support/poll.ts'
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
  await source.run(`create table public.items (id int primary key); select afluente.capture_table('public.items')`)
})

const INSERT = 'insert into public.items select generate_series(1, 50)'
const TRUNCATE = 'truncate public.items'

/** Changes that wait, and those of them in a shard that is not their key's. */
const placed = async (shards: number) => {
  const rows = await source.run('select key, shard, afluente.shard_of(key, $1) as due from afluente.outbox', [shards])
  return { keys: new Set(rows.map(({ key }) => key)).size, wrong: rows.filter(({ due, shard }) => due !== shard) }
}

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
