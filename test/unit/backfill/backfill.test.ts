import { describe, expect, test } from 'vitest'
import { AfluenteError } from '../../../shared/engine/errors.ts'
import type { Backfills } from '../../../shared/ports/backfills.ts'
import { keyOf, signal, TABLE, world } from './world.ts'

const unavailable = () => Promise.reject(new AfluenteError('unavailable', 'network', 'no answer'))

describe('a backfill', () => {
  test('sends every row once, in the order of the keys, and has ended', async () => {
    const { ended, reads, seen, start } = await world({ rows: 12_345 })
    const end = await ended(start())
    expect(end).toMatchObject({ ending: 'done', backfill: { state: 'done', seen: 12_345, sent: 12_345, gone: 0, waiting: [], worked: false } })
    expect(reads()).toEqual(Array.from({ length: 12_345 }, (_, at) => keyOf(at + 1)))
    expect(seen.map(({ key }) => key)).toEqual(reads())
  })

  test('of an empty table has ended at once', async () => {
    const { ended, start } = await world({ rows: 0 })
    expect(await ended(start())).toMatchObject({ ending: 'done', backfill: { seen: 0 } })
  })

  test('stops at its limit, in the middle of a page', async () => {
    const { ended, reads, start } = await world({ rows: 20, limit: 7 })
    expect(await ended(start())).toMatchObject({ ending: 'done', backfill: { seen: 7, sent: 7 } })
    expect(reads()).toEqual([1, 2, 3, 4, 5, 6, 7].map(keyOf))
  })
})

describe('rows that somebody holds', () => {
  test('are asked for again while the others go, and it ends when the last of them is free', async () => {
    const { backfill, doings, ended, go, reads, source, start } = await world({ rows: 3_000 })
    const user = source.begin()
    user.write({ table: TABLE, key: keyOf(5), after: '{"id":5,"new":true}' })
    const run = start()
    await go(60_000)
    expect(await backfill()).toMatchObject({ state: 'running', seen: 3_000, sent: 2_999, waiting: [keyOf(5)], worked: true })
    expect(doings.at(-1)).toBe('waiting-for-locks')
    expect(reads()).not.toContain(keyOf(5))
    user.commit()
    expect(await ended(run)).toMatchObject({ ending: 'done', backfill: { sent: 3_000, waiting: [] } })
    expect(source.history.at(-1)).toMatchObject({ op: 'read', key: keyOf(5), after: '{"id":5,"new":true}' })
  })

  test('in their thousands hold up what comes behind them: no more is read than can be kept', async () => {
    const { backfill, ended, go, source, start } = await world({ rows: 5_000 })
    const user = source.begin()
    for (let id = 1; id <= 2_000; id += 1) user.write({ table: TABLE, key: keyOf(id), after: '{}' })
    const run = start()
    await go(60_000)
    const held = await backfill()
    expect(held.waiting.length).toBeGreaterThanOrEqual(1_000)
    expect(held.seen).toBeLessThanOrEqual(2_000)
    user.rollback()
    expect(await ended(run)).toMatchObject({ ending: 'done', backfill: { sent: 5_000 } })
  })

  test('and are deleted are gone', async () => {
    const { ended, go, source, start } = await world({ rows: 10 })
    const user = source.begin()
    user.write({ table: TABLE, key: keyOf(5), after: null })
    const run = start()
    await go(10_000)
    user.commit()
    expect(await ended(run)).toMatchObject({ ending: 'done', backfill: { seen: 10, sent: 9, gone: 1 } })
    expect(source.history.at(-1)).toMatchObject({ op: 'delete' })
  })
})

