/** Brings records of one partition into a consumer's sink: the one way for whatever comes, from a topic or from a dead letter. */
import { decode, type Event, type LogRecord, recordId } from '../events/envelope.ts'
import type { Clock } from '../ports/clock.ts'
import type { Control } from '../ports/control.ts'
import type { DeadLetter, Fence, Sink, WriteReport } from '../ports/sink.ts'
import type { BatchContext } from '../ports/subscription.ts'
import { qualifiedName, type SourceTable } from '../tables/table.ts'
import { topicOf } from './define.ts'
import { isRefusal } from './errors.ts'
import { createFloors } from './floors.ts'
import type { Persist } from './persist.ts'
import { codeOf, explain } from './reason.ts'
import { applySplitting, type Culprit } from './split.ts'

export interface ApplyDeps {
  readonly tables: readonly SourceTable[]
  readonly sink: Sink
  readonly control: Control
  readonly persist: Persist
  readonly clock: Clock
  /** Throws what is to be done about events that lack a column of the definition: `misconfigured` halts, `refused` makes letters of them. */
  readonly assertShape: (table: SourceTable, events: readonly Event[]) => void
}

/** Where progress is told to have come. */
export interface Offsets {
  /** Nothing of the records is settled yet. */
  readonly first: string
  /** All of it is. */
  readonly next: string
}

export interface Records {
  /** The topic they stand on, which says their table. */
  readonly topic: string
  /** In offset order, one partition. */
  readonly records: readonly LogRecord[]
  /** The right to write them; its topic may be another. */
  readonly fence: Fence
  readonly offsets: Offsets
}

export interface Applied {
  /** What can't be applied, with the reasons. Nothing of it is stored or counted yet. */
  readonly letters: readonly DeadLetter[]
  /** What became of all others. */
  readonly report: Omit<WriteReport, 'rejected'>
}

/**
 * Promises: when it resolves, every record is in the sink (and counted under the fence) or among the letters; one that can't be applied
 * holds up none of the others. What the sink can't do now is `persist`'s to wait for or to throw. Not its job: burying the letters.
 */
export function createApply(deps: ApplyDeps): (of: Records, context: BatchContext) => Promise<Applied> {
  const { sink, control, persist } = deps
  const carryOutFloors = createFloors(deps)

  /** Writes the events; gives back those that the sink will not take. `offsets.next` is told only with what settles the last of them. */
  const write = async (table: SourceTable, events: readonly Event[], fence: Fence, offsets: Offsets, context: BatchContext): Promise<Applied> => {
    const where = `${fence.topic}:${fence.partition}`
    const report = { accepted: 0, duplicate: 0, late: 0 }
    const writePart = async (part: readonly Event[], nextOffset: string): Promise<readonly DeadLetter[]> => {
      const step = async () => {
        deps.assertShape(table, part)
        return sink.write({ table, events: part, fence, nextOffset }, { signal: context.signal })
      }
      const { accepted, duplicate, late, rejected } = await persist(where, step, context)
      report.accepted += accepted
      report.duplicate += duplicate
      report.late += late
      return rejected.flatMap(({ index, code, message }) => {
        const event = part[index]
        return event === undefined ? [] : [letterOf(event.record, qualifiedName(table), code, message)]
      })
    }
    try {
      return { letters: await writePart(events, offsets.next), report }
    } catch (error) {
      if (!isRefusal(error)) throw error
    }
    const letters: DeadLetter[] = []
    const culprits = await applySplitting(events, async (part) => void letters.push(...(await writePart(part, offsets.first))), isRefusal)
    if (letters.length + culprits.length === 0)
      await persist(where, () => control.advance(fence, offsets.next, 0, NOTHING, { signal: context.signal }), context)
    return { letters: [...letters, ...lettersOf(culprits, table)], report }
  }

  /** Everything that the records have of the table, truncates included. */
  const writeAll = async (table: SourceTable, events: readonly Event[], fence: Fence, offsets: Offsets, context: BatchContext): Promise<Applied> => {
    const culprits = await carryOutFloors(table, events, fence, context)
    const refused = new Set(culprits.map(({ item }) => item))
    const rest = refused.size === 0 ? events : events.filter((event) => !refused.has(event))
    const { letters, report } =
      rest.length === 0
        ? { letters: [], report: NOTHING }
        : await write(table, rest, fence, refused.size === 0 ? offsets : { ...offsets, next: offsets.first }, context)
    return { letters: [...lettersOf(culprits, table), ...letters], report }
  }

  return async ({ topic, records, fence, offsets }, context) => {
    const { table, events, letters } = sort(topic, records, deps.tables)
    if (table === undefined || events.length === 0) return { letters, report: NOTHING }
    const applied = await writeAll(table, events, fence, letters.length === 0 ? offsets : { ...offsets, next: offsets.first }, context)
    return { letters: [...letters, ...applied.letters], report: applied.report }
  }
}

const NOTHING: WriteReport = { accepted: 0, duplicate: 0, late: 0, rejected: [] }

/** The events of the topic's table, in order, and the records that are none. */
function sort(topic: string, records: readonly LogRecord[], tables: readonly SourceTable[]) {
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

function lettersOf(culprits: readonly Culprit<Event>[], table: SourceTable): readonly DeadLetter[] {
  return culprits.map(({ item, error }) => letterOf(item.record, qualifiedName(table), codeOf(error), explain(error)))
}

function letterOf(record: LogRecord, table: string | null, code: string, message: string): DeadLetter {
  return { record, eventId: recordId(record), table, code, message }
}
