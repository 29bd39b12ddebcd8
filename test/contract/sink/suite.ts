/** The contract of a sink: one suite, run on the memory twin and on every real sink. */
import { randomUUID } from 'node:crypto'
import { afterAll, beforeAll, describe, expect, test } from 'vitest'
import { recordId } from '../../../shared/events/envelope.ts'
import { leads } from '../../../shared/tables/leads.ts'
import { assertConvergence, assertFencing, idOf } from './checks.ts'
import { hold, leadEvent, signal, type SinkSubject } from './subject.ts'
import { truncateContract } from './suite-truncate.ts'

export interface SinkContractOptions {
  readonly make: () => Promise<{ readonly subject: SinkSubject; close(): Promise<void> }>
  /** How many random deliveries are tried. */
  readonly runs: number
  /** False for sinks that can't be fenced: there the version guards. */
  readonly fences: boolean
  /** False for sinks that hide what is below a floor instead of taking it out: what they show is tested beside. */
  readonly floors: boolean
}

export function sinkContract(name: string, { make, runs, fences, floors }: SinkContractOptions): void {
  describe(`sink: ${name}`, () => {
    let made: Awaited<ReturnType<typeof make>>
    let subject: SinkSubject
    beforeAll(async () => {
      made = await make()
      subject = made.subject
    })
    afterAll(async () => made?.close())

    test('an inserted row stands in the sink with its version', async () => {
      const event = leadEvent({ name: 'Ana' })
      const held = await hold(subject)
      expect(await held.write(event)).toEqual({ accepted: 1, duplicate: 0, late: 0, rejected: [] })
      expect(await subject.row(event.key)).toEqual({ version: event.version, deleted: false, name: 'Ana' })
    })

    test('a batch that comes again changes nothing and is counted as duplicate', async () => {
      const events = [leadEvent({ name: 'Ana' }), leadEvent({ op: 'delete' }), leadEvent({ op: 'read', name: 'Bia' })]
      const held = await hold(subject)
      await held.write(...events)
      expect(await held.write(...events)).toEqual({ accepted: 0, duplicate: 3, late: 0, rejected: [] })
      expect(await subject.row(events[0]?.key ?? '')).toMatchObject({ version: events[0]?.version, name: 'Ana' })
    })

    test('an update with a higher version replaces the row', async () => {
      const first = leadEvent({ name: 'Ana' })
      const second = leadEvent({ id: idOf(first), op: 'update', name: 'Ana Maria' })
      const held = await hold(subject)
      await held.write(first)
      await held.write(second)
      expect(await subject.row(first.key)).toEqual({ version: second.version, deleted: false, name: 'Ana Maria' })
    })

    test('an older version that comes late is counted as late and changes nothing', async () => {
      const older = leadEvent({ name: 'old' })
      const newer = leadEvent({ id: idOf(older), op: 'update', name: 'new' })
      const held = await hold(subject)
      await held.write(newer)
      expect(await held.write(older)).toEqual({ accepted: 0, duplicate: 0, late: 1, rejected: [] })
      expect(await subject.row(older.key)).toEqual({ version: newer.version, deleted: false, name: 'new' })
    })

    test('a deleted row keeps its key and version and loses the rest', async () => {
      const event = leadEvent({ name: 'Ana' })
      const gone = leadEvent({ id: idOf(event), op: 'delete' })
      const held = await hold(subject)
      await held.write(event)
      await held.write(gone)
      expect(await subject.row(event.key)).toEqual({ version: gone.version, deleted: true, name: null })
    })

    test('a deletion of a row that never came leaves a tombstone as well', async () => {
      const gone = leadEvent({ op: 'delete' })
      const held = await hold(subject)
      expect(await held.write(gone)).toMatchObject({ accepted: 1 })
      expect(await subject.row(gone.key)).toEqual({ version: gone.version, deleted: true, name: null })
    })

    test('an insert that comes after its deletion does not bring the row back', async () => {
      const event = leadEvent({ name: 'Ana' })
      const gone = leadEvent({ id: idOf(event), op: 'delete' })
      const held = await hold(subject)
      await held.write(gone)
      expect(await held.write(event)).toMatchObject({ late: 1 })
      expect(await subject.row(event.key)).toMatchObject({ version: gone.version, deleted: true })
    })

    test('a row inserted anew after its deletion lives', async () => {
      const gone = leadEvent({ op: 'delete' })
      const again = leadEvent({ id: idOf(gone), name: 'again' })
      const held = await hold(subject)
      await held.write(gone)
      await held.write(again)
      expect(await subject.row(gone.key)).toEqual({ version: again.version, deleted: false, name: 'again' })
    })

    test('of several changes of a key in one batch the last one stands, and each counts as accepted', async () => {
      const first = leadEvent({ name: 'one' })
      const id = idOf(first)
      const held = await hold(subject)
      const events = [first, leadEvent({ id, op: 'update', name: 'two' }), leadEvent({ id, op: 'delete' }), leadEvent({ id, name: 'four' })]
      const report = await held.write(...events)
      expect(report).toEqual({ accepted: 4, duplicate: 0, late: 0, rejected: [] })
      expect(await subject.row(first.key)).toEqual({ version: events.at(-1)?.version, deleted: false, name: 'four' })
    })

    test('an older version behind a newer one in the same batch is late, the same event twice is a duplicate', async () => {
      const older = leadEvent({ name: 'older' })
      const newer = leadEvent({ id: idOf(older), op: 'update', name: 'newer' })
      const held = await hold(subject)
      expect(await held.write(newer, older, newer)).toEqual({ accepted: 1, duplicate: 1, late: 1, rejected: [] })
      expect(await subject.row(older.key)).toEqual({ version: newer.version, deleted: false, name: 'newer' })
    })

    test('a refused event leaves no trace of its own, and its batch lands wholly without it or not at all', async () => {
      const good = leadEvent({ name: 'good' })
      const bad = leadEvent({ name: 'bad', columns: subject.poison })
      const held = await hold(subject)
      if (subject.refusal === 'item') {
        const report = await held.write(good, bad)
        expect(report).toMatchObject({ accepted: 1, duplicate: 0, late: 0 })
        expect(report.rejected.map(({ index }) => index)).toEqual([1])
        expect(await subject.row(good.key)).toMatchObject({ name: 'good' })
      } else {
        await expect(held.write(good, bad)).rejects.toMatchObject({ name: 'AfluenteError', kind: 'refused' })
        expect(await subject.row(good.key)).toBeUndefined()
        if (subject.kept !== undefined) expect(await subject.kept([good.id, bad.id])).toEqual([])
        expect(await held.progress()).toMatchObject({ consumed: 0, nextOffset: '0' })
        expect(await held.write(good)).toMatchObject({ accepted: 1 })
      }
      expect(await subject.row(bad.key)).toBeUndefined()
    })

    test('what a refusal says holds no value of the row', async () => {
      const secret = `secret-${randomUUID()}`
      const bad = leadEvent({ name: secret, columns: subject.poison })
      const held = await hold(subject)
      const said = await held.write(bad).then(
        ({ rejected }) => rejected.map(({ message }) => message).join(),
        (error: Error) => error.message,
      )
      expect(said).not.toBe('')
      for (const value of [secret, idOf(bad)]) expect(said).not.toContain(value)
    })

    test('what was refused is kept where every event is kept, once', async () => {
      const { record, id } = leadEvent({ columns: subject.poison })
      const held = await hold(subject)
      const letter = { record, eventId: recordId(record), table: 'public.leads', code: 'x', message: 'refused' }
      await subject.sink.keep([letter], held.fence, { signal })
      await subject.sink.keep([letter], held.fence, { signal })
      expect(await (subject.kept?.([id]) ?? [id])).toEqual([id])
    })

    test('however events are repeated, reordered and cut into batches, the highest version of each key stands and the counts add up', async () => {
      await assertConvergence(subject, runs)
    })

    test('the offset that is recorded never goes back', async () => {
      const held = await hold(subject)
      const write = async (nextOffset: string) => subject.sink.write({ table: leads, events: [leadEvent()], fence: held.fence, nextOffset }, { signal })
      await write('900')
      await write('7')
      expect(await held.progress()).toMatchObject({ nextOffset: '900', consumed: 2 })
    })

    truncateContract(() => subject, { floors })

    if (fences) {
      test('under an epoch that is over nothing is written', async () => {
        await assertFencing(subject)
      })

      test('nothing is written or kept by somebody who never took the partition', async () => {
        const held = await hold(subject)
        const fence = { ...held.fence, consumer: `test-${randomUUID()}` }
        const event = leadEvent()
        await expect(subject.sink.write({ table: leads, events: [event], fence, nextOffset: '1' }, { signal })).rejects.toMatchObject({ kind: 'fenced' })
        expect(await subject.row(event.key)).toBeUndefined()
      })
    }
  })
}
