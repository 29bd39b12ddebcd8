/** Claim, acknowledge and release: one holder a shard, whose epoch fences every earlier one. */
import { performance } from 'node:perf_hooks'
import { beforeEach, describe, expect, it } from 'vitest'
import { eventually } from '../../support/poll.ts'
import { acknowledge, backlog, claim, held, freshSource, release, type Session } from '../../support/source.ts'
import { assertOnlyTheHolderAcknowledges, assertOneHolderAtATime, assertOpenTransactionsBlockNobody } from '../../support/source-properties.ts'

const source = freshSource()
let api: Session

beforeEach(async () => {
  await source.run(`create table public.items (id int primary key, name text); select afluente.capture_table('public.items')`)
  // As capture comes: through the service role.
  api = await source.connect()
  await api.run('set role service_role')
})

const insert = (from: number, to = from, words = `'w'`) => source.run(`insert into public.items select n, ${words} from generate_series(${from}, ${to}) n`)
const keys = (rows: readonly { readonly [at: number]: unknown }[]) => rows.map((row) => row[3])

describe('the lease', () => {
  it('is taken by one owner, renewed under the same epoch, and busy for others', async () => {
    await insert(1)
    expect(await held(api, 'a')).toMatchObject({ epoch: 1, more: false })
    expect(await held(api, 'a')).toMatchObject({ epoch: 1 })
    const busy = await claim(api, 'b')
    expect(busy).toMatchObject({ status: 'busy' })
    expect(busy.status === 'busy' && busy.retryMs > 1_000 && busy.retryMs <= 3_000).toBe(true)
  })

  it('passes on when it has run out, with the epoch one higher', async () => {
    await held(api, 'a', { lease: '30 milliseconds' })
    const taken = await eventually('the lease has run out', async () => {
      const answer = await claim(api, 'b')
      return answer.status === 'held' ? answer : null
    })
    expect(taken.epoch).toBe(2)
    expect((await claim(api, 'a')).status).toBe('busy')
  })

  it('passes on at once when it was released; a release under an old epoch does nothing', async () => {
    const { epoch } = await held(api, 'a')
    expect(await release(api, epoch)).toEqual({ status: 'done' })
    expect(await held(api, 'b')).toMatchObject({ epoch: 2 })
    expect(await release(api, epoch)).toEqual({ status: 'fenced', epoch: 2 })
    expect((await claim(api, 'a')).status).toBe('busy')
  })

  it('that ran out and was taken by nobody goes on under the same epoch', async () => {
    await held(api, 'a', { lease: '1 millisecond' })
    await eventually('the lease has run out', async () => (await source.value('select leased_until < clock_timestamp() from afluente.shards')) === 't')
    expect(await held(api, 'a')).toMatchObject({ epoch: 1 })
  })

  it('is renewed before a quarter of it is gone, and else left alone: most claims write nothing', async () => {
    await held(api, 'a', { lease: '10 minutes' })
    const before = await source.value('select leased_until from afluente.shards')
    await held(api, 'a', { lease: '10 minutes' })
    expect(await source.value('select leased_until from afluente.shards')).toBe(before)
    await held(api, 'a', { lease: '20 minutes' })
    expect(await source.value(`select leased_until > clock_timestamp() + interval '19 minutes' from afluente.shards`)).toBe('t')
  })

  it('has one holder at a time, whoever asks at once', async () => {
    await assertOneHolderAtATime(source)
  })

  it('is not held up by a user’s transaction that stays open', async () => {
    await assertOpenTransactionsBlockNobody(source)
  })

  it('is refused with the reason when there is no such shard or the request makes no sense', async () => {
    expect(await claim(api, 'a', { shard: 7 })).toEqual({ status: 'refused', reason: 'there is no shard 7' })
    expect(await claim(api, '')).toMatchObject({ status: 'refused' })
    expect(await claim(api, 'a', { max_rows: 0 })).toMatchObject({ status: 'refused' })
  })
})

