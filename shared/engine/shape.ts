/** Does the source still have the columns that were defined? Pure. */
import type { Event } from '../events/envelope.ts'
import { beginningOf, hasMembers, membersOf } from '../events/json-text.ts'
import { qualifiedName, type SourceTable } from '../tables/table.ts'
import { AfluenteError } from './errors.ts'

/**
 * Throws `misconfigured` with both lists when a row of the batch has no value at all for a defined column: somebody
 * renamed or dropped it, perhaps for a moment, and going on would fill NULLs in silence. Every image is looked at: it is read only
 * where its columns are not those of the one before. A column that nobody defined is no fault; an image that is not
 * JSON is the sink's to refuse.
 */
export function assertShape(table: SourceTable, events: readonly Event[]): void {
  let known: readonly string[] = []
  for (const event of events) {
    if (event.after === null || hasMembers(event.after, known)) continue
    const found = membersOf(event.after)
    if (found === null) continue
    assertColumns(table, found, event)
    known = [...found.keys()].map(beginningOf)
  }
}

function assertColumns(table: SourceTable, found: ReadonlyMap<string, unknown>, { record }: Event): void {
  const defined = Object.keys(table.columns)
  const missing = defined.filter((column) => !found.has(column))
  if (missing.length === 0) return
  throw new AfluenteError(
    'misconfigured',
    'column-missing',
    `${qualifiedName(table)} came without ${missing.join(', ')} (offset ${record.offset} of ${record.topic}, partition ${record.partition}). Defined: ${defined.join(', ')}. Found: ${[...found.keys()].join(', ')}. ` +
      `Mend the source table, or change shared/tables/${table.name}.ts and deploy; delivery of this table goes on by itself then.`,
  )
}
