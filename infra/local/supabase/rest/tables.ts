/** `/rest/v1/<table>`: read, insert, upsert, update, delete. One statement a call; rows come back as Postgres' text. */
import type { Caller } from '../keys.ts'
import type { Database } from './database.ts'
import { createParameters, quote, type Parameters } from './identifiers.ts'
import { parseQuery, type RestQuery } from './query.ts'
import { RestError, type Reply } from './reply.ts'
import { columnsSql, limitSql, orderSql, whereSql } from './sql.ts'

export interface TableCall {
  readonly method: 'GET' | 'HEAD' | 'POST' | 'PATCH' | 'DELETE'
  readonly schema: string
  readonly table: string
  readonly search: string
  /** The `Range` header, such as `0-24`. */
  readonly range: string | undefined
  /** The `Prefer` header. */
  readonly prefer: string
  readonly body: Buffer
}

export interface TableDeps {
  readonly database: Database
  readonly maxRows: number
}

export type Tables = (caller: Caller, call: TableCall) => Promise<Reply>

export function createTables(deps: TableDeps): Tables {
  return async (caller, call) => {
    const query = parseQuery(new URLSearchParams(call.search))
    try {
      if (call.method === 'GET' || call.method === 'HEAD') return await read(deps, caller, call, query)
      return await write(deps, caller, call, query)
    } catch (error) {
      if (isUnknownTable(error, call)) {
        throw new RestError(404, 'PGRST205', `Could not find the table '${call.schema}.${call.table}' in the schema cache`, {
          hint: 'Check the name and the schema against the migrations.',
        })
      }
      throw error
    }
  }
}

async function read(deps: TableDeps, caller: Caller, call: TableCall, query: RestQuery): Promise<Reply> {
  const parameters = createParameters()
  const window = windowOf(call.range, query, deps.maxRows)
  const from = `${quote(call.schema)}.${quote(call.table)} t`
  const where = whereSql(query.filters, 't', parameters)
  const counted = /\bcount=(exact|planned|estimated)\b/.test(call.prefer)
  const total = counted ? `(select count(*) from ${from}${where})` : 'null'
  const rows = `select ${columnsSql(query.select, 't')} from ${from}${where}${orderSql(query.order, 't')}${limitSql(window.limit, window.offset, parameters)}`
  const result = await deps.database.run(
    caller,
    call.schema,
    `select coalesce(json_agg(p), '[]')::text, count(p)::text, ${total}::text from (${rows}) p`,
    parameters.values,
  )
  const [body, pageText, totalText] = result.rows[0] ?? []
  const page = Number(pageText ?? 0)
  const all = totalText === null || totalText === undefined ? undefined : Number(totalText)
  if (all !== undefined && window.offset > 0 && window.offset >= all) {
    throw new RestError(416, 'PGRST103', 'Requested range not satisfiable', {
      details: `An offset of ${window.offset} was requested, but there are only ${all} rows.`,
    })
  }
  return {
    status: all !== undefined && page < all ? 206 : 200,
    body: body ?? '[]',
    headers: { 'content-range': `${page === 0 ? '*' : `${window.offset}-${window.offset + page - 1}`}/${all ?? '*'}` },
  }
}

/** `limit` and `offset` win over `Range`; max_rows is above both. */
function windowOf(range: string | undefined, query: RestQuery, maxRows: number): { limit: number; offset: number } {
  const [, first, last] = /^(?:items=)?(\d{1,15})-(\d{1,15})?$/.exec(range ?? '') ?? []
  const offset = query.offset > 0 ? query.offset : Number(first ?? 0)
  const wanted = query.limit ?? (last === undefined ? maxRows : Number(last) - Number(first) + 1)
  if (wanted < 0) throw new RestError(416, 'PGRST103', 'Requested range not satisfiable', { details: 'The lower boundary is above the upper one.' })
  return { limit: Math.min(wanted, maxRows), offset }
}

