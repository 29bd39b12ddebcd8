/** The promises that a sink must not lose, as checks that a broken one fails: the suite runs them on the real sinks, the mutants on naive ones. */
import { randomUUID } from 'node:crypto'
import fc from 'fast-check'
import { expect } from 'vitest'
import type { Event } from '../../../shared/events/envelope.ts'
import { hold, leadEvent, nextVersion, type SinkSubject } from './subject.ts'

interface Delivery {
  /** One number an event of the history: which of three keys it changes, and whether it deletes. */
  readonly history: readonly { readonly key: 0 | 1 | 2; readonly deletes: boolean }[]
  /** Indices into the history, in the order and as often as they arrive. */
  readonly arrivals: readonly number[]
  readonly batchSizes: readonly number[]
}

const delivery: fc.Arbitrary<Delivery> = fc
  .array(fc.record({ key: fc.constantFrom(0 as const, 1 as const, 2 as const), deletes: fc.boolean() }), { minLength: 1, maxLength: 8 })
  .chain((history) =>
    fc.record({
      history: fc.constant(history),
      arrivals: fc.array(fc.nat({ max: history.length - 1 }), { minLength: 1, maxLength: 16 }),
      batchSizes: fc.array(fc.integer({ min: 1, max: 6 }), { minLength: 16, maxLength: 16 }),
    }),
  )

/**
 * However events are repeated, reordered and cut into batches: each key ends at the highest version that arrived, and
 * every event is counted once as accepted, duplicate or late.
 */
export async function assertConvergence(subject: SinkSubject, runs: number): Promise<void> {
  await fc.assert(
    fc.asyncProperty(delivery, async ({ history, arrivals, batchSizes }) => {
      const ids = [randomUUID(), randomUUID(), randomUUID()]
      const events = history.map(({ key, deletes }, at) =>
        leadEvent({ id: ids[key] ?? '', version: nextVersion(), op: deletes ? 'delete' : 'update', name: `state ${at}` }),
      )
      const arriving = arrivals.flatMap((at) => events[at] ?? [])
      const held = await hold(subject)
      const totals = { accepted: 0, duplicate: 0, late: 0 }
      for (const batch of cut(arriving, batchSizes)) {
        const { accepted, duplicate, late, rejected } = await held.write(...batch)
        expect(rejected).toEqual([])
        expect(accepted + duplicate + late).toBe(batch.length)
        totals.accepted += accepted
        totals.duplicate += duplicate
        totals.late += late
      }
      for (const event of new Map(arriving.toSorted((a, b) => a.version - b.version).map((event) => [event.key, event])).values()) {
        const deleted = event.op === 'delete'
        expect(await subject.row(event.key)).toEqual({ version: event.version, deleted, name: deleted ? null : `state ${events.indexOf(event)}` })
      }
      expect(await held.progress()).toEqual({ ...totals, consumed: arriving.length, dead: 0, nextOffset: String(arriving.length) })
      const once = [...new Set(arriving.map(({ id }) => id))].toSorted()
      if (subject.kept !== undefined) expect((await subject.kept(once)).toSorted()).toEqual(once)
    }),
    { numRuns: runs, seed: 20_261_122, endOnFailure: true },
  )
}

/** After somebody else took the partition, its old holder changes nothing at all. */
export async function assertFencing(subject: SinkSubject): Promise<void> {
  const old = await hold(subject)
  const event = leadEvent({ name: 'old' })
  await old.write(event)
  const successor = await hold(subject, old.fence.consumer)
  const before = await successor.progress()
  const later = leadEvent({ id: idOf(event), op: 'update', name: 'written under an old epoch' })
  await expect(old.write(later)).rejects.toMatchObject({ name: 'AfluenteError', kind: 'fenced' })
  expect(await subject.row(event.key)).toEqual({ version: event.version, deleted: false, name: 'old' })
  if (subject.kept !== undefined) expect(await subject.kept([later.id])).toEqual([])
  expect(await successor.progress()).toEqual(before)
  expect(await successor.write(later)).toMatchObject({ accepted: 1 })
}

export function idOf(event: Event): string {
  const [id] = JSON.parse(event.key) as [string]
  return id
}

function cut<T>(items: readonly T[], sizes: readonly number[]): readonly (readonly T[])[] {
  const batches: T[][] = []
  for (let at = 0; at < items.length;) {
    const size = sizes[batches.length % sizes.length] ?? 1
    batches.push(items.slice(at, at + size))
    at += size
  }
  return batches
}
