/**
 * `POST /rest/v1/rpc/<function>`. The body goes to Postgres as it came and the answer comes back as the text that
 * Postgres wrote: capture moves megabytes a second through here, so nothing but the argument names is looked at.
 */
import type { Caller } from '../keys.ts'
import type { Database } from './database.ts'
import type { Functions, RestFunction } from './functions.ts'
import { createParameters, quote, type Parameters } from './identifiers.ts'
import { parseQuery, type RestQuery } from './query.ts'
import { RestError, type Reply } from './reply.ts'
import { columnsSql, limitSql, orderSql, whereSql } from './sql.ts'

export interface RpcCall {
  readonly schema: string
  readonly name: string
  /** The body of a POST; empty is the same as `{}`. */
  readonly body: Buffer
  readonly search: string
  /** A GET: the arguments are in the query string. */
  readonly fromQuery: boolean
}

export interface RpcDeps {
  readonly database: Database
  readonly functions: Functions
  readonly maxRows: number
}

export type Rpc = (caller: Caller, call: RpcCall) => Promise<Reply>

export function createRpc(deps: RpcDeps): Rpc {
  // One text a function and set of arguments; made once, prepared once a connection.
  const plain = new Map<string, string>()

  const choose = async (call: RpcCall, names: readonly string[]): Promise<RestFunction> => {
    const fitting = (await deps.functions.named(call.schema, call.name)).filter((candidate) => fits(candidate, names))
    const [chosen, ...others] = fitting
    if (chosen === undefined) throw notFound(call, names)
    if (others.length > 0)
      throw new RestError(300, 'PGRST203', `Could not choose the best candidate function between several named ${call.schema}.${call.name}`)
    return chosen
  }

  const statementFor = async (call: RpcCall, names: readonly string[], parameters: Parameters): Promise<{ statement: string; target: RestFunction }> => {
    const target = await choose(call, names)
    if (call.search !== '' && !call.fromQuery)
      return { statement: statementOf(target, names, parseQuery(new URLSearchParams(call.search)), deps.maxRows, parameters), target }
    const key = `${call.schema}.${call.name}(${names.join()})`
    const known = target.set || target.returns === 'row' ? undefined : plain.get(key)
    const query = parseQuery(new URLSearchParams(call.search), names)
    const statement = known ?? statementOf(target, names, query, deps.maxRows, parameters)
    if (!target.set && target.returns !== 'row') plain.set(key, statement)
    return { statement, target }
  }

  const attempt = async (caller: Caller, call: RpcCall, input: Buffer | string, names: readonly string[]): Promise<Reply> => {
    const parameters = createParameters()
    if (names.length > 0) parameters.add(input)
    const { statement, target } = await statementFor(call, names, parameters)
    const { rows } = await deps.database.run(caller, call.schema, statement, parameters.values)
    if (target.returns === 'void' && !target.set) return { status: 204, body: undefined }
    return { status: 200, body: rows[0]?.[0] ?? 'null' }
  }

  return async (caller, call) => {
    const { input, names } = argumentsOf(call)
    try {
      return await attempt(caller, call, input, names)
    } catch (error) {
      // What was remembered of the function may be out of date (dropped, other types): look once more. The failed
      // statement was a transaction of its own and left nothing behind.
      if (!isStale(error)) throw error
      deps.functions.forget()
      plain.clear()
      return attempt(caller, call, input, names)
    }
  }
}

function argumentsOf(call: RpcCall): { input: Buffer | string; names: string[] } {
  if (call.fromQuery) {
    const all = Object.fromEntries([...new URLSearchParams(call.search)].filter(([key]) => !['select', 'order', 'limit', 'offset'].includes(key)))
    return { input: JSON.stringify(all), names: Object.keys(all).toSorted() }
  }
  if (call.body.length === 0) return { input: '{}', names: [] }
  let parsed: unknown
  try {
    parsed = JSON.parse(call.body.toString('utf8'))
  } catch {
    throw new RestError(400, 'PGRST102', 'Empty or invalid json')
  }
  if (typeof parsed !== 'object' || parsed === null || Array.isArray(parsed))
    throw new RestError(400, 'PGRST102', 'The body of a call is an object of named arguments')
  return { input: call.body, names: Object.keys(parsed).toSorted() }
}

function fits(candidate: RestFunction, names: readonly string[]): boolean {
  return (
    names.every((name) => candidate.parameters.some((parameter) => parameter.name === name)) &&
    candidate.parameters.every(({ name, required }) => !required || names.includes(name))
  )
}

function statementOf(target: RestFunction, names: readonly string[], query: RestQuery, maxRows: number, parameters: Parameters): string {
  const typed = names.map((name) => `${quote(name)} ${target.parameters.find((parameter) => parameter.name === name)?.type ?? 'text'}`)
  const source = typed.length === 0 ? '' : ` from json_to_record($1::json) as r(${typed.join(', ')})`
  const call = `${quote(target.schema)}.${quote(target.name)}(${names.map((name) => `${quote(name)} := r.${quote(name)}`).join(', ')})`
  const limit = (): string => limitSql(Math.min(query.limit ?? maxRows, maxRows), query.offset, parameters)
  if (target.returns === 'row') {
    const rows = `select ${columnsSql(query.select, 'f')} from ${typed.length === 0 ? '' : `json_to_record($1::json) as r(${typed.join(', ')}) cross join lateral `}${call} as f`
    if (!target.set) return `select row_to_json(t)::text from (${rows}) t`
    return `select coalesce(json_agg(t), '[]')::text from (${rows}${whereSql(query.filters, 'f', parameters)}${orderSql(query.order, 'f')}${limit()}) t`
  }
  if (target.set) return `select coalesce(json_agg(t.v), '[]')::text from (select ${call} as v${source}${limit()}) t`
  // A void function's answer is nothing, a json function's is its own text.
  return target.returns === 'scalar' ? `select to_json(${call})::text${source}` : `select ${call}::text${source}`
}

function notFound(call: RpcCall, names: readonly string[]): RestError {
  const shown = names.length === 0 ? 'without parameters' : `with parameter(s) ${names.join(', ')}`
  return new RestError(
    404,
    'PGRST202',
    `Could not find the function ${call.schema}.${call.name}${names.length === 0 ? ' without parameters' : `(${names.join(', ')})`} in the schema cache`,
    {
      details: `Searched for the function ${call.schema}.${call.name} ${shown}, but no matches were found in the schema cache.`,
      hint: 'Check the name, the schema and the names of the arguments against the migrations.',
    },
  )
}

function isStale(error: unknown): boolean {
  return (
    error instanceof Error &&
    'code' in error &&
    'routine' in error &&
    ((error.code === '42883' && error.routine === 'ParseFuncOrColumn') || (error.code === '0A000' && error.routine === 'RevalidateCachedQuery'))
  )
}
