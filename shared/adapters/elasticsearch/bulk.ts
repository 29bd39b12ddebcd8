import type { Client } from '@elastic/elasticsearch'
import type { Cancellable } from '../../ports/cancellable.ts'
import type { Clock } from '../../ports/clock.ts'
import { holdersOf } from './alias.ts'
import { currentVersionOf, type ItemError, type ItemFault, itemFaultOf, itemsFault, requestFault, statusOf } from './faults.ts'
import { oneOf } from './live-index.ts'

export interface BulkItem {
  readonly action: string
  readonly document: string
}

export type BulkOutcome =
  | { readonly status: 'accepted' }
  /** The document has this version or a newer one; null when the server didn't say which. */
  | { readonly status: 'conflict'; readonly current: number | null }
  | { readonly status: 'rejected'; readonly error: ItemError }

export interface BulkOptions extends Cancellable {
  /** Make the documents visible before the answer comes. */
  readonly refresh: boolean
}

export interface BulkDeps {
  readonly client: Client
  readonly clock: Clock
  /** 0 ≤ n < 1 */
  readonly random: () => number
  /** What is written into must be an alias: one that is gone must not come back as an index of its own, with the next write. */
  readonly requireAlias?: boolean
}

/** Well below `http.max_content_length` (100 MB), and large enough that a request's own cost is lost in it. */
const REQUEST_CHARACTERS = 5_000_000
const TRIES = 4
const FIRST_PAUSE_MS = 100
/** A row's fault, as a rule; but also what every row is told by an alias of several indices, none of which is the one to write into. */
const OF_ANYTHING = 'illegal_argument_exception'
/** The answer item by item, without what nobody reads: of a thousand items that is most of it. */
const NEEDED = 'errors,items.*.status,items.*.error.type,items.*.error.reason'

export type Bulk = (index: string, items: readonly BulkItem[], options: BulkOptions) => Promise<readonly BulkOutcome[]>

/**
 * `_bulk` into one index. Promises an outcome for every item, in order; what is accepted is durable. Items that an
 * overloaded cluster turned away are sent again alone, a few times. Errors: `unavailable`, `refused`, `misconfigured`;
 * any part may have been written then, which external versions make harmless.
 */
export function bulkInto({ client, clock, random, requireAlias = false }: BulkDeps): Bulk {
  return async (index, items, options) => {
    const outcomes = new Map<number, BulkOutcome>()
    const parts = split(items)
    for (const [at, part] of parts.entries()) {
      await settle(index, items, part, outcomes, { ...options, refresh: options.refresh && at === parts.length - 1 })
    }
    return items.map((_, at) => outcomes.get(at) ?? { status: 'rejected', error: { type: 'no_answer' } })
  }

  async function settle(
    index: string,
    items: readonly BulkItem[],
    part: readonly number[],
    outcomes: Map<number, BulkOutcome>,
    options: BulkOptions,
  ): Promise<void> {
    let waiting = part
    for (let round = 1; waiting.length > 0; round += 1) {
      const turnedAway: { readonly at: number; readonly code: string }[] = []
      const answers = await send(index, items, waiting, options)
      if (requireAlias && answers.some(({ error }) => error.type === OF_ANYTHING)) await assertLeadsToOne(client, index, options)
      for (const { at, status, error } of answers) {
        const fault = status < 300 ? null : itemFaultOf(status, error.type)
        if (fault === 'overloaded') turnedAway.push({ at, code: error.type })
        else outcomes.set(at, outcomeOf(index, fault, error))
      }
      const [first] = turnedAway
      if (first === undefined) return
      if (round === TRIES) throw itemsFault('overloaded', index, first.code)
      waiting = turnedAway.map(({ at }) => at)
      await clock.sleep(FIRST_PAUSE_MS * 2 ** (round - 1) * (0.5 + random()), options)
      options.signal.throwIfAborted()
    }
  }

  async function send(index: string, items: readonly BulkItem[], part: readonly number[], { refresh, signal }: BulkOptions): Promise<readonly Answer[]> {
    const operations = part.flatMap((at) => linesOf(items[at]))
    try {
      const answer = await client.bulk<string>(
        { index, operations, filter_path: NEEDED, ...(requireAlias ? { require_alias: true } : {}), ...(refresh ? { refresh: true } : {}) },
        { signal },
      )
      const results = answer.items
      if (results?.length !== part.length) throw new Error(`_bulk answered ${results?.length ?? 0} of ${part.length} items`)
      return part.map((at, n) => ({ at, status: results[n]?.index?.status ?? 0, error: results[n]?.index?.error ?? { type: 'unknown' } }))
    } catch (error) {
      signal.throwIfAborted()
      const status = statusOf(error)
      if (status === 429) return part.map((at) => ({ at, status, error: { type: 'http-429' } }))
      if (status !== 413) throw requestFault(`_bulk of ${part.length} documents into ${index}`, error)
      if (part.length === 1) return part.map((at) => ({ at, status, error: { type: 'content_too_long' } }))
      const half = part.length >> 1
      return [...(await send(index, items, part.slice(0, half), { refresh, signal })), ...(await send(index, items, part.slice(half), { refresh, signal }))]
    }
  }
}

interface Answer {
  readonly at: number
  readonly status: number
  readonly error: ItemError
}

function outcomeOf(index: string, fault: Exclude<ItemFault, 'overloaded'> | null, error: ItemError): BulkOutcome {
  if (fault === null) return { status: 'accepted' }
  if (fault === 'conflict') return { status: 'conflict', current: currentVersionOf(error.reason) }
  if (fault === 'row') return { status: 'rejected', error }
  throw itemsFault(fault, index, error.type)
}

async function assertLeadsToOne(client: Client, alias: string, options: Cancellable): Promise<void> {
  const holders = await holdersOf(client, alias, options).catch((error: unknown) => {
    throw requestFault(`asking where the alias ${alias} leads`, error)
  })
  oneOf(alias, holders)
}

function linesOf(item: BulkItem | undefined): string[] {
  return item === undefined ? [] : [item.action, item.document]
}

/** Which items go together into a request. */
function split(items: readonly BulkItem[]): readonly (readonly number[])[] {
  const parts: number[][] = []
  let room = 0
  for (const [at, { action, document }] of items.entries()) {
    const size = action.length + document.length
    if (size > room) {
      parts.push([])
      room = REQUEST_CHARACTERS
    }
    parts.at(-1)?.push(at)
    room -= size
  }
  return parts
}
