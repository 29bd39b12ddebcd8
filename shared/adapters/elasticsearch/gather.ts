import type { Cancellable } from '../../ports/cancellable.ts'
import type { Bulk, BulkItem, BulkOutcome } from './bulk.ts'
import type { RefreshTurns } from './refresh.ts'

/** Batches from here on go by themselves, side by side: they fill a request. */
const LARGE_BATCH = 200

interface Waiting {
  readonly items: readonly BulkItem[]
  settled: { readonly outcomes: readonly BulkOutcome[] } | { readonly error: unknown } | null
}

interface Lane {
  waiting: Waiting[]
  sending: Promise<void> | null
}

export type Gathered = (index: string, items: readonly BulkItem[], options: Cancellable) => Promise<readonly BulkOutcome[]>

/**
 * Small batches of several partitions in one request: while one is under way, those that come wait and go together with
 * the next. A request costs a sync to disk, and often a refresh, however little is in it. Promises what `bulk` promises.
 * Whoever finds nobody sending sends for all; when the sender's own signal aborts, the others send again.
 */
export function gatherSmall(bulk: Bulk, turns: RefreshTurns): Gathered {
  const lanes = new Map<string, Lane>()

  const send = async (index: string, lane: Lane, own: Waiting, signal: AbortSignal): Promise<void> => {
    const together = lane.waiting
    lane.waiting = []
    const items = together.flatMap((each) => each.items)
    const turn = turns.take(index, items.length)
    try {
      const outcomes = await bulk(index, items, { refresh: turn !== null, signal })
      turn?.done()
      let at = 0
      for (const each of together) each.settled = { outcomes: outcomes.slice(at, (at += each.items.length)) }
    } catch (error) {
      const others = signal.aborted ? together.filter((each) => each !== own) : []
      lane.waiting.unshift(...others)
      for (const each of together) if (!others.includes(each)) each.settled = { error }
    } finally {
      lane.sending = null
    }
  }

  return async (index, items, { signal }) => {
    if (items.length >= LARGE_BATCH) return bulk(index, items, { refresh: false, signal })
    const lane = lanes.get(index) ?? { waiting: [], sending: null }
    lanes.set(index, lane)
    const own: Waiting = { items, settled: null }
    lane.waiting.push(own)
    while (own.settled === null) {
      if (signal.aborted && lane.waiting.includes(own)) {
        lane.waiting = lane.waiting.filter((each) => each !== own)
        signal.throwIfAborted()
      }
      await (lane.sending ??= send(index, lane, own, signal))
    }
    if ('error' in own.settled) throw own.settled.error
    return own.settled.outcomes
  }
}