describe('the rows', () => {
  it('come in version order, with all that an event needs', async () => {
    await source.run(
      `begin; set local afluente.traceparent = '00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01'; insert into public.items values (1, 'a'); commit`,
    )
    await source.run('delete from public.items')
    const { rows } = await held(api, 'a')
    expect(rows).toEqual([
      [
        expect.any(Number),
        'public.items',
        'afluente.public.items',
        '[1]',
        'insert',
        null,
        '{"id":1,"name":"a"}',
        expect.any(String),
        '00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01',
        null,
      ],
      [expect.any(Number), 'public.items', 'afluente.public.items', '[1]', 'delete', '{"id":1,"name":"a"}', null, expect.any(String), null, null],
    ])
    const [first, second] = rows
    expect((second?.[0] ?? 0) > (first?.[0] ?? 0)).toBe(true)
    expect(first?.[7]).toMatch(/^\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d(\.\d{1,6})?\+00:00$/)
    expect(Math.abs(Date.parse(first?.[7] ?? '') - Date.now())).toBeLessThan(60_000)
    expect(first?.[0]).toBeGreaterThan(1_700_000_000_000_000)
    expect(second?.[0]).toBeLessThan(Number.MAX_SAFE_INTEGER)
  })

  it('stop at max_rows, and say that there is more', async () => {
    await insert(1, 5)
    expect(await held(api, 'a', { max_rows: 2 })).toMatchObject({ more: true, rows: { length: 2 } })
    expect(await held(api, 'a', { max_rows: 5 })).toMatchObject({ more: false, rows: { length: 5 } })
  })

  it('stop at max_bytes; a larger one comes alone', async () => {
    await insert(1)
    await insert(2, 2, `repeat('x', 1000000)`)
    await insert(3)
    const first = await held(api, 'a', { max_bytes: 100_000 })
    expect([keys(first.rows), first.more]).toEqual([['[1]'], true])
    const floor = first.rows[0]?.[0] ?? 0
    const second = await held(api, 'a', { max_bytes: 100_000, floor })
    expect([keys(second.rows), second.more]).toEqual([['[2]'], true])
    expect(second.rows[0]?.[6]).toHaveLength(1_000_000 + '{"id":2,"name":""}'.length)
    expect((await held(api, 'a')).rows).toHaveLength(3)
  })

  it('too large for any topic come as their key and size, without being read, and hold up nothing', async () => {
    await insert(1)
    await insert(2, 2, `repeat('x', 40 * 1024 * 1024)`)
    await source.run('delete from public.items where id = 2')
    await insert(3)
    const began = performance.now()
    const { more, rows } = await held(api, 'a')
    expect(performance.now() - began).toBeLessThan(2_000)
    const large = rows.map((row) => [row[3], row[4], row[5], row[6] === null, (row[9] ?? 0) > 40 * 1024 * 1024])
    expect(large).toEqual([
      ['[1]', 'insert', null, false, false],
      ['[2]', 'insert', null, true, true],
      ['[2]', 'delete', null, true, true],
      ['[3]', 'insert', null, false, false],
    ])
    expect(more).toBe(false)
  })

  it('large but below that come whole', async () => {
    await insert(1, 1, `repeat('x', 30 * 1024 * 1024)`)
    const { rows } = await held(api, 'a')
    expect([rows[0]?.[6]?.length, rows[0]?.[9]]).toEqual([30 * 1024 * 1024 + '{"id":1,"name":""}'.length, null])
  })

  it('above the floor only; from 0, what committed late under a lower version is found', async () => {
    const late = await source.connect()
    await late.run(`begin; insert into public.items values (1, 'late')`)
    await insert(2)
    const first = await held(api, 'a')
    expect(keys(first.rows)).toEqual(['[2]'])
    const floor = first.rows[0]?.[0] ?? 0
    await acknowledge(api, first.epoch, [floor])
    await late.run('commit')
    expect(keys((await held(api, 'a', { floor })).rows)).toEqual([])
    expect(keys((await held(api, 'a')).rows)).toEqual(['[1]'])
  })

  it('of other shards stay with them', async () => {
    await source.run('insert into afluente.shards (shard) values (1), (2)')
    await insert(1, 60)
    const found = [await held(api, 'a'), await held(api, 'b', { shard: 1 }), await held(api, 'c', { shard: 2 })].map(({ rows }) => rows.map((row) => row[3]))
    expect(found.flat().toSorted()).toEqual(Array.from({ length: 60 }, (_, n) => `[${n + 1}]`).toSorted())
    for (const shard of found) expect(shard.length).toBeGreaterThan(0)
  })
})

