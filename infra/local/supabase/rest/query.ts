/** The query string of `/rest/v1`: filters, select, order, limit. Text → data; SQL is made in sql.ts. */
import { RestError, unsupported } from './reply.ts'

export interface RestQuery {
  readonly select: readonly Column[]
  readonly filters: readonly Filter[]
  readonly order: readonly Order[]
  readonly limit: number | undefined
  readonly offset: number
  readonly columns: readonly string[] | undefined
  readonly onConflict: readonly string[] | undefined
}

/** `name` is `*` for all. */
export interface Column {
  readonly name: string
  readonly alias: string | undefined
  readonly cast: string | undefined
}

export interface Filter {
  readonly column: string
  readonly not: boolean
  readonly operator: Operator
  readonly value: string
}

export interface Order {
  readonly column: string
  readonly descending: boolean
  readonly nulls: 'first' | 'last' | undefined
}

const operators = ['eq', 'neq', 'gt', 'gte', 'lt', 'lte', 'like', 'ilike', 'is', 'in'] as const
export type Operator = (typeof operators)[number]

const reserved: readonly string[] = ['select', 'order', 'limit', 'offset', 'columns', 'on_conflict']

/** Keys in `notFilters` are a function's arguments. */
export function parseQuery(search: URLSearchParams, notFilters: readonly string[] = []): RestQuery {
  const filters: Filter[] = []
  for (const [key, value] of search) {
    if (reserved.includes(key) || notFilters.includes(key)) continue
    if (key === 'or' || key === 'and' || key.endsWith('.or') || key.endsWith('.and')) throw unsupported(`The filter "${key}"`)
    filters.push(parseFilter(key, value))
  }
  return {
    select: split(search.get('select') ?? '*').map(parseColumn),
    filters,
    order: split(search.get('order') ?? '').map(parseOrder),
    limit: whole(search.get('limit'), 'limit'),
    offset: whole(search.get('offset'), 'offset') ?? 0,
    columns: names(search.get('columns')),
    onConflict: names(search.get('on_conflict')),
  }
}

function parseFilter(column: string, text: string): Filter {
  if (/->|[().]/.test(column)) throw unsupported(`A filter on "${column}"`)
  const [, not, name = '', value = ''] = /^(not\.)?([a-z]+)\.([\s\S]*)$/.exec(text) ?? []
  const operator = operators.find((known) => known === name)
  if (operator === undefined) {
    throw new RestError(400, 'PGRST100', `"failed to parse filter (${text})"`, { hint: `The local stand-in knows ${operators.join(', ')} and not.` })
  }
  return { column, not: not !== undefined, operator, value }
}

function parseColumn(text: string): Column {
  if (/[()]|->/.test(text)) throw unsupported(`"${text}" in select`)
  const [, alias, name = '', cast] = /^(?:([^:]+):(?!:))?(.+?)(?:::(.+))?$/.exec(text) ?? []
  return { name: unquote(name), alias: alias === undefined ? undefined : unquote(alias), cast }
}

function parseOrder(text: string): Order {
  const [, column = '', direction, nulls] = /^("(?:[^"])+"|[^.]+)(?:\.(asc|desc))?(?:\.nulls(first|last))?$/.exec(text) ?? []
  if (column === '') throw new RestError(400, 'PGRST100', `"failed to parse order (${text})"`)
  return { column: unquote(column), descending: direction === 'desc', nulls: nulls === 'first' || nulls === 'last' ? nulls : undefined }
}

/** The items of `in.(a,"b,c")`. */
export function parseList(text: string): string[] {
  const inner = /^\(([\s\S]*)\)$/.exec(text)?.[1]
  if (inner === undefined) throw new RestError(400, 'PGRST100', `"failed to parse list (${text})"`, { hint: 'A list is written (a,b,c).' })
  return inner === '' ? [] : split(inner).map((item) => (/^"[\s\S]*"$/.test(item) ? item.slice(1, -1).replace(/\\(.)/g, '$1') : item))
}

/** Splits at commas outside of double quotes. */
function split(text: string): string[] {
  return text.match(/(?:"(?:[^"\\]|\\.)*"|[^,"])+/g) ?? []
}

function names(text: string | null): string[] | undefined {
  return text === null || text === '' ? undefined : split(text).map((name) => unquote(name.trim()))
}

function unquote(name: string): string {
  return /^".*"$/.test(name) ? name.slice(1, -1) : name
}

function whole(text: string | null, name: string): number | undefined {
  if (text === null) return undefined
  if (!/^\d{1,15}$/.test(text)) throw new RestError(400, 'PGRST100', `${name} must be a whole number, not "${text}"`)
  return Number(text)
}
