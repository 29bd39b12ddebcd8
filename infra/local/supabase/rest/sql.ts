/** A parsed query → the clauses of a statement. */
import { quote, typeName, type Parameters } from './identifiers.ts'
import { parseList, type Column, type Filter, type Operator, type Order } from './query.ts'
import { RestError } from './reply.ts'

export function columnsSql(columns: readonly Column[], table: string): string {
  return columns
    .map(({ name, alias, cast }) => {
      const column = name === '*' ? `${table}.*` : `${table}.${quote(name)}`
      return `${column}${cast === undefined ? '' : `::${typeName(cast)}`}${name === '*' || (alias === undefined && cast === undefined) ? '' : ` as ${quote(alias ?? name)}`}`
    })
    .join(', ')
}

/** Empty without filters. */
export function whereSql(filters: readonly Filter[], table: string, parameters: Parameters): string {
  return filters.length === 0 ? '' : ` where ${filters.map((filter) => filterSql(filter, table, parameters)).join(' and ')}`
}

const comparisons = { eq: '=', neq: '<>', gt: '>', gte: '>=', lt: '<', lte: '<=' } as const

function filterSql({ column, not, operator, value }: Filter, table: string, parameters: Parameters): string {
  const left = `${table}.${quote(column)}`
  const condition = conditionSql(left, operator, value, parameters)
  return not ? `not (${condition})` : condition
}

function conditionSql(left: string, operator: Operator, value: string, parameters: Parameters): string {
  if (operator === 'is') return `${left} is ${isOperand(value)}`
  // As an array's text, so that its type is the column's, whatever that is.
  if (operator === 'in') return `${left} = any(${parameters.add(`{${parseList(value).map(arrayItem).join(',')}}`)})`
  if (operator === 'like' || operator === 'ilike') return `${left} ${operator} ${parameters.add(value.replaceAll('*', '%'))}`
  return `${left} ${comparisons[operator]} ${parameters.add(value)}`
}

const isOperands: Readonly<Record<string, string>> = { null: 'null', not_null: 'not null', true: 'true', false: 'false', unknown: 'unknown' }

function isOperand(value: string): string {
  const operand = isOperands[value.toLowerCase()]
  if (operand === undefined)
    throw new RestError(400, 'PGRST100', `"failed to parse filter (is.${value})"`, { hint: 'is takes null, not_null, true, false or unknown.' })
  return operand
}

function arrayItem(item: string): string {
  return `"${item.replace(/[\\"]/g, '\\$&')}"`
}

export function orderSql(order: readonly Order[], table: string): string {
  if (order.length === 0) return ''
  return ` order by ${order.map(({ column, descending, nulls }) => `${table}.${quote(column)}${descending ? ' desc' : ''}${nulls === undefined ? '' : ` nulls ${nulls}`}`).join(', ')}`
}

export function limitSql(limit: number, offset: number, parameters: Parameters): string {
  return ` limit ${parameters.add(String(limit))}::bigint${offset === 0 ? '' : ` offset ${parameters.add(String(offset))}::bigint`}`
}