async function write(deps: TableDeps, caller: Caller, call: TableCall, query: RestQuery): Promise<Reply> {
  const parameters = createParameters()
  const statement = await statementOf(deps, call, query, parameters)
  if (statement === undefined) return { status: call.method === 'POST' ? 201 : 204, body: undefined }
  const returning = /\breturn=representation\b/.test(call.prefer)
  const ok = call.method === 'POST' ? 201 : 200
  if (!returning) {
    // Without RETURNING: a role may insert into what it may not read.
    const { count } = await deps.database.run(caller, call.schema, statement, parameters.values)
    return { status: call.method === 'POST' ? 201 : 204, body: undefined, headers: { 'content-range': `*/${count}` } }
  }
  const text = `with w as (${statement} returning ${columnsSql(query.select, 't')}) select coalesce(json_agg(w), '[]')::text, count(w)::text from w`
  const { rows } = await deps.database.run(caller, call.schema, text, parameters.values)
  return { status: ok, body: rows[0]?.[0] ?? '[]', headers: { 'content-range': `*/${rows[0]?.[1] ?? '0'}` } }
}

/** Undefined when there is nothing to write. */
async function statementOf(deps: TableDeps, call: TableCall, query: RestQuery, parameters: Parameters): Promise<string | undefined> {
  const table = `${quote(call.schema)}.${quote(call.table)}`
  if (call.method === 'DELETE') {
    if (query.filters.length === 0) throw unfiltered('DELETE')
    return `delete from ${table} as t${whereSql(query.filters, 't', parameters)}`
  }
  const columns = query.columns ?? columnsOf(call.body)
  if (columns.length === 0) return undefined
  const list = columns.map(quote)
  const body = parameters.add(call.body)
  if (call.method === 'PATCH') {
    if (query.filters.length === 0) throw unfiltered('UPDATE')
    return `update ${table} as t set ${list.map((column) => `${column} = b.${column}`).join(', ')} from json_populate_record(null::${table}, ${body}::json) b${whereSql(query.filters, 't', parameters)}`
  }
  const values = `select ${list.map((column) => `b.${column}`).join(', ')} from json_populate_recordset(null::${table}, ${asArray(call.body, body)}) b`
  return `insert into ${table} as t (${list.join(', ')}) ${values}${await onConflict(deps, call, query, list)}`
}

async function onConflict(deps: TableDeps, call: TableCall, query: RestQuery, columns: readonly string[]): Promise<string> {
  const resolution = /\bresolution=(merge|ignore)-duplicates\b/.exec(call.prefer)?.[1]
  if (resolution === undefined) return ''
  const keys = (query.onConflict ?? (await primaryKey(deps, call))).map(quote)
  if (keys.length === 0) return ''
  const sets = columns.filter((column) => !keys.includes(column)).map((column) => `${column} = excluded.${column}`)
  if (resolution === 'ignore' || sets.length === 0) return ` on conflict (${keys.join(', ')}) do nothing`
  return ` on conflict (${keys.join(', ')}) do update set ${sets.join(', ')}`
}

async function primaryKey(deps: TableDeps, call: TableCall): Promise<string[]> {
  const { rows } = await deps.database.inspect(
    `select a.attname from pg_index i join pg_class c on c.oid = i.indrelid join pg_namespace n on n.oid = c.relnamespace
       join pg_attribute a on a.attrelid = c.oid and a.attnum = any(i.indkey) where i.indisprimary and n.nspname = $1 and c.relname = $2`,
    [call.schema, call.table],
  )
  return rows.map((row) => row[0] ?? '')
}

function columnsOf(body: Buffer): string[] {
  let parsed: unknown
  try {
    parsed = JSON.parse(body.toString('utf8'))
  } catch {
    throw new RestError(400, 'PGRST102', 'Empty or invalid json')
  }
  const rows: unknown[] = Array.isArray(parsed) ? parsed : [parsed]
  const keys = rows.map((row) => (typeof row === 'object' && row !== null ? Object.keys(row) : undefined))
  const [first] = keys
  if (first === undefined) return []
  if (keys.some((own) => own === undefined || own.length !== first.length || own.some((key) => !first.includes(key)))) {
    throw new RestError(400, 'PGRST102', 'All object keys must match')
  }
  return first
}

function asArray(body: Buffer, placeholder: string): string {
  return /^\s*\[/.test(body.subarray(0, 64).toString('utf8')) ? `${placeholder}::json` : `json_build_array(${placeholder}::json)`
}

/** Supabase loads `safeupdate` for its API roles. */
function unfiltered(what: string): RestError {
  return new RestError(400, '21000', `${what} requires a WHERE clause`, { hint: 'Add a filter, such as .eq("id", …).' })
}

/** Only when the table itself is missing: a trigger's own missing table is an error of the database. */
function isUnknownTable(error: unknown, call: TableCall): boolean {
  return error instanceof Error && 'code' in error && error.code === '42P01' && error.message === `relation "${call.schema}.${call.table}" does not exist`
}
