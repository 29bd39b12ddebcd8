/** What stands behind `afluente dlq …`, read. */
import type { ParseArgsOptionsConfig } from 'node:util'
import { readArguments, timeOf } from '../arguments.ts'
import { WrongUse } from '../verb.ts'

/** Which letters. Everyone of these verbs takes them. */
export const filterOptions = {
  consumer: { type: 'string' },
  table: { type: 'string' },
  fingerprint: { type: 'string' },
  state: { type: 'string' },
  since: { type: 'string' },
  until: { type: 'string' },
} as const satisfies ParseArgsOptionsConfig

export const commonOptions = { json: { type: 'boolean' }, url: { type: 'string' } } as const satisfies ParseArgsOptionsConfig

/** Throws `WrongUse` with what is wrong. */
export function parsed<const T extends ParseArgsOptionsConfig>(args: readonly string[], options: T) {
  return readArguments(args, { ...commonOptions, ...options })
}

const FILTER_NAMES = ['consumer', 'table', 'fingerprint', 'state', 'since', 'until'] as const

export interface FilterValues {
  readonly consumer?: string | undefined
  readonly table?: string | undefined
  readonly fingerprint?: string | undefined
  readonly state?: string | undefined
  readonly since?: string | undefined
  readonly until?: string | undefined
}

export type Filter = Readonly<Record<string, string | readonly string[]>>

/** The filter as the Worker takes it; `now` is in milliseconds since 1970. */
export function filterOf(values: FilterValues, ids: readonly string[], now: number): Filter {
  const wrong = ids.filter((id) => !/^\d{1,18}$/.test(id))
  if (wrong.length > 0) throw new WrongUse(`${wrong.join(', ')}: a letter's id is a number`)
  const named = FILTER_NAMES.flatMap((name) => {
    const value = values[name]
    if (value === undefined || (name === 'state' && value === 'all')) return []
    return [[name, name === 'since' || name === 'until' ? timeOf(name, value, now) : value] as const]
  })
  return { ...(ids.length === 0 ? {} : { ids }), ...Object.fromEntries(named) }
}

/** As a query, ids with commas between. */
export function queryOf(filter: Filter, more: Readonly<Record<string, string | undefined>> = {}): string {
  const entries = [...Object.entries(filter), ...Object.entries(more)]
  const query = new URLSearchParams(entries.flatMap(([name, value]) => (value === undefined ? [] : [[name, typeof value === 'string' ? value : value.join()]])))
  return query.size === 0 ? '' : `?${query.toString()}`
}

export function oneId(positionals: readonly string[], what: string): string {
  const [id, ...more] = positionals
  if (id === undefined || more.length > 0) throw new WrongUse(`Which ${what}? Name one id`)
  if (!/^\d{1,18}$/.test(id)) throw new WrongUse(`'${id}' is no id: it is a number`)
  return id
}

export function noIds(positionals: readonly string[]): void {
  if (positionals.length > 0) throw new WrongUse(`'${positionals.join(' ')}' is too much`)
}
