/** What a TRUNCATE that is too large for a delete a key does to a sink: the table's floor is raised, and what stands below it is swept. */
import type { Event } from '../events/envelope.ts'
import type { Clock } from '../ports/clock.ts'
import type { Control, Floor } from '../ports/control.ts'
import type { Fence, Sink } from '../ports/sink.ts'
import type { BatchContext } from '../ports/subscription.ts'
import type { SourceTable } from '../tables/table.ts'
import { isRefusal } from './errors.ts'
import type { Persist } from './persist.ts'
import type { Culprit } from './split.ts'

export interface FloorsDeps {
  readonly sink: Sink
  readonly control: Control
  readonly persist: Persist
  readonly clock: Clock
}

/** Others hold the last rows: they know the floor, and are done soon. */
const HELD_PAUSE_MS = 50

/**
 * Gives what carries out the floors among the events of a batch, before the batch itself is written: from then on the sink takes nothing
 * below them. Killed between any two steps it is done again by whoever gets the batch, which changes nothing. Resolves with the
 * events whose floor can't be raised, to be buried.
 */
export function createFloors({ sink, control, persist, clock }: FloorsDeps) {
  return async (table: SourceTable, events: readonly Event[], fence: Fence, context: BatchContext): Promise<readonly Culprit<Event>[]> => {
    const where = `${fence.topic}:${fence.partition}`
    const options = { signal: context.signal }
    const culprits: Culprit<Event>[] = []
    let floor: Floor | undefined
    for (const event of events) {
      if (event.op !== 'truncate') continue
      const { version, occurredAt } = event
      try {
        floor = await persist(where, () => control.raiseFloor({ table: event.table, version, occurredAt }, fence, options), context)
      } catch (error) {
        if (!isRefusal(error)) throw error
        culprits.push({ item: event, error })
      }
    }
    if (floor !== undefined) await sweep(table, floor, fence, context)
    return culprits
  }

  /** Step by step, so that no statement is long, and a member that was thrown out of its group notices. */
  async function sweep(table: SourceTable, floor: Floor, fence: Fence, context: BatchContext): Promise<void> {
    const where = `${fence.topic}:${fence.partition}`
    const options = { signal: context.signal }
    const step = (from: string | null) => persist(where, () => sink.sweepBelow({ table, floor, fence, from }, options), context)
    for (let swept = await step(null); swept.next !== null; swept = await step(swept.next)) {
      await context.heartbeat()
      if (swept.rows === 0) await clock.sleep(HELD_PAUSE_MS, options)
    }
  }
}
