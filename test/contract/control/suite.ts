/** The contract of the control tables: one suite, run on the memory twin and on Postgres. */
import { randomUUID } from 'node:crypto'
import { afterAll, beforeAll, describe, expect, test } from 'vitest'
import type { LogRecord } from '../../../shared/events/envelope.ts'
import type { Control, Progress } from '../../../shared/ports/control.ts'
import type { DeadLetter, Fence } from '../../../shared/ports/sink.ts'

export interface ControlSubject {
  readonly control: Control
  readonly letters: (consumer: string) => Promise<readonly { readonly offset: string; readonly code: string; readonly attempts: number }[]>
}

export const signal = new AbortController().signal
const topic = 'afluente.public.leads'

export function letter(
  offset: string,
  { code = '22P02', message = 'refused', ...record }: Partial<LogRecord> & { readonly code?: string; readonly message?: string } = {},
): DeadLetter {
  const whole: LogRecord = { topic, partition: 0, offset, timestampMs: 1_795_370_400_000, key: '["k"]', value: '{"op":"insert"}', headers: {}, ...record }
  return { record: whole, eventId: `public.leads:${offset}`, table: 'public.leads', code, message }
}

export async function take(control: Control, consumer: string = `test-${randomUUID()}`): Promise<Fence> {
  const epoch = await control.take({ consumer, topic, partition: 0, owner: 'somebody' }, { signal })
  return { consumer, topic, partition: 0, epoch }
}