describe('rows that can’t be printed', () => {
  test('are found by halves and counted; each other row is sent, once', async () => {
    const { ended, reads, start } = await world({ rows: 500, broken: [1, 77, 78, 300, 500] })
    expect(await ended(start())).toMatchObject({ ending: 'done', backfill: { seen: 500, sent: 495, failed: 5, waiting: [] } })
    expect(new Set(reads()).size).toBe(495)
    expect(reads()).toHaveLength(495)
  })

  test('are counted as well when they had to wait', async () => {
    const { ended, go, source, spoil, start } = await world({ rows: 10 })
    const user = source.begin()
    for (const id of [3, 4]) user.write({ table: TABLE, key: keyOf(id), after: '{}' })
    const run = start()
    await go(5_000)
    spoil(3)
    user.commit()
    expect(await ended(run)).toMatchObject({ ending: 'done', backfill: { seen: 10, sent: 9, failed: 1, waiting: [] } })
  })
})

describe('it waits', () => {
  test('while much is on its way to Kafka, and goes on when there is room', async () => {
    const { backfill, doings, ended, go, source, start } = await world({ rows: 20_000, room: 5_000 })
    const run = start()
    await go(30_000)
    const { sent } = await backfill()
    expect(sent).toBeGreaterThanOrEqual(5_000)
    expect(sent).toBeLessThanOrEqual(6_000)
    expect(doings.at(-1)).toBe('waiting-for-room')
    const drain = async () => {
      const claim = await source.outbox.claim(
        { shard: 0, owner: 'capture', leaseMs: 1_000, floor: 0, beside: [], maxRows: 100_000, maxBytes: 1e9, waitMs: 0 },
        { signal },
      )
      if (claim.status === 'held') await source.outbox.acknowledge(0, claim.epoch, claim.changes.map(({ version }) => version), { signal }) // prettier-ignore
    }
    for (let round = 0; round < 10 && run.settled === undefined; round += 1) {
      await drain()
      await go(10_000)
    }
    expect(await ended(run)).toMatchObject({ ending: 'done', backfill: { sent: 20_000 } })
  })

  test('for its rate: no more rows a second than that', async () => {
    const { backfill, clock, ended, go, start } = await world({ rows: 3_000 })
    const beganAt = clock.now()
    const run = start({ rate: 100 })
    await go(10_000)
    const { sent } = await backfill()
    expect(sent).toBeGreaterThan(900)
    expect(sent).toBeLessThanOrEqual(1_050)
    await ended(run)
    expect(clock.now() - beganAt).toBeGreaterThan(29_000)
  })

  test('for a rate of one row a second as well', async () => {
    const { backfill, go, start } = await world({ rows: 100 })
    start({ rate: 1 })
    await go(20_000)
    expect((await backfill()).sent).toBeGreaterThanOrEqual(19)
    expect((await backfill()).sent).toBeLessThanOrEqual(21)
  })

  test('while the database does not answer, for minutes', async () => {
    let down = false
    const wrap = (backfills: Backfills): Backfills => ({ ...backfills, send: (...of) => (down ? unavailable() : backfills.send(...of)) })
    const { ended, go, reads, start } = await world({ rows: 10_000, wrap })
    down = true
    const run = start()
    await go(120_000)
    expect(run).toEqual({})
    down = false
    expect(await ended(run)).toMatchObject({ ending: 'done', backfill: { sent: 10_000 } })
    expect(reads()).toHaveLength(10_000)
  })

  test('and an answer that was lost doubles nothing', async () => {
    let lost = 0
    const wrap = (backfills: Backfills): Backfills => ({
      ...backfills,
      send: async (...of) => {
        const answer = await backfills.send(...of)
        lost += 1
        return lost % 3 === 1 ? unavailable() : answer
      },
    })
    const { ended, reads, start } = await world({ rows: 5_000, wrap })
    expect(await ended(start())).toMatchObject({ ending: 'done', backfill: { seen: 5_000, sent: 5_000 } })
    expect(reads()).toHaveLength(5_000)
  })
})

