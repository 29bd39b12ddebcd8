/** Backfills beside live writers on a real Postgres: hot keys, runs that are killed, two at once. */
import { afterEach, describe, expect, it } from 'vitest'
import { systemClock } from '../../../shared/adapters/clock.ts'
import { sourceDb, type ReadOnlyDb } from '../../../shared/adapters/postgres/source-db.ts'
import { sourceRows } from '../../../shared/adapters/postgres/source-rows.ts'
import { supabaseBackfills } from '../../../shared/adapters/supabase/backfills.ts'
import { type BackfillEnd, type BackfillRun, runBackfill } from '../../../shared/engine/backfill.ts'
import type { Backfill, Backfills } from '../../../shared/ports/backfills.ts'
import { assertNoneIsStale } from '../../support/resend-properties.ts'
import { assertEndsEqual } from '../../support/source-properties.ts'
import { freshSource, backlog, tableState } from '../../support/source.ts'
import { seededRandom } from '../../support/random.ts'
import { sqlClient } from '../capture/sql-outbox.ts'

const source = freshSource()
const signal = new AbortController().signal
const TABLE = 'public.hot'
const log = { info: () => {}, warn: () => {}, error: () => {} }
const opened: (() => Promise<void>)[] = []

afterEach(async () => {
  for (const close of opened.splice(0)) await close()
})

/** A program of its own, with connections of its own. */
function program(wrap: (backfills: Backfills) => Backfills = (same) => same) {
  const { client, close } = sqlClient(source.database.url, 2)
  const db: ReadOnlyDb = sourceDb({ connectionString: source.database.url })
  opened.push(close, () => db.close())
  const backfills = wrap(supabaseBackfills({ client }))
  const deps = { backfills, rows: sourceRows({ db }), clock: systemClock(), random: Math.random, log }
  let runs = 0
  return {
    backfills,
    run: (id: number, more: Partial<BackfillRun> = {}): Promise<BackfillEnd> => {
      runs += 1
      return runBackfill({ id, owner: `${runs} ${Math.random()}`, signal, ...more }, deps)
    },
  }
}

async function makeHot(rows: number): Promise<void> {
  await (await source.connect('superuser')).run(`alter role project_owner set deadlock_timeout = '10ms'`)
  await source.run(`create table ${TABLE} (id int primary key, n int not null, filler text)`)
  await source.run(`insert into ${TABLE} select n, 0 from generate_series(1, ${rows}) n; select afluente.capture_table('${TABLE}')`)
}

const begin = (backfills: Backfills, more: { readonly condition?: string; readonly limit?: number } = {}): Promise<Backfill> =>
  backfills.start({ table: TABLE, condition: null, spanMs: null, limit: null, estimate: null, ...more }, { signal })

/** Takes rows in one order, as programs should; holds them for a moment; fails for nothing. */
async function write(seed: number, hot: number, writing: () => boolean): Promise<number> {
  const session = await source.connect()
  const random = seededRandom(seed)
  let turns = 0
  while (writing()) {
    turns += 1
    const ids = Array.from({ length: 1 + Math.floor(random() * 3) }, () => 1 + Math.floor(random() * hot)).toSorted((a, b) => a - b)
    const statements = ids.map((id) => {
      const kind = random()
      if (kind < 0.15) return `delete from ${TABLE} where id = ${id}`
      if (kind < 0.5) return `insert into ${TABLE} values (${id}, 0, repeat('x', 500)) on conflict (id) do update set n = hot.n + 1`
      return `update ${TABLE} set n = n + 1 where id = ${id}`
    })
    const pause = random() < 0.3 ? [`select pg_sleep(${random() * 0.01})`] : []
    for (const sql of ['begin', ...statements, ...pause, random() < 0.1 ? 'rollback' : 'commit']) await session.run(sql)
  }
  return turns
}

describe('beside writers of the same rows', () => {
  it('each row is sent that was there all the time, none is stale, no writer fails, also when runs are killed and two work at once', async () => {
    const rows = 3_000
    await makeHot(rows)
    const start = await tableState(source, TABLE, 'id')
    // From here on the outbox tells all there is to know.
    expect(await source.outbox(TABLE)).toEqual([])
    let writing = true
    const writers = [1, 2, 3].map((seed) => write(seed, 100, () => writing))
    const failed = Promise.all(writers)
    const first = program()
    const { id } = await begin(first.backfills)
    for (const afterMs of [60, 90, 120]) {
      const killed = new AbortController()
      // Its requests are under way when it dies.
      setTimeout(() => killed.abort(), afterMs)
      const end = await first.run(id, { signal: killed.signal, rate: 6_000 })
      expect(end).toMatchObject({ ending: 'interrupted' })
    }
    const [one, other] = [program(), program()]
    const ends = await Promise.all([one.run(id, { rate: 6_000 }), other.run(id, { rate: 6_000 })])
    const endings = ends.map(({ ending }) => ending).toSorted()
    expect(endings).toEqual(['busy', 'done'])
    const done = ends.find(({ ending }) => ending === 'done')
    writing = false
    const turns = (await failed).reduce((sum, count) => sum + count, 0)
    expect(turns).toBeGreaterThan(50)

    expect(done).toMatchObject({ backfill: { state: 'done', waiting: [], failed: 0 } })
    const outbox = await source.outbox(TABLE)
    assertNoneIsStale(outbox, start)
    const reads = outbox.filter(({ op }) => op === 'read')
    for (let key = 101; key <= rows; key += 1) if (!reads.some((read) => read.key === `[${key}]`)) throw new Error(`[${key}] was not sent`)
    expect(reads).toHaveLength(new Set(reads.map(({ key }) => key)).size)
    expect(done).toMatchObject({ backfill: { sent: reads.length } })
    await assertEndsEqual(source, TABLE, 'id')
    expect((await backlog(source)).failures).toBe(0)
  })

  it('two of the same table at once, in other words, send all there is twice, and nothing stale', async () => {
    await makeHot(1_000)
    const start = await tableState(source, TABLE, 'id')
    let writing = true
    const writer = write(7, 50, () => writing)
    const [one, other] = [program(), program()]
    const ids = [await begin(one.backfills), await begin(other.backfills, { condition: 'id > 0' })].map(({ id }) => id)
    const ends = await Promise.all([one.run(ids[0] ?? 0), other.run(ids[1] ?? 0)])
    writing = false
    await writer
    expect(ends.map(({ ending }) => ending)).toEqual(['done', 'done'])
    const outbox = await source.outbox(TABLE)
    assertNoneIsStale(outbox, start)
    expect(outbox.filter(({ op }) => op === 'read').length).toBeGreaterThan(1_800)
  })
})

