/** Does the source still have the columns that were defined? Pure. */
import type { Event } from '../events/envelope.ts'
import { beginningOf, hasMembers, membersOf } from '../events/json-text.ts'
import { qualifiedName, type SourceTable } from '../tables/table.ts'
import { AfluenteError } from './errors.ts'

export interface Misshapen {
  readonly event: Event
  /** Defined columns that the row's image has no value at all for. */
  readonly missing: readonly string[]
  readonly found: readonly string[]
}

/**
 * Throws `misconfigured` with both lists when a row of the batch has no value at all for a defined column: somebody
 * renamed or dropped it, perhaps for a moment, and going on would fill NULLs in silence.
 */
export function assertShape(table: SourceTable, events: readonly Event[]): void {
  const misshapen = firstMisshapen(table, events)
  if (misshapen === null) return
  const { event, missing, found } = misshapen
  const { offset, partition, topic } = event.record
  throw new AfluenteError(
    'misconfigured',
    'column-missing',
    `${qualifiedName(table)} came without ${missing.join(', ')} (offset ${offset} of ${topic}, partition ${partition}). Defined: ${Object.keys(table.columns).join(', ')}. Found: ${found.join(', ')}. ` +
      `Mend the source table, or change shared/tables/${table.name}.ts and deploy; delivery of this table goes on by itself then.`,
  )
}

/**
 * Every image is looked at: it is read only where its columns are not those of the one before. A column that nobody
 * defined is no fault; an image that is not JSON is the sink's to refuse.
 */
export function firstMisshapen(table: SourceTable, events: readonly Event[]): Misshapen | null {
  const defined = Object.keys(table.columns)
  let known: readonly string[] = []
  for (const event of events) {
    if (event.after === null || hasMembers(event.after, known)) continue
    const found = membersOf(event.after)
    if (found === null) continue
    const missing = defined.filter((column) => !found.has(column))
    if (missing.length > 0) return { event, missing, found: [...found.keys()] }
    known = [...found.keys()].map(beginningOf)
  }
  return null
}