export function controlContract(name: string, { make }: { readonly make: () => Promise<{ readonly subject: ControlSubject; close(): Promise<void> }> }): void {
  describe(`control: ${name}`, () => {
    let made: Awaited<ReturnType<typeof make>>
    let subject: ControlSubject
    let control: Control
    beforeAll(async () => {
      made = await make()
      subject = made.subject
      control = subject.control
    })
    afterAll(async () => made?.close())

    const progressOf = async ({ consumer }: Fence): Promise<Progress | undefined> =>
      (await control.progress({ signal })).find((progress) => progress.consumer === consumer)
    const counts = { accepted: 2, duplicate: 1, late: 3, rejected: [] }

    test('each taking of a partition gives a higher epoch', async () => {
      const first = await take(control)
      const second = await take(control, first.consumer)
      expect(second.epoch).toBeGreaterThan(first.epoch)
    })

    test('takings at the same time give each its own epoch', async () => {
      const { consumer } = await take(control)
      const epochs = await Promise.all(Array.from({ length: 8 }, async () => (await take(control, consumer)).epoch))
      expect(new Set(epochs).size).toBe(8)
    })

    test('what a sink has settled is added to the counts, and the offset moves on', async () => {
      const fence = await take(control)
      await control.advance(fence, '6', 6, counts, { signal })
      await control.advance(fence, '12', 6, counts, { signal })
      expect(await progressOf(fence)).toMatchObject({
        topic,
        partition: 0,
        epoch: fence.epoch,
        nextOffset: '12',
        consumed: 12,
        accepted: 4,
        duplicate: 2,
        late: 6,
        dead: 0,
      })
    })

    test('an offset never goes back, and is exact beyond 2^53', async () => {
      const fence = await take(control)
      await control.advance(fence, '9007199254740993', 6, counts, { signal })
      await control.advance(fence, '5', 6, counts, { signal })
      expect(await progressOf(fence)).toMatchObject({ nextOffset: '9007199254740993', consumed: 12 })
    })

    test('the time of the last progress is ISO 8601 in UTC', async () => {
      const fence = await take(control)
      await control.advance(fence, '1', 6, counts, { signal })
      expect((await progressOf(fence))?.updatedAt).toMatch(/^\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\.\d+Z$/)
    })

    test('dead letters are stored, and counted as consumed and dead', async () => {
      const fence = await take(control)
      await control.bury([letter('3'), letter('4', { code: 'not-json' })], fence, '5', { signal })
      expect((await subject.letters(fence.consumer)).toSorted((a, b) => Number(a.offset) - Number(b.offset))).toEqual([
        { offset: '3', code: '22P02', attempts: 1 },
        { offset: '4', code: 'not-json', attempts: 1 },
      ])
      expect(await progressOf(fence)).toMatchObject({ nextOffset: '5', consumed: 2, dead: 2, accepted: 0 })
    })

    test('the same record again is the same letter with one attempt more', async () => {
      const fence = await take(control)
      await control.bury([letter('3')], fence, '4', { signal })
      await control.bury([letter('3', { code: '22003' })], fence, '4', { signal })
      expect(await subject.letters(fence.consumer)).toEqual([{ offset: '3', code: '22003', attempts: 2 }])
      expect(await progressOf(fence)).toMatchObject({ consumed: 2, dead: 2 })
    })

    test('another event in the same place, as after a topic was made anew, is another letter', async () => {
      const fence = await take(control)
      await control.bury([letter('3')], fence, '4', { signal })
      await control.bury([{ ...letter('3'), eventId: `public.leads:${'9'.repeat(5_000)}` }], fence, '4', { signal })
      expect((await subject.letters(fence.consumer)).map(({ offset, attempts }) => ({ offset, attempts }))).toEqual([
        { offset: '3', attempts: 1 },
        { offset: '3', attempts: 1 },
      ])
    })

    describe('a floor', () => {
      const at = (table: string, version: number) => ({ table, version, occurredAt: `2026-11-22T18:00:00.00000${version % 10}Z` })
      const floorOf = async (table: string) => (await control.floors({ signal })).find((floor) => floor.table === table)
      const newTable = () => `public.${randomUUID()}`

      test('is none until it is raised, and then told with its time', async () => {
        const [fence, table] = [await take(control), newTable()]
        expect(await floorOf(table)).toBeUndefined()
        expect(await control.raiseFloor(at(table, 1_795_370_400_000_001), fence, { signal })).toEqual(at(table, 1_795_370_400_000_001))
        expect(await floorOf(table)).toEqual(at(table, 1_795_370_400_000_001))
      })

      test('never goes down: the greatest stays, and is what everybody is answered', async () => {
        const [fence, table] = [await take(control), newTable()]
        expect(await control.raiseFloor(at(table, 5), fence, { signal })).toEqual(at(table, 5))
        for (const version of [3, 5]) expect(await control.raiseFloor(at(table, version), fence, { signal })).toEqual(at(table, 5))
        expect(await control.raiseFloor(at(table, 8), fence, { signal })).toEqual(at(table, 8))
        expect(await floorOf(table)).toEqual(at(table, 8))
      })

      test('raised by many at once ends at the greatest', async () => {
        const table = newTable()
        const fences = await Promise.all(Array.from({ length: 6 }, () => take(control)))
        const answers = await Promise.all(fences.map((fence, n) => control.raiseFloor(at(table, n + 1), fence, { signal })))
        for (const [n, { version }] of answers.entries()) expect(version).toBeGreaterThanOrEqual(n + 1)
        expect(await floorOf(table)).toEqual(at(table, 6))
      })

      test('of one table is none of another', async () => {
        const [fence, table] = [await take(control), newTable()]
        await control.raiseFloor(at(table, 4), fence, { signal })
        expect(await floorOf(newTable())).toBeUndefined()
      })

      test('is not raised under an epoch that is over', async () => {
        const [old, table] = [await take(control), newTable()]
        await take(control, old.consumer)
        await expect(control.raiseFloor(at(table, 4), old, { signal })).rejects.toMatchObject({ name: 'AfluenteError', kind: 'fenced' })
        expect(await floorOf(table)).toBeUndefined()
      })
    })

    test('under an epoch that is over nothing is counted and nothing is buried', async () => {
      const old = await take(control)
      const present = await take(control, old.consumer)
      await control.advance(present, '6', 6, counts, { signal })
      const before = await progressOf(present)
      await expect(control.advance(old, '99', 6, counts, { signal })).rejects.toMatchObject({ name: 'AfluenteError', kind: 'fenced' })
      await expect(control.bury([letter('3')], old, '99', { signal })).rejects.toMatchObject({ name: 'AfluenteError', kind: 'fenced' })
      expect(await progressOf(present)).toEqual(before)
      expect(await subject.letters(old.consumer)).toEqual([])
    })
  })
}
