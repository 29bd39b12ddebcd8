/** The part of a sink's contract that is about truncates and their floors. */
import { describe, expect, test } from 'vitest'
import { leads } from '../../../shared/tables/leads.ts'
import { idOf } from './checks.ts'
import { hold, leadEvent, nextVersion, signal, type SinkSubject, truncateEvent } from './subject.ts'

/** `floors`: whether the sink takes out what is below one, instead of hiding it. */
export function truncateContract(subject: () => SinkSubject, { floors }: { readonly floors: boolean }): void {
  describe('a truncate', () => {
    test('is counted like any event, leaves no row of its own, and is kept where events are', async () => {
      const truncate = truncateEvent()
      const held = await hold(subject())
      await held.raise(truncate)
      expect(await held.write(leadEvent(), truncate, leadEvent())).toEqual({ accepted: 3, duplicate: 0, late: 0, rejected: [] })
      expect(await held.progress()).toMatchObject({ consumed: 3, accepted: 3 })
      const { kept } = subject()
      if (kept !== undefined) {
        expect(await kept([truncate.id])).toEqual([truncate.id])
        expect(await held.write(truncate)).toMatchObject({ duplicate: 1 })
      }
    })
  })

  if (floors) {
    test('what stands below a floor is dead, keeps its key alone, and has the floor as version; what is above it lives', async () => {
      const [old, deleted] = [leadEvent({ name: 'old' }), leadEvent({ op: 'delete' })]
      const truncate = truncateEvent()
      const later = leadEvent({ name: 'later' })
      const held = await hold(subject())
      await held.write(old, later, deleted)
      await held.raise(truncate)
      expect(await subject().row(old.key)).toEqual({ version: truncate.version, deleted: true, name: null })
      expect(await subject().row(deleted.key)).toMatchObject({ deleted: true })
      expect(await subject().row(later.key)).toEqual({ version: later.version, deleted: false, name: 'later' })
    })

    test('a late event from before the floor changes nothing and is late, for a known key and for an unknown one', async () => {
      const [known, unknown] = [leadEvent({ name: 'known' }), leadEvent({ name: 'unknown' })]
      const gone = leadEvent({ op: 'delete' })
      const update = leadEvent({ id: idOf(known), op: 'update', name: 'late' })
      const truncate = truncateEvent()
      const held = await hold(subject())
      await held.write(known)
      await held.raise(truncate)
      expect(await held.write(update, unknown, gone)).toEqual({ accepted: 0, duplicate: 0, late: 3, rejected: [] })
      expect(await subject().row(known.key)).toMatchObject({ deleted: true })
      expect((await subject().row(unknown.key))?.name).toBeUndefined()
      expect(await subject().row(gone.key)).toBeUndefined()
    })

    test('of several versions of a key in one batch only those above the floor count as accepted', async () => {
      const before = leadEvent({ name: 'before' })
      const truncate = truncateEvent()
      const after = leadEvent({ id: idOf(before), name: 'after' })
      const held = await hold(subject())
      await held.raise(truncate)
      expect(await held.write(before, truncate, after)).toEqual({ accepted: 2, duplicate: 0, late: 1, rejected: [] })
      expect(await subject().row(before.key)).toEqual({ version: after.version, deleted: false, name: 'after' })
    })

    test('a truncate of before the present floor counts as late', async () => {
      const [first, second] = [truncateEvent(), truncateEvent()]
      const held = await hold(subject())
      await held.raise(second)
      await held.raise(first)
      expect(await held.write(first)).toMatchObject({ accepted: 0, late: 1 })
    })

    test('a sweep that is done again finds nothing', async () => {
      const event = leadEvent()
      const truncate = truncateEvent()
      const held = await hold(subject())
      await held.write(event)
      await held.raise(truncate)
      const before = await subject().row(event.key)
      expect(await held.raise(truncate)).toBe(1)
      expect(await subject().row(event.key)).toEqual(before)
    })

    test('under an epoch that is over nothing is swept', async () => {
      const event = leadEvent({ name: 'stays' })
      const floor = { table: event.table, version: nextVersion(), occurredAt: event.occurredAt }
      const old = await hold(subject())
      await old.write(event)
      await hold(subject(), old.fence.consumer)
      await expect(subject().sink.sweepBelow({ table: leads, floor, fence: old.fence, from: null }, { signal })).rejects.toMatchObject({ kind: 'fenced' })
      expect(await subject().row(event.key)).toMatchObject({ name: 'stays' })
    })
  }
}
