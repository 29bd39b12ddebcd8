/** Whatever is done to the whole outbox, users write on: however much waits, and whoever works on a shard. */
import { beforeEach, describe, expect, it, test } from 'vitest'
import { mutate } from '../../support/mutate.ts'
import { eventually } from '../../support/poll.ts'
import { acknowledge, claim, freshSource, held } from '../../support/source.ts'

const source = freshSource()
beforeEach(() => source.run(`create table public.items (id int primary key, name text); select afluente.capture_table('public.items')`))

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

/** Stops it at the first change that it touches, until the session that holds the lock lets go. Each that it touches is noted, and whether users could write then. */
const stopped = async (call: string, before: string) => {
  await source.run(`insert into public.items select generate_series(1, 100); ${before}`)
  await source.run(`
    create table public.touched (kept_off boolean);
    create function public.pause() returns trigger language plpgsql as $$
    begin
      perform pg_advisory_xact_lock(7);
      insert into public.touched select count(*) > 0 from pg_locks
      where pid = pg_backend_pid() and relation = 'afluente.outbox'::regclass and mode = 'ExclusiveLock';
      return new;
    end $$;
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

describe.each(upkeep)('%s', (_name, call, before) => {
  const write = `insert into public.items select generate_series(1001, 1050); update public.items set name = 'later' where id <= 10`

  test('works on what waits while users write, and what they write meanwhile is in its place and order', async () => {
    const { done, letGo, user } = await stopped(call, before)
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
    const { done, letGo, user } = await stopped(call, before)
    await user.run(`set lock_timeout = '300ms'`)
    await user.run(write)
    expect(await source.value('select count(*) from afluente.failures')).not.toBe('0')
    await letGo()
    await done
  })
})

it('another number of shards keeps users off for little, however much they wrote meanwhile', async () => {
  const { done, letGo, user } = await stopped('select afluente.set_shards(4)', 'select')
  await user.run('insert into public.items select generate_series(1001, 3000)')
  await letGo()
  await done
  expect(Number(await source.value('select count(*) from public.touched'))).toBeGreaterThan(1400)
  expect(await source.value('select count(*) from public.touched where kept_off')).toBe('0')
})

it('the first claim after a restart leaves what waits as it is where that is more than one call can number anew, and marks every table', async () => {
  await source.run(`insert into public.items select generate_series(1, 100); update afluente.installation set server_started_at = '2020-01-01'`)
  await mutate(source, 'afluente.recognize', '200000', '99')
  const before = (await source.outbox()).map(({ version }) => version)
  expect((await held(source, 'reader')).rows).toHaveLength(100)
  expect((await source.outbox()).map(({ version }) => version)).toEqual(before)
  expect(await source.value('select count(*) from afluente.captured_tables where reconcile_since is null')).toBe('0')
})

it('a rebase sets numbers aside for what is written while it counts, too', async () => {
  await source.run('insert into public.items select generate_series(1, 100); update afluente.installation set system_identifier = 1')
  // As if the last fifty had come after the count.
  await mutate(source, 'afluente.draw_line', 'return line;', 'return line - 50;')
  await source.run('select afluente.rebase()')
  await source.run('insert into public.items select generate_series(101, 200)')
  expect(await source.run('select * from afluente.failures')).toEqual([])
  expect((await source.outbox()).map(({ key }) => key)).toEqual(Array.from({ length: 200 }, (_, n) => `[${n + 1}]`))
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

describe('a transaction that has written and stays open', () => {
  it('is waited for, and meanwhile others write on', async () => {
    const [open, other] = [await source.connect(), await source.connect()]
    await open.run('begin; insert into public.items values (1)')
    const changing = source.run('select afluente.set_shards(4)')
    await other.run(`set lock_timeout = '1s'`)
    for (let id = 2; id < 20; id += 1) await other.run('insert into public.items values ($1)', [id])
    await open.run('commit')
    await changing
    expect(await other.value('select count(*) from afluente.failures')).toBe('0')
    expect(await other.value('select count(*) from afluente.outbox')).toBe('19')
  })
})

describe('a rebase, while a transaction that is about to write has a captured table open', () => {
  const numbersHold = () => source.value(`select numbers_of = table_oid from afluente.captured_tables where table_name = 'items'`)
  beforeEach(() => source.run('update afluente.installation set system_identifier = 1'))

  it('does not touch the table where it is the one that was captured, to the file', async () => {
    const open = await source.connect()
    await open.run('begin; lock table public.items in row exclusive mode')
    await source.run(`set statement_timeout = '3s'; select afluente.rebase()`)
    expect(await source.value('select sum(failures) from afluente.captured_tables')).toBe('0')
  })

  it('captures one that came out of a dump anew when it can, and meanwhile others write on', async () => {
    await source.run('update afluente.captured_tables set numbers_of = 1')
    const [open, other] = [await source.connect(), await source.connect()]
    await open.run('begin; lock table public.items in row exclusive mode')
    const rebasing = source.run('select afluente.rebase()')
    await other.run(`set lock_timeout = '1s'`)
    for (let id = 1; id < 30; id += 1) await other.run('insert into public.items values ($1)', [id])
    await open.run('commit')
    await rebasing
    expect(await numbersHold()).toBe('t')
    expect(await source.value('select sum(failures) from afluente.captured_tables')).toBe('0')
    expect(await source.outbox()).toHaveLength(29)
  })

  it('tells of one that stays open, and goes on with the others', async () => {
    await source.run('update afluente.captured_tables set numbers_of = 1')
    const open = await source.connect()
    await open.run('begin; lock table public.items in row exclusive mode')
    await source.run('select afluente.rebase()')
    expect(await numbersHold()).toBe('f')
    const failed = await source.run('select table_name as name, last_failure as failure from afluente.captured_tables where failures > 0')
    expect(failed).toEqual([{ name: 'items', failure: expect.stringContaining('lock timeout') as unknown }])
  })
})

describe('a vacuum of the outbox', () => {
  const write = `set lock_timeout = '50ms'; insert into public.items values (1); update public.items set name = 'x'; delete from public.items`

  it('that goes on is named after five seconds, and no writer waits meanwhile', async () => {
    // The lock that VACUUM takes.
    const [vacuum, user] = [await source.connect(), await source.connect()]
    await vacuum.run(`set application_name = 'nightly'; begin; lock table afluente.outbox in share update exclusive mode`)
    const pid = await vacuum.value('select pg_backend_pid()')
    const fault = source.run('select afluente.set_shards(4)').catch((error: unknown) => error)
    for (let over = false; !over; await user.run(write)) over = await Promise.race([fault.then(() => true), user.run(write).then(() => false)])
    expect(await fault).toMatchObject({
      code: '55P03',
      message: expect.stringContaining('other upkeep of the outbox is under way') as unknown,
      detail: expect.stringMatching(`^process ${pid} \\(vacuum, analyze or the like, role project_owner, nightly, idle in transaction, open since `) as unknown,
      hint: expect.stringContaining('run this again') as unknown,
    })
    expect(await user.run('select * from afluente.failures')).toEqual([])
  })

  it('is nothing that a sweep waits for', async () => {
    const vacuum = await source.connect()
    await source.run(`select setval('afluente.shard_count', 8)`)
    await vacuum.run('begin; lock table afluente.outbox in share update exclusive mode')
    await source.run(`set statement_timeout = '2s'; select afluente.sweep()`)
    await vacuum.run('rollback')
    await source.run('select afluente.sweep()')
    expect(await source.value('select last_value from afluente.shard_count')).toBe('1')
  })

  it('that Postgres began by itself gives way, however long it would take', { timeout: 120_000 }, async () => {
    const superuser = await source.connect('superuser')
    await superuser.run(
      `alter table afluente.outbox set (autovacuum_vacuum_threshold = 1, autovacuum_vacuum_cost_delay = 100, autovacuum_vacuum_cost_limit = 1)`,
    )
    await source.run('insert into public.items select generate_series(1, 20000); delete from afluente.outbox where version % 2 = 0')
    await superuser.run(`alter system set autovacuum_naptime = '1s'`)
    await superuser.run('select pg_reload_conf()')
    try {
      const vacuums = () => superuser.value(`select count(*) from pg_stat_activity where query like 'autovacuum: VACUUM%afluente.outbox%'`)
      await eventually('it vacuums the outbox', async () => (await vacuums()) === '1', 90_000)
      await source.run('select afluente.set_shards(4)')
      expect(await source.value('select count(*) from afluente.shards')).toBe('4')
    } finally {
      await superuser.run('alter system reset autovacuum_naptime')
      await superuser.run('select pg_reload_conf()')
    }
  })
})

describe('the versions', () => {
  const distance = async () => Number(await source.value(`select last_value - (extract(epoch from clock_timestamp()) * 1000000)::bigint from afluente.version`))
  const stand = (microseconds: number) =>
    source.run(`select setval('afluente.version', (extract(epoch from clock_timestamp()) * 1000000)::bigint + $1::bigint)`, [microseconds])

  it('are lifted to the clock from far below it', async () => {
    await stand(-3_600_000_000)
    await source.run('select afluente.lift()')
    expect(Math.abs(await distance())).toBeLessThan(5_000_000)
  })

  it('are left alone above the clock, and where others could draw up to it meanwhile', async () => {
    await stand(3_600_000_000)
    const above = await source.value('select last_value from afluente.version')
    await source.run('select afluente.lift()')
    expect(await source.value('select last_value from afluente.version')).toBe(above)
    const [former, now] = await source.run(`
      with stood as materialized (select setval('afluente.version', (extract(epoch from clock_timestamp()) * 1000000)::bigint - 500000) as version)
      select version from stood union all select afluente.lift() from stood`)
    expect(now).toEqual(former)
  })

  it('that others draw above the clock while they are lifted are drawn once', async () => {
    await stand(3_600_000_000)
    const drawers = await Promise.all([source.connect(), source.connect()])
    const lifting = source.run('select afluente.lift() from generate_series(1, 20000)')
    const drawn = await Promise.all(drawers.map((session) => session.run(`select nextval('afluente.version') as version from generate_series(1, 100000)`)))
    await lifting
    expect(new Set(drawn.flat().map(({ version }) => version)).size).toBe(200_000)
  })
})
