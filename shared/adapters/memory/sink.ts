/** A sink in memory: bronze takes each event once, silver takes a newer version only, and none at or below the table's floor. A batch is written wholly or not at all. */
import { AfluenteError } from '../../engine/errors.ts'
import { eventIdOf } from '../../events/change.ts'
import type { Event } from '../../events/envelope.ts'
import type { Clock } from '../../ports/clock.ts'
import type { Rejection, Sink, Sweep, Swept, TableBatch, WriteReport } from '../../ports/sink.ts'
import { qualifiedName } from '../../tables/table.ts'
import { assertEpoch, count, type MemoryAnalytics, type SilverRow } from './analytics.ts'

export interface MemorySinkDeps {
  readonly analytics: MemoryAnalytics
  readonly clock: Clock
  /** Keep every event in bronze, as the Postgres sink does; left out, the sink holds rows alone, as an index does. */
  readonly bronze?: boolean
  /** The copies beside the rows instead of the rows themselves. */
  readonly shadow?: boolean
  /** What the sink will not take, as a constraint or a mapping would say it. */
  readonly refuses?: (event: Event) => { readonly code: string; readonly message: string } | null
  /** `item`: refused events are named one by one, the others land. `batch`: one refused event refuses the batch. */
  readonly refusal?: 'item' | 'batch'
}

/** Few, so that a sweep of a small test has several steps. */
const SWEPT_AT_ONCE = 2

type Outcome = 'accepted' | 'duplicate' | 'late'

export function memorySink({ analytics, clock, bronze = false, shadow = false, refuses = () => null, refusal = 'batch' }: MemorySinkDeps): Sink {
  const write = ({ table, events, fence, nextOffset }: TableBatch): WriteReport => {
    assertEpoch(analytics, fence)
    const rejected = events.flatMap((event, index): Rejection[] => {
      const why = refuses(event)
      return why === null ? [] : [{ index, ...why }]
    })
    const [first] = rejected
    if (first !== undefined && refusal === 'batch') throw new AfluenteError('refused', first.code, first.message)

    const rows = silverOf(analytics, qualifiedName(table), shadow)
    const refusedAt = new Set(rejected.map(({ index }) => index))
    const report = { accepted: 0, duplicate: 0, late: 0 }
    for (const [index, event] of events.entries()) {
      if (!refusedAt.has(index)) report[apply(event, rows)] += 1
    }
    count(analytics, fence, nextOffset, { ...report, consumed: events.length - rejected.length, dead: 0 }, clock.now())
    return { ...report, rejected }
  }

  const apply = (event: Event, rows: Map<string, SilverRow>): Outcome => {
    const known = analytics.bronze.has(event.id)
    if (bronze && !known) analytics.bronze.set(event.id, { eventId: event.id, record: event.record })
    const present = rows.get(event.key)
    const floor = analytics.floors.get(event.table)?.version ?? 0
    const newer = event.version > Math.max(floor, present?.version ?? 0)
    if (event.op === 'truncate') return bronze && known ? 'duplicate' : event.version < floor ? 'late' : 'accepted'
    if (newer) rows.set(event.key, { version: event.version, eventId: event.id, after: event.after })
    if ((bronze && known) || present?.version === event.version) return 'duplicate'
    return newer ? 'accepted' : 'late'
  }

  const sweep = ({ table, floor, fence }: Sweep): Swept => {
    assertEpoch(analytics, fence)
    const rows = silverOf(analytics, qualifiedName(table), shadow)
    const dead = [...rows].filter(([, { after, version }]) => after !== null && version < floor.version)
    for (const [key] of dead.slice(0, SWEPT_AT_ONCE)) {
      rows.set(key, { version: floor.version, eventId: eventIdOf(floor.table, floor.version), after: null })
    }
    return dead.length > SWEPT_AT_ONCE ? { rows: SWEPT_AT_ONCE, next: 'more' } : { rows: dead.length, next: null }
  }

  return {
    sweepBelow: async (work, { signal }) => {
      signal.throwIfAborted()
      return sweep(work)
    },
    write: async (batch, { signal }) => {
      signal.throwIfAborted()
      return write(batch)
    },
    keep: async (letters, fence, { signal }) => {
      signal.throwIfAborted()
      assertEpoch(analytics, fence)
      for (const { eventId, record } of bronze ? letters : []) {
        if (!analytics.bronze.has(eventId)) analytics.bronze.set(eventId, { eventId, record })
      }
    },
  }
}

/** The rows of a table, or of the copy beside it. */
export function silverOf(analytics: MemoryAnalytics, table: string, shadow = false): Map<string, SilverRow> {
  const name = shadow ? `${table}__shadow` : table
  const rows = analytics.silver.get(name) ?? new Map<string, SilverRow>()
  analytics.silver.set(name, rows)
  return rows
}