describe('a run that stands still while another takes over', () => {
  it('sends nothing when it wakes', async () => {
    await makeHot(2_000)
    const { promise: thawed, resolve: thaw } = Promise.withResolvers<void>()
    let sendings = 0
    const zombie = program((backfills) => ({
      ...backfills,
      send: async (...of) => {
        sendings += 1
        if (sendings === 3) await thawed
        return backfills.send(...of)
      },
    }))
    const { id } = await begin(zombie.backfills)
    const sleeping = zombie.run(id)
    const successor = program()
    for (;;) {
      await source.run(`update afluente.backfills set leased_until = clock_timestamp() where epoch = 1 and sent >= 200`)
      const end = await successor.run(id)
      if (end.ending !== 'busy') {
        expect(end).toMatchObject({ ending: 'done', backfill: { sent: 2_000, seen: 2_000 } })
        break
      }
    }
    thaw()
    expect(await sleeping).toEqual({ ending: 'taken-over' })
    expect((await source.outbox(TABLE)).filter(({ op }) => op === 'read')).toHaveLength(2_000)
  })
})

describe('what was there before its table was captured', () => {
  it('is offered: the backfill of the whole table takes the offer up', async () => {
    const notices = await source.connect()
    await makeHot(10)
    const { backfills, run } = program()
    const [offer] = await backfills.list({ signal })
    expect(offer).toMatchObject({ table: TABLE, state: 'offered', worked: false })
    expect(await backfills.hold({ id: offer?.id ?? 0, owner: 'me', leaseMs: 1 }, { signal })).toMatchObject({ status: 'ended' })
    const begun = await begin(backfills)
    expect(begun).toMatchObject({ id: offer?.id, state: 'running' })
    expect(await run(begun.id)).toMatchObject({ ending: 'done', backfill: { sent: 10 } })
    await source.run(`select afluente.capture_table('${TABLE}')`)
    expect((await backfills.list({ signal })).map(({ state }) => state)).toEqual(['done'])
    await notices.close()
  })

  it('of an empty table is nothing, and an offer can be declined', async () => {
    const { backfills } = program()
    await source.run(`create table public.empty (id int primary key); select afluente.capture_table('public.empty')`)
    expect(await backfills.list({ signal })).toEqual([])
    await makeHot(1)
    const [offer] = await backfills.list({ signal })
    expect(await backfills.steer(offer?.id ?? 0, 'pause', { signal })).toMatchObject({ status: 'declined' })
    expect(await backfills.steer(offer?.id ?? 0, 'cancel', { signal })).toMatchObject({ status: 'done' })
  })
})

describe('under pressure', () => {
  it('a backfill waits before live changes lose their images, and goes on when there is room', async () => {
    await source.run(`create table ${TABLE} (id int primary key, n int not null, filler text)`)
    await source.run(`insert into ${TABLE} select n, 0, repeat(md5(n::text), 60) from generate_series(1, 6000) n; select afluente.capture_table('${TABLE}')`)
    await source.run('select afluente.set_outbox_budget(8000000)')
    const { backfills, run } = program()
    const { id } = await begin(backfills)
    const waited = new AbortController()
    const doings: string[] = []
    const onProgress: BackfillRun['onProgress'] = (_, doing) => {
      doings.push(doing)
      if (doings.filter((one) => one === 'waiting-for-room').length > 20) waited.abort()
    }
    expect(await run(id, { signal: waited.signal, onProgress })).toMatchObject({ ending: 'interrupted' })
    const outbox = await source.outbox(TABLE)
    expect(outbox.length).toBeGreaterThan(500)
    expect(outbox.length).toBeLessThan(4_000)
    expect(outbox.every(({ after }) => after !== null)).toBe(true)
    expect((await backlog(source)).keeps).toBe('images')
    const emptied = new AbortController()
    const emptying = (async () => {
      while (!emptied.signal.aborted) await source.emptyOutbox()
    })()
    expect(await run(id)).toMatchObject({ ending: 'done', backfill: { sent: 6_000 } })
    emptied.abort()
    await emptying
  })
})
