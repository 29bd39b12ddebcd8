/** The contract of backfills: one suite, run on the memory twin and on the functions in Postgres, through PostgREST as the command line calls them. */
import { randomUUID } from 'node:crypto'
import { describe, expect, test } from 'vitest'
import type { Backfill, Backfills, BackfillRequest, Hold, Sending } from '../../../shared/ports/backfills.ts'
import { eventually } from '../../support/poll.ts'

export interface BackfillSubject {
  readonly backfills: Backfills
  /** Commits rows of the captured table `public.items (id)`. */
  insert(...ids: number[]): Promise<void>
  remove(id: number): Promise<void>
  /** Holds a row until it is let go of. */
  lock(id: number): Promise<() => Promise<void>>
  /** The keys of the reads that wait for Kafka, in version order. */
  reads(): Promise<readonly string[]>
  /** Lets that many changes wait for Kafka. */
  crowd(changes: number): Promise<void>
  /** From now on the row can't be printed. */
  spoil(id: number): Promise<void>
}

const signal = new AbortController().signal
const LONG_MS = 60_000
const ITEMS: BackfillRequest = { table: 'public.items', condition: null, spanMs: null, limit: null, estimate: 3 }

/** `make` gives a source with an empty table, nothing in the outbox and no backfill. */
export function backfillContract(name: string, make: () => Promise<BackfillSubject>): void {
  const open = async (request: Partial<BackfillRequest> = {}) => {
    const subject = await make()
    const { backfills } = subject
    await subject.insert(1, 2, 3)
    const { id } = await backfills.start({ ...ITEMS, ...request }, { signal })
    const hold = async (owner: string = randomUUID(), leaseMs = LONG_MS) => backfills.hold({ id, owner, leaseMs }, { signal })
    const send = async (epoch: number, what: Partial<Sending>) =>
      backfills.send({ id, epoch, keys: [], seen: 0, reached: null, failed: [], leaseMs: LONG_MS, ...what }, { signal })
    return { ...subject, id, hold, held: async (owner?: string) => heldOf(await hold(owner)), send }
  }
  const sentOf = async (sending: ReturnType<Backfills['send']>): Promise<Backfill> => {
    const answer = await sending
    if (answer.status !== 'held') throw new Error('It was refused.')
    return answer.backfill
  }

  describe(`backfills: ${name}`, () => {
    test('one that is begun can be held, by one at a time; holding it raises the epoch', async () => {
      const { hold, held, id } = await open()
      const first = await held('a')
      expect(first.backfill).toMatchObject({
        id,
        table: 'public.items',
        state: 'running',
        worked: true,
        seen: 0,
        sent: 0,
        reached: null,
        waiting: [],
        estimate: 3,
      })
      expect(await hold('b')).toMatchObject({ status: 'busy', retryMs: expect.any(Number) as number, backfill: { id } })
      expect((await held('a')).epoch).toBe(first.epoch + 1)
    })

    test('asked for again in the same words it is the same one, until it has ended; in other words it is another', async () => {
      const { backfills, held, id } = await open()
      expect(await backfills.start(ITEMS, { signal })).toMatchObject({ id, worked: false })
      for (const other of [{ limit: 5 }, { condition: 'id > 1' }, { spanMs: 60_000 }])
        expect((await backfills.start({ ...ITEMS, ...other }, { signal })).id, JSON.stringify(other)).not.toBe(id)
      await backfills.release({ id, epoch: (await held()).epoch, done: true }, { signal })
      expect((await backfills.start(ITEMS, { signal })).id).not.toBe(id)
    })

    test('rows are sent as reads, and what was seen, sent and reached is known with them', async () => {
      const { backfills, held, id, reads, send } = await open()
      const { epoch } = await held()
      const sent = await sentOf(send(epoch, { keys: ['[1]', '[2]', '[9]'], seen: 3, reached: '[9]' }))
      expect(sent).toMatchObject({ seen: 3, sent: 2, gone: 1, failed: 0, reached: '[9]', waiting: [], state: 'running', worked: true })
      expect(await reads()).toEqual(['[1]', '[2]'])
      expect((await backfills.list({ signal })).find((one) => one.id === id)).toEqual(sent)
    })

    test('what was reached already is not sent again: an answer may have been lost', async () => {
      const { held, reads, send } = await open()
      const { epoch } = await held()
      const first = await sentOf(send(epoch, { keys: ['[1]'], seen: 1, reached: '[1]' }))
      expect(await sentOf(send(epoch, { keys: ['[1]'], seen: 1, reached: '[1]' }))).toEqual(first)
      expect(await reads()).toEqual(['[1]'])
    })

    test('a row that somebody holds waits, and goes when it is free', async () => {
      const { held, lock, reads, send } = await open()
      const { epoch } = await held()
      const letGo = await lock(2)
      expect(await sentOf(send(epoch, { keys: ['[1]', '[2]'], seen: 2, reached: '[2]' }))).toMatchObject({ seen: 2, sent: 1, waiting: ['[2]'] })
      expect(await sentOf(send(epoch, { keys: ['[2]'] }))).toMatchObject({ seen: 2, sent: 1, waiting: ['[2]'] })
      await letGo()
      expect(await sentOf(send(epoch, { keys: ['[2]'] }))).toMatchObject({ seen: 2, sent: 2, waiting: [] })
      expect(await reads()).toEqual(['[1]', '[2]'])
    })

    test('a row that waited and was sent is not sent again: that answer may have been lost as well', async () => {
      const { held, lock, reads, send } = await open()
      const { epoch } = await held()
      const letGo = await lock(2)
      await send(epoch, { keys: ['[2]'], seen: 1, reached: '[2]' })
      await letGo()
      const first = await sentOf(send(epoch, { keys: ['[2]'] }))
      expect(await sentOf(send(epoch, { keys: ['[2]'] }))).toEqual(first)
      expect(first).toMatchObject({ seen: 1, sent: 1, waiting: [] })
      expect(await reads()).toEqual(['[2]'])
    })

    test('a row that waited and is deleted is gone: its end was captured', async () => {
      const { held, lock, remove, send } = await open()
      const { epoch } = await held()
      const letGo = await lock(2)
      await send(epoch, { keys: ['[2]'], seen: 1, reached: '[2]' })
      await letGo()
      await remove(2)
      expect(await sentOf(send(epoch, { keys: ['[2]'] }))).toMatchObject({ sent: 0, gone: 1, waiting: [] })
    })

    test('who was overtaken sends nothing, notes nothing and lets go of nothing', async () => {
      const { backfills, hold, id, reads, send } = await open()
      const zombie = heldOf(await hold('zombie', 1))
      const present = await eventually('its lease has run out', async () => {
        const taken = await hold('b')
        return taken.status === 'held' ? taken : null
      })
      expect(await send(zombie.epoch, { keys: ['[1]'], seen: 1, reached: '[1]' })).toEqual({ status: 'fenced' })
      expect(await backfills.release({ id, epoch: zombie.epoch, done: true }, { signal })).toBe(null)
      expect(await reads()).toEqual([])
      expect(await sentOf(send(present.epoch, {}))).toMatchObject({ seen: 0, reached: null, state: 'running' })
    })

    test('let go of, it is free at once; done, it has ended', async () => {
      const { backfills, hold, held, id } = await open()
      const { epoch } = await held('a')
      expect(await backfills.release({ id, epoch, done: false }, { signal })).toMatchObject({ state: 'running', worked: false, endedAt: null })
      const { epoch: next } = await held('b')
      expect(await backfills.release({ id, epoch: next, done: true }, { signal })).toMatchObject({
        state: 'done',
        worked: false,
        endedAt: expect.any(String) as string,
      })
      expect(await hold()).toMatchObject({ status: 'ended', backfill: { state: 'done' } })
    })

    test('it is not done while a row waits', async () => {
      const { backfills, held, id, lock, send } = await open()
      const { epoch } = await held()
      const letGo = await lock(2)
      await send(epoch, { keys: ['[2]'], seen: 1, reached: '[2]' })
      expect(await backfills.release({ id, epoch, done: true }, { signal })).toMatchObject({ state: 'running' })
      await letGo()
    })

    test('paused it sends nothing and notes nothing, and its holder keeps it; resumed it goes on', async () => {
      const { backfills, held, id, reads, send } = await open()
      const { epoch } = await held()
      expect(await backfills.steer(id, 'pause', { signal })).toMatchObject({ status: 'done', backfill: { state: 'paused', worked: true } })
      expect(await backfills.steer(id, 'pause', { signal })).toMatchObject({ status: 'unchanged' })
      expect(await sentOf(send(epoch, { keys: ['[1]'], seen: 1, reached: '[1]' }))).toMatchObject({ state: 'paused', seen: 0, reached: null, worked: true })
      expect(await reads()).toEqual([])
      expect(await backfills.steer(id, 'resume', { signal })).toMatchObject({ status: 'done', backfill: { state: 'running' } })
      expect(await sentOf(send(epoch, { keys: ['[1]'], seen: 1, reached: '[1]' }))).toMatchObject({ seen: 1, sent: 1 })
    })

    test('cancelled it has ended, for good', async () => {
      const { backfills, held, hold, id, reads, send } = await open()
      const { epoch } = await held()
      expect(await backfills.steer(id, 'cancel', { signal })).toMatchObject({
        status: 'done',
        backfill: { state: 'cancelled', endedAt: expect.any(String) as string },
      })
      expect(await sentOf(send(epoch, { keys: ['[1]'], seen: 1, reached: '[1]' }))).toMatchObject({ state: 'cancelled', sent: 0 })
      expect(await reads()).toEqual([])
      expect(await hold()).toMatchObject({ status: 'ended' })
      for (const action of ['pause', 'resume'] as const) expect(await backfills.steer(id, action, { signal })).toMatchObject({ status: 'declined' })
    })

    test('there is room until thousands of changes wait for Kafka', async () => {
      const { crowd, held, send } = await open()
      const { epoch } = await held()
      expect(await send(epoch, {})).toMatchObject({ room: true })
      await crowd(5_000)
      expect(await send(epoch, {})).toMatchObject({ room: false })
    })

    test('rows that can’t be printed are refused, with nothing done; without them the rest goes, and they are counted', async () => {
      const { held, reads, send, spoil } = await open()
      await spoil(2)
      const { epoch } = await held()
      await expect(send(epoch, { keys: ['[1]', '[2]', '[3]'], seen: 3, reached: '[3]' })).rejects.toMatchObject({ kind: 'refused' })
      expect(await reads()).toEqual([])
      expect(await sentOf(send(epoch, { keys: ['[1]'], seen: 1, reached: '[1]' }))).toMatchObject({ seen: 1, sent: 1, failed: 0 })
      expect(await sentOf(send(epoch, { failed: ['[2]'], seen: 1, reached: '[2]' }))).toMatchObject({ seen: 2, sent: 1, failed: 1 })
    })

    test('unknown ones are told, and a table that is not captured is refused', async () => {
      const { backfills } = await open()
      expect(await backfills.hold({ id: 4_711, owner: 'a', leaseMs: 1 }, { signal })).toEqual({ status: 'unknown' })
      expect(await backfills.steer(4_711, 'cancel', { signal })).toEqual({ status: 'unknown' })
      await expect(backfills.start({ ...ITEMS, table: 'public.plain' }, { signal })).rejects.toMatchObject({ kind: 'misconfigured', code: 'not-captured' })
    })

    test('they are listed, newest first', async () => {
      const { backfills, id } = await open()
      const { id: other } = await backfills.start({ ...ITEMS, limit: 1 }, { signal })
      expect((await backfills.list({ signal })).map((one) => one.id)).toEqual([other, id])
    })
  })
}

function heldOf(hold: Hold): Extract<Hold, { status: 'held' }> {
  if (hold.status !== 'held') throw new Error(`It was not held: ${hold.status}`)
  return hold
}
