/** Whatever is done to the whole outbox, users write on: however much waits, and whoever works on a shard. */
import { afterAll, beforeAll, beforeEach, describe, expect, it, test } from 'vitest'
import { mutate } from '../../support/mutate.ts'
import { eventually } from '../../support/poll.ts'
import { startPostgres, type TestPostgres } from '../../support/postgres.ts'
import { acknowledge, claim, held, openSource, type Source } from '../../support/source.ts'

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
  await source.run(`create table public.items (id int primary key, name text); select afluente.capture_table('public.items')`)
})

/** What is done, and what has to be so before it has anything to do. */
const upkeep: readonly (readonly [name: string, call: string, before: string])[] = [
  ['another number of shards', 'select afluente.set_shards(4)', 'select'],
  [
    'mending the number of shards',
    'select afluente.mend_shard_count()',
    `select setval('afluente.shard_count', 8); insert into public.items select generate_series(101, 200); select setval('afluente.shard_count', 4)`,
  ],
  ['a rebase', 'select afluente.rebase()', 'update afluente.installation set system_identifier = 1'],
  ['the first claim after a restart', `select afluente.claim(0, 'reader')`, `update afluente.installation set server_started_at = '2020-01-01'`],
]

describe.each(upkeep)('%s', (_name, call, before) => {
  /** Stops it at the first change that it touches, until the session that holds the lock lets go. */
  const held = async () => {
    await source.run(`insert into public.items select generate_series(1, 100); ${before}`)
    await source.run(`
      create function public.pause() returns trigger language plpgsql as 'begin perform pg_advisory_xact_lock(7); return new; end';
      create trigger pause before update on afluente.outbox for each row execute function public.pause()`)
    const [stop, worker, user] = [await source.connect(), await source.connect(), await source.connect()]
    await stop.run('select pg_advisory_lock(7)')
    const done = worker.run(call)
    await eventually(
      'it works on what waits',
      async () => (await source.value(`select count(*) from pg_locks where locktype = 'advisory' and not granted`)) === '1',
    )
    await user.run(`set lock_timeout = '2s'`)
    return { done, user, letGo: () => stop.run('select pg_advisory_unlock(7)') }
  }
  const write = `insert into public.items select generate_series(1001, 1050); update public.items set name = 'later' where id <= 10`

  test('works on what waits while users write, and what they write meanwhile is in its place and order', async () => {
    const { done, letGo, user } = await held()
    await user.run(write)
    await letGo()
    await done
    await user.run(`update public.items set name = 'last' where id <= 10`)
    expect(await source.run('select * from afluente.failures')).toEqual([])
    const rows = await source.run(
      `select shard, afluente.shard_of(key, (select count(*) from afluente.shards)) as due, key, after::json ->> 'name' as name from afluente.outbox order by version`,
    )
    expect(rows.filter(({ due, shard }) => due !== shard)).toEqual([])
    expect(await source.value('select last_value from afluente.shard_count')).toBe(await source.value('select count(*) from afluente.shards'))
    expect(rows.filter(({ key }) => key === '[5]').map(({ name }) => name)).toEqual([null, 'later', 'last'])
  })

  test('with the outbox locked for all of it would make users wait', async () => {
    await mutate(source, 'afluente.draw_line', /raise exception.*;/g, 'return line;')
    const { done, letGo, user } = await held()
    await user.run(`set lock_timeout = '300ms'`)
    await user.run(write)
    expect(await source.value('select count(*) from afluente.failures')).not.toBe('0')
    await letGo()
    await done
  })
})

it('acknowledging and changing the number of shards, against each other a hundred times: nobody is chosen to die, and nothing is lost', async () => {
  await source.run('insert into public.items select generate_series(1, 2000)')
  const [reader, owner] = [await source.connect(), await source.connect()]
  const sent = new Set<string>()
  let busy = true
  const acknowledging = (async () => {
    while (busy) {
      const answer = await claim(reader, 'reader', { max_rows: 3 })
      if (answer.status !== 'held') continue
      const done = await acknowledge(
        reader,
        answer.epoch,
        answer.rows.map(([version]) => version),
      )
      if (JSON.stringify(done).includes('done')) answer.rows.forEach((row) => sent.add(row[3]))
    }
  })()
  for (let n = 0; n < 100; n += 1) await owner.run('select afluente.set_shards($1)', [1 + (n % 2)])
  busy = false
  await acknowledging
  const left = (await source.outbox()).map(({ key }) => key)
  expect(sent.size).toBeGreaterThan(0)
  expect(new Set([...sent, ...left]).size).toBe(2000)
})

it('acknowledging that is under way is waited for before writers are kept off: in the other order each would wait for the other', async () => {
  await source.run('insert into public.items values (1)')
  const { epoch, rows } = await held(source, 'reader')
  const [reader, owner] = [await source.connect(), await source.connect()]
  // As acknowledge does it, one step at a time.
  await reader.run('begin')
  await reader.run('select epoch from afluente.shards where shard = 0 for share')
  const changing = owner.run('select afluente.set_shards(4)')
  await eventually(
    'it waits for the shard',
    async () => (await source.value(`select count(*) from pg_locks where not granted and relation = 'afluente.shards'::regclass`)) === '1',
  )
  expect(await acknowledge(reader, epoch, [rows[0]?.[0] ?? 0])).toEqual({ status: 'done', deleted: 1 })
  await reader.run('commit')
  await changing
  expect(await source.outbox()).toEqual([])
})
