/** An index in memory, as the real one is: it knows no epochs, only versions, and its progress is told apart, after the documents. */
import type { MemoryAnalytics, SilverRow } from '../../../shared/adapters/memory/analytics.ts'
import { eventIdOf } from '../../../shared/events/change.ts'
import type { Event } from '../../../shared/events/envelope.ts'
import type { Control } from '../../../shared/ports/control.ts'
import type { Rejection, Sink, WriteReport } from '../../../shared/ports/sink.ts'
import { qualifiedName } from '../../../shared/tables/table.ts'

export interface IndexTwinDeps {
  readonly analytics: Pick<MemoryAnalytics, 'silver' | 'floors'>
  readonly control: Control
  readonly refuses: (event: Event) => { readonly code: string; readonly message: string } | null
}

export function indexTwin({ analytics, control, refuses }: IndexTwinDeps): Sink {
  const rowsOf = (table: string): Map<string, SilverRow> => {
    const rows = analytics.silver.get(table) ?? new Map<string, SilverRow>()
    analytics.silver.set(table, rows)
    return rows
  }

  const apply = (event: Event, rows: Map<string, SilverRow>): 'accepted' | 'duplicate' | 'late' => {
    const present = rows.get(event.key)?.version ?? 0
    const floor = analytics.floors.get(event.table)?.version ?? 0
    if (event.op === 'truncate') return 'accepted'
    if (event.version === present) return 'duplicate'
    if (event.version < Math.max(present, floor + 1)) return 'late'
    rows.set(event.key, { version: event.version, eventId: event.id, after: event.after })
    return 'accepted'
  }

  return {
    write: async ({ events, fence, nextOffset, table }, options) => {
      options.signal.throwIfAborted()
      const rows = rowsOf(qualifiedName(table))
      const counts = { accepted: 0, duplicate: 0, late: 0 }
      const rejected: Rejection[] = []
      for (const [index, event] of events.entries()) {
        const why = refuses(event)
        if (why === null) counts[apply(event, rows)] += 1
        else rejected.push({ index, ...why })
      }
      const report: WriteReport = { ...counts, rejected }
      const settled = rejected.length === 0 ? nextOffset : (events[0]?.record.offset ?? nextOffset)
      await control.advance(fence, settled, events.length - rejected.length, report, options)
      return report
    },
    // The alias hides what is below the floor, whoever raises it; here such documents become tombstones.
    sweepBelow: async ({ floor, table }, { signal }) => {
      signal.throwIfAborted()
      const rows = rowsOf(qualifiedName(table))
      const tombstone = { version: floor.version, eventId: eventIdOf(floor.table, floor.version), after: null }
      for (const [key, { after, version }] of rows) if (after !== null && version < floor.version) rows.set(key, tombstone)
      return { rows: 0, next: null }
    },
    keep: async () => {},
  }
}
