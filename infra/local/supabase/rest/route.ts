/** HTTP ↔ rest: which schema, which call, which shape of answer. */
import type { IncomingHttpHeaders } from 'node:http'
import type { Caller, Keys } from '../keys.ts'
import { errorReply } from './errors.ts'
import { RestError, type Reply } from './reply.ts'
import type { Rpc } from './rpc.ts'
import type { TableCall, Tables } from './tables.ts'

export interface RestRequest {
  readonly method: string
  /** Below `/rest/v1/`, still encoded. */
  readonly path: string
  /** Without the question mark. */
  readonly search: string
  readonly headers: IncomingHttpHeaders
  readonly body: Buffer
}

export interface RestDeps {
  readonly keys: Keys
  /** What config.toml exposes; the first one is the default. */
  readonly schemas: readonly string[]
  readonly rpc: Rpc
  readonly tables: Tables
}

export type Rest = (request: RestRequest) => Promise<Reply>

const single = 'application/vnd.pgrst.object+json'

export function createRest(deps: RestDeps): Rest {
  const answer = async (request: RestRequest): Promise<Reply> => {
    const checked = deps.keys.check(text(request.headers['apikey']), request.headers.authorization)
    if (!checked.ok) return { status: checked.status, body: checked.body }
    try {
      const traceparent = text(request.headers['traceparent'])
      const reply = await call(deps, request, { ...checked.caller, ...(traceparent === undefined ? {} : { traceparent }) })
      return request.headers.accept?.includes(single) === true ? singleOf(reply) : reply
    } catch (error) {
      return errorReply(error, checked.caller.role)
    }
  }
  return answer
}

async function call(deps: RestDeps, request: RestRequest, caller: Caller): Promise<Reply> {
  const reading = request.method === 'GET' || request.method === 'HEAD'
  const schema = schemaOf(deps.schemas, text(request.headers[reading ? 'accept-profile' : 'content-profile']))
  const [first = '', second, ...rest] = request.path.split('/').map(decode)
  if (rest.length > 0 || first === '') throw new RestError(404, 'PGRST125', 'Invalid path specified in request URL')
  if (first === 'rpc' && second !== undefined) {
    if (request.method !== 'POST' && !reading) throw new RestError(405, 'PGRST101', `Cannot use the ${request.method} method on RPC`)
    return deps.rpc(caller, { schema, name: second, body: request.body, search: request.search, fromQuery: reading })
  }
  const method = tableMethod(request.method)
  if (second !== undefined || method === undefined) throw new RestError(405, 'PGRST117', `Unsupported HTTP method: ${request.method}`)
  const prefer = text(request.headers['prefer']) ?? ''
  return deps.tables(caller, { method, schema, table: first, search: request.search, range: request.headers.range, prefer, body: request.body })
}

function schemaOf(schemas: readonly string[], asked: string | undefined): string {
  const schema = asked ?? schemas[0] ?? 'public'
  if (!schemas.includes(schema)) {
    throw new RestError(406, 'PGRST106', `Invalid schema: ${schema}`, {
      hint: `Only the following schemas are exposed: ${schemas.join(', ')}. Add it to [api] schemas of supabase/config.toml.`,
    })
  }
  return schema
}

function tableMethod(method: string): TableCall['method'] | undefined {
  return (['GET', 'HEAD', 'POST', 'PATCH', 'DELETE'] as const).find((known) => known === method)
}

/** `.single()`: one row as an object, or a refusal. */
function singleOf(reply: Reply): Reply {
  if (reply.body?.startsWith('[') !== true) return reply
  const rows: unknown = JSON.parse(reply.body)
  if (!Array.isArray(rows)) return reply
  if (rows.length !== 1) {
    throw new RestError(406, 'PGRST116', 'Cannot coerce the result to a single JSON object', { details: `The result contains ${rows.length} rows` })
  }
  // The brackets go, the row's text stays as Postgres wrote it.
  return { ...reply, body: reply.body.trim().slice(1, -1).trim() }
}

function decode(part: string): string {
  try {
    return decodeURIComponent(part)
  } catch {
    throw new RestError(404, 'PGRST125', 'Invalid path specified in request URL')
  }
}

function text(header: string | readonly string[] | undefined): string | undefined {
  return typeof header === 'string' ? header : header?.join(', ')
}
