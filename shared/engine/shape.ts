/** Does the source still have the columns that were defined? Pure. */
import type { Event } from '../events/envelope.ts'
import { membersOf } from '../events/json-text.ts'
import { qualifiedName, type SourceTable } from '../tables/table.ts'
import { AfluenteError } from './errors.ts'

/**
 * Throws `misconfigured` with both lists when a row of the batch has no value at all for a defined column: somebody
 * renamed or dropped it, and going on would fill NULLs in silence. Only the first and the last image are looked at,
 * since a table changes its shape from one moment on. A column that nobody defined is no fault; an image that is not
 * JSON is the sink's to refuse.
 */
export function assertShape(table: SourceTable, events: readonly Event[]): void {
  const rows = events.filter(({ op, after }) => op !== 'delete' && after !== null)
  for (const event of new Set([rows.at(0), rows.at(-1)])) {
    const found = event?.after === undefined || event.after === null ? null : membersOf(event.after)
    if (found === null) continue
    const defined = Object.keys(table.columns)
    const missing = defined.filter((column) => !found.has(column))
    if (missing.length === 0) continue
    throw new AfluenteError(
      'misconfigured',
      'column-missing',
      `${qualifiedName(table)} came without ${missing.join(', ')} (offset ${event?.record.offset ?? '?'} of ${event?.record.topic ?? '?'}, partition ${event?.record.partition ?? '?'}). Defined: ${defined.join(', ')}. Found: ${[...found.keys()].join(', ')}. ` +
        `Mend the source table, or change shared/tables/${table.name}.ts and deploy; delivery of this table goes on by itself then.`,
    )
  }
}