describe('somebody says otherwise', () => {
  test('paused it stays where it is and keeps its lease; resumed it goes on', async () => {
    const { backfill, backfills, doings, ended, go, id, start } = await world({ rows: 1_000 })
    const run = start({ rate: 100 })
    await go(3_000)
    await backfills.steer(id, 'pause', { signal })
    await go(1_000)
    const { sent } = await backfill()
    await go(120_000)
    expect(await backfill()).toMatchObject({ sent, state: 'paused', worked: true })
    expect(doings.at(-1)).toBe('paused')
    await backfills.steer(id, 'resume', { signal })
    expect(await ended(run)).toMatchObject({ ending: 'done', backfill: { sent: 1_000, seen: 1_000 } })
  })

  test('cancelled it ends', async () => {
    const { backfills, ended, go, id, start } = await world({ rows: 1_000 })
    const run = start({ rate: 100 })
    await go(3_000)
    await backfills.steer(id, 'cancel', { signal })
    const end = await ended(run)
    expect(end).toMatchObject({ ending: 'cancelled', backfill: { state: 'cancelled', worked: false } })
    expect(await ended(start())).toMatchObject({ ending: 'already-ended' })
  })

  test('interrupted it lets go, and goes on where it was', async () => {
    const { ended, go, reads, start } = await world({ rows: 1_000 })
    const interrupted = new AbortController()
    const first = start({ rate: 100, signal: interrupted.signal })
    await go(3_000)
    interrupted.abort()
    expect(await ended(first)).toMatchObject({ ending: 'interrupted', backfill: { state: 'running', worked: false } })
    expect(await ended(start())).toMatchObject({ ending: 'done', backfill: { seen: 1_000, sent: 1_000 } })
    expect(reads()).toHaveLength(1_000)
  })
})

describe('two at once', () => {
  test('one works, the other is told who waits for whom', async () => {
    const { ended, go, reads, start } = await world({ rows: 1_000 })
    const first = start({ rate: 100 })
    await go(1_000)
    expect(await ended(start())).toMatchObject({ ending: 'busy', retryMs: expect.any(Number) as number })
    expect(await ended(first)).toMatchObject({ ending: 'done' })
    expect(reads()).toHaveLength(1_000)
  })

  test('killed, its lease runs out, another goes on where it was, and the first sends nothing any more when it wakes', async () => {
    let frozen = false
    const { promise: thawed, resolve: thaw } = Promise.withResolvers<void>()
    let sendings = 0
    const wrap = (backfills: Backfills): Backfills => ({
      ...backfills,
      send: async (...of) => {
        sendings += 1
        // The third sending of the first run is under way for long: its process stands still.
        if (sendings === 3) {
          frozen = true
          await thawed
        }
        return backfills.send(...of)
      },
    })
    const { clock, ended, go, reads, start } = await world({ rows: 2_000, wrap })
    const zombie = start({ rate: 1_000 })
    await go(1_000)
    expect(frozen).toBe(true)
    clock.advance(30_000)
    const second = start({ rate: 1_000 })
    await go(500)
    thaw()
    expect(await ended(zombie)).toEqual({ ending: 'taken-over' })
    expect(await ended(second)).toMatchObject({ ending: 'done', backfill: { seen: 2_000, sent: 2_000 } })
    expect(reads()).toHaveLength(2_000)
    expect(new Set(reads()).size).toBe(2_000)
  })

  test('one that is not there is told', async () => {
    const { ended, start } = await world({ rows: 1 })
    expect(await ended(start({ id: 4_711 }))).toEqual({ ending: 'unknown' })
  })
})

test('a fault that waiting does not mend ends it, with the lease let go', async () => {
  const wrong = new AfluenteError('misconfigured', 'PGRST202', 'the function is not there')
  const wrap = (backfills: Backfills): Backfills => ({ ...backfills, send: () => Promise.reject(wrong) })
  const { backfill, ended, start } = await world({ rows: 10, wrap })
  await expect(ended(start())).rejects.toBe(wrong)
  expect(await backfill()).toMatchObject({ state: 'running', worked: false })
})