describe('an acknowledgement', () => {
  it('deletes what it names, and no more', async () => {
    await insert(1, 3)
    const { epoch, rows } = await held(api, 'a')
    expect(await acknowledge(api, epoch, [rows[0]?.[0] ?? 0, rows[2]?.[0] ?? 0, 5])).toEqual({ status: 'done', deleted: 2 })
    expect(keys((await held(api, 'a')).rows)).toEqual(['[2]'])
    expect(await acknowledge(api, epoch, [])).toEqual({ status: 'done', deleted: 0 })
  })

  it('under an old epoch is fenced and deletes nothing', async () => {
    await insert(1)
    await assertOnlyTheHolderAcknowledges(source)
  })

  it('of an unknown shard is fenced', async () => {
    expect(await acknowledge(api, 1, [1], 9)).toEqual({ status: 'fenced', epoch: 0 })
  })
})

describe('waiting', () => {
  it('answers soon after a commit', async () => {
    await held(api, 'a')
    const waiting = held(api, 'a', { wait: '2 seconds' })
    await eventually('the claim waits', async () => (await source.value(`select count(*) from pg_stat_activity where wait_event = 'PgSleep'`)) === '1')
    const committed = performance.now()
    await insert(1)
    expect(keys((await waiting).rows)).toEqual(['[1]'])
    expect(performance.now() - committed).toBeLessThan(500)
  })

  it('answers with nothing when the time is over, without a lock on the shard meanwhile', async () => {
    await held(api, 'a')
    const began = performance.now()
    const waiting = held(api, 'a', { wait: '300 milliseconds' })
    await source.run(`set lock_timeout = '100ms'; select from afluente.shards for update nowait; reset lock_timeout`)
    expect((await waiting).rows).toEqual([])
    expect(performance.now() - began).toBeGreaterThan(290)
  })

  it('takes the lease as soon as its holder lets go', async () => {
    const { epoch } = await held(api, 'a')
    const waiting = claim(await source.connect(), 'b', { wait: '2 seconds' })
    await release(api, epoch)
    expect(await waiting).toMatchObject({ status: 'held', epoch: 2 })
  })

  it('answers at once when it takes the lease, so that others see who holds it', async () => {
    const began = performance.now()
    expect(await held(api, 'a', { wait: '2 seconds' })).toMatchObject({ rows: [] })
    expect(performance.now() - began).toBeLessThan(1_000)
  })

  it('says busy when the time is over', async () => {
    await held(api, 'a')
    expect((await claim(api, 'b', { wait: '50 milliseconds' })).status).toBe('busy')
  })
})

describe('the backlog', () => {
  it('tells how much waits, for how long, and whether somebody is at work', async () => {
    expect(await backlog(api)).toMatchObject({ rows: 0, oldestMs: null, leased: false, failures: 0 })
    await insert(1, 3)
    await held(api, 'a')
    const { tables, ...rest } = await backlog(api)
    expect(rest).toEqual({ rows: 3, oldestMs: expect.any(Number), leased: true, failures: 0, refused: null, keeps: 'images' })
    expect(tables).toContainEqual({
      table: 'public.items',
      topic: 'afluente.public.items',
      failures: 0,
      lastFailure: null,
      reconcileSince: null,
      keysOnlySince: null,
      problem: null,
    })
  })

  it('stops counting above 10 000', async () => {
    await insert(1, 10_050)
    expect((await backlog(api)).rows).toBe(10_001)
  })
})

describe('the plan', () => {
  it('reads no further than what it hands out, from the index', async () => {
    await insert(1, 30_000)
    await source.run('analyze afluente.outbox')
    const read = async (limits: { readonly max_rows: number }) => {
      await api.run('begin')
      const { rows } = await held(api, 'a', limits)
      const [scans] = await api.run(`select seq_scan, idx_tup_fetch from pg_stat_xact_user_tables where relid = 'afluente.outbox'::regclass`)
      await api.run('commit')
      return { rows: rows.length, ...scans }
    }
    expect(await read({ max_rows: 1_000 })).toEqual({ rows: 1_000, seq_scan: '0', idx_tup_fetch: '1001' })
  })
})
