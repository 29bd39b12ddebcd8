/** What the contract of a sink needs of the one under test, and events to write into it. */
import { randomUUID } from 'node:crypto'
import { type Change, type Op, TRUNCATE_KEY } from '../../../shared/events/change.ts'
import { decode, encode, type Event } from '../../../shared/events/envelope.ts'
import type { Control } from '../../../shared/ports/control.ts'
import type { Fence, Sink, Swept, WriteReport } from '../../../shared/ports/sink.ts'
import { qualifiedName } from '../../../shared/tables/table.ts'
import { leads } from '../../../shared/tables/leads.ts'
import { topicOf } from '../../../shared/engine/define.ts'
import { recordOf } from '../../support/arbitraries.ts'

export interface SinkSubject {
  /** Writes `leads`. */
  readonly sink: Sink
  readonly control: Control
  /** What the sink has of a key, deleted or not; undefined when it never heard of it. */
  readonly row: (key: string) => Promise<SinkRow | undefined>
  /** Which of these event ids lie in bronze. Left out where the sink has none. */
  readonly kept?: (ids: readonly string[]) => Promise<readonly string[]>
  /** Columns that make an image this sink refuses. */
  readonly poison: Readonly<Record<string, unknown>>
  /** `item`: refused events are named and the rest lands. `batch`: the whole batch is refused. */
  readonly refusal: 'item' | 'batch'
}

export interface SinkRow {
  readonly version: number
  readonly deleted: boolean
  readonly name: string | null
}

export const signal = new AbortController().signal

/** Versions of this process grow from the clock on, as the source's sequence does. */
let lastVersion = Date.now() * 1000
export function nextVersion(): number {
  lastVersion += 1
  return lastVersion
}

export interface EventOf {
  readonly id?: string
  readonly version?: number
  readonly op?: Exclude<Op, 'truncate'>
  readonly name?: string
  readonly columns?: Readonly<Record<string, unknown>>
  readonly offset?: number
}

/** A truncate of `leads` as it comes off the topic: its version is a floor. */
export function truncateEvent(version = nextVersion()): Event {
  return decoded({ version, key: TRUNCATE_KEY, op: 'truncate', before: null, after: null }, version % 1_000_000)
}

/** An event of `leads` as it comes off the topic: encoded and decoded by the product. */
export function leadEvent({
  id = randomUUID(),
  version = nextVersion(),
  op = 'insert',
  name = 'Ana',
  columns = {},
  offset = version % 1_000_000,
}: EventOf = {}): Event {
  const row = { ...Object.fromEntries(Object.keys(leads.columns).map((column) => [column, null])), id, name, ...columns }
  const image = JSON.stringify(row)
  return decoded({ version, key: JSON.stringify([id]), op, before: op === 'delete' ? image : null, after: op === 'delete' ? null : image }, offset)
}

function decoded(part: Pick<Change, 'version' | 'key' | 'op' | 'before' | 'after'>, offset: number): Event {
  const change = { ...part, table: qualifiedName(leads), topic: topicOf(leads), occurredAt: '2026-11-22T18:00:00.123456Z', traceparent: null }
  const context = { ref: 'local', claimedAt: '2026-11-22T18:00:00.125Z', traceparent: '00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01' }
  const read = decode(recordOf(encode(change, context), { offset: String(offset) }))
  if (!read.ok) throw new Error(read.why.message)
  return read.event
}

/** A partition held by a consumer of its own, so that tests share nothing. */
export interface Held {
  readonly fence: Fence
  write(...events: readonly Event[]): Promise<WriteReport>
  /** What the engine does for a truncate, before its batch is written: raises the floor, and sweeps to the end. Gives the steps that took. */
  raise(truncate: Event): Promise<number>
  progress(): Promise<{
    readonly consumed: number
    readonly accepted: number
    readonly duplicate: number
    readonly late: number
    readonly dead: number
    readonly nextOffset: string
  }>
}

export async function hold({ sink, control }: SinkSubject, consumer: string = `test-${randomUUID()}`): Promise<Held> {
  const topic = topicOf(leads)
  const epoch = await control.take({ consumer, topic, partition: 0, owner: `owner of ${consumer}` }, { signal })
  const fence = { consumer, topic, partition: 0, epoch }
  let next = 0
  return {
    fence,
    write: async (...events) => {
      next += events.length
      return await sink.write({ table: leads, events, fence, nextOffset: String(next) }, { signal })
    },
    raise: async ({ table, version, occurredAt }) => {
      const floor = await control.raiseFloor({ table, version, occurredAt }, fence, { signal })
      let steps = 0
      for (let from: string | null = null, over = false; !over; steps += 1) {
        const { next }: Swept = await sink.sweepBelow({ table: leads, floor, fence, from }, { signal })
        from = next
        over = next === null
      }
      return steps
    },
    progress: async () => {
      const mine = (await control.progress({ signal })).find((progress) => progress.consumer === consumer)
      const { consumed, accepted, duplicate, late, dead, nextOffset } = mine ?? { consumed: 0, accepted: 0, duplicate: 0, late: 0, dead: 0, nextOffset: '0' }
      return { consumed, accepted, duplicate, late, dead, nextOffset }
    },
  }
}
