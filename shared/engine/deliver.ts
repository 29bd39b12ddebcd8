/** Moves one batch of a topic's partition into a consumer's sink. The offset is committed by the subscription once this resolves. */
import { decode, type Event, type LogRecord, recordId } from '../events/envelope.ts'
import type { Clock } from '../ports/clock.ts'
import type { Control } from '../ports/control.ts'
import type { Log } from '../ports/log.ts'
import type { Publisher } from '../ports/publisher.ts'
import type { DeadLetter, Fence, Sink, WriteReport } from '../ports/sink.ts'
import type { BatchContext, HandleBatch, RecordBatch } from '../ports/subscription.ts'
import { qualifiedName, type SourceTable } from '../tables/table.ts'
import { createBurial } from './dead-letters.ts'
import { topicOf } from './define.ts'
import { isRefusal } from './errors.ts'
import { createFloors } from './floors.ts'
import type { Persist } from './persist.ts'
import { codeOf, explain } from './reason.ts'
import { assertShape } from './shape.ts'
import { applySplitting, type Culprit } from './split.ts'

export interface DeliverDeps {
  readonly consumer: string
  /** Unique to this run of the consumer. */
  readonly owner: string
  readonly tables: readonly SourceTable[]
  readonly sink: Sink
  readonly control: Control
  readonly publisher: Publisher
  readonly persist: Persist
  readonly clock: Clock
  readonly log: Log
}

/**
 * Promises: when it resolves, every record of the batch is in the sink or is a dead letter; a record that can not be
 * applied holds up none of the others. A sink that is down is waited for. Throws `fenced` when somebody else holds the
 * partition, and whatever was under way when the context's signal aborts; the batch then has to come again.
 */
export function createDeliver(deps: DeliverDeps): HandleBatch {
  const { sink, control, persist } = deps
  const bury = createBurial(deps)
  const carryOutFloors = createFloors(deps)
  const held = new Map<string, { readonly generation: string; readonly epoch: number }>()

  /** The epoch is taken once a generation: taking it shuts out whoever held the partition before. */
  const fenceOf = async ({ topic, partition, generation }: RecordBatch, context: BatchContext): Promise<Fence> => {
    const at = `${topic}:${partition}`
    const present = held.get(at)
    if (present?.generation === generation) return { consumer: deps.consumer, topic, partition, epoch: present.epoch }
    const epoch = await persist(at, () => control.take({ consumer: deps.consumer, topic, partition, owner: `${deps.owner}/${generation}` }, context), context)
    held.set(at, { generation, epoch })
    return { consumer: deps.consumer, topic, partition, epoch }
  }

  /** Writes the events; gives back those that the sink will not take. `offsets.next` is told only with what settles the last of them. */
  const apply = async (table: SourceTable, events: readonly Event[], fence: Fence, offsets: Offsets, context: BatchContext): Promise<readonly DeadLetter[]> => {
    const step = (part: readonly Event[], nextOffset: string) => async () => {
      assertShape(table, part)
      return sink.write({ table, events: part, fence, nextOffset }, { signal: context.signal })
    }
    const write = async (part: readonly Event[], nextOffset: string) =>
      rejected(part, await persist(`${fence.topic}:${fence.partition}`, step(part, nextOffset), context), table)
    try {
      return await write(events, offsets.next)
    } catch (error) {
      if (!isRefusal(error)) throw error
    }
    const letters: DeadLetter[] = []
    const culprits = await applySplitting(events, async (part) => void letters.push(...(await write(part, offsets.first))), isRefusal)
    if (letters.length + culprits.length === 0)
      await persist(`${fence.topic}:${fence.partition}`, () => control.advance(fence, offsets.next, 0, NOTHING, { signal: context.signal }), context)
    return [...letters, ...lettersOf(culprits, table)]
  }

  /** Everything that the batch has of the table; gives back what the sink or the control tables will not take. */
  const applyAll = async (table: SourceTable, events: readonly Event[], fence: Fence, offsets: Offsets, context: BatchContext) => {
    const culprits = await carryOutFloors(table, events, fence, context)
    const refused = new Set(culprits.map(({ item }) => item))
    const rest = refused.size === 0 ? events : events.filter((event) => !refused.has(event))
    const letters = rest.length === 0 ? [] : await apply(table, rest, fence, refused.size === 0 ? offsets : { ...offsets, next: offsets.first }, context)
    return [...lettersOf(culprits, table), ...letters]
  }

  return async (batch, context) => {
    const fence = await fenceOf(batch, context)
    const offsets = offsetsOf(batch)
    const { table, events, letters } = sort(batch, deps.tables)
    const more =
      table === undefined || events.length === 0
        ? []
        : await applyAll(table, events, fence, letters.length === 0 ? offsets : { ...offsets, next: offsets.first }, context)
    await bury([...letters, ...more], fence, offsets.next, context)
  }
}

const NOTHING: WriteReport = { accepted: 0, duplicate: 0, late: 0, rejected: [] }

interface Offsets {
  /** Nothing of the batch is settled yet. */
  readonly first: string
  /** All of it is. */
  readonly next: string
}

function offsetsOf({ records }: RecordBatch): Offsets {
  return { first: records[0]?.offset ?? '0', next: String(BigInt(records.at(-1)?.offset ?? '-1') + 1n) }
}

/** The events of the topic's table, in order, and the records that are none. */
function sort({ topic, records }: RecordBatch, tables: readonly SourceTable[]) {
  const table = tables.find((one) => topicOf(one) === topic)
  const name = table === undefined ? null : qualifiedName(table)
  const events: Event[] = []
  const letters: DeadLetter[] = []
  for (const record of records) {
    const decoded = decode(record)
    if (!decoded.ok) letters.push(letterOf(record, name, decoded.why.code, decoded.why.message))
    else if (decoded.event.table === name) events.push(decoded.event)
    else
      letters.push(
        letterOf(
          record,
          decoded.event.table,
          'unknown-table',
          `The event is of the table ${decoded.event.table}; this topic carries ${name ?? 'no defined table'}. Define the table in shared/pipeline.ts, or send the event to its own topic.`,
        ),
      )
  }
  return { table, events, letters }
}

function rejected(events: readonly Event[], report: WriteReport, table: SourceTable): readonly DeadLetter[] {
  return report.rejected.flatMap(({ index, code, message }) => {
    const event = events[index]
    return event === undefined ? [] : [letterOf(event.record, qualifiedName(table), code, message)]
  })
}

function lettersOf(culprits: readonly Culprit<Event>[], table: SourceTable): readonly DeadLetter[] {
  return culprits.map(({ item, error }) => letterOf(item.record, qualifiedName(table), codeOf(error), explain(error)))
}

function letterOf(record: LogRecord, table: string | null, code: string, message: string): DeadLetter {
  return { record, eventId: recordId(record), table, code, message }
}
