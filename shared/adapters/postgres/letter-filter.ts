/** A filter of dead letters as SQL. */
import type { LetterFilter } from '../../ports/letters.ts'

/** Gathers parameters and numbers them. */
export interface Parameters {
  readonly values: readonly unknown[]
  /** The placeholder of a value, with its type: `$3::bigint`. */
  readonly add: (value: unknown, type: string) => string
}

export function parameters(...first: readonly unknown[]): Parameters {
  const values = [...first]
  return {
    values,
    add: (value, type) => {
      values.push(value)
      return `$${values.length}::${type}`
    },
  }
}

/** What letters `d` must meet, one condition at least. */
export function conditionOf(filter: LetterFilter, { add }: Parameters): string {
  const { consumer, fingerprint, ids, since, state, table, until } = filter
  return [
    'true',
    ...(ids === undefined ? [] : [`d.id = any(${add([...ids], 'bigint[]')})`]),
    ...(consumer === undefined ? [] : [`d.consumer = ${add(consumer, 'text')}`]),
    ...(table === undefined ? [] : [`d.table_name = ${add(table, 'text')}`]),
    ...(fingerprint === undefined ? [] : [`d.fingerprint = ${add(fingerprint, 'text')}`]),
    ...(state === undefined ? [] : [`d.state = ${add(state, 'text')}`]),
    ...(since === undefined ? [] : [`d.first_seen >= ${add(since, 'timestamptz')}`]),
    ...(until === undefined ? [] : [`d.first_seen < ${add(until, 'timestamptz')}`]),
  ].join(' and ')
}
