/** The one HTTP server: `/rest/v1`, `/functions/v1`, the controls of the pg_net stand-in, and `/_health`. */
import { createServer, type IncomingMessage, type Server, type ServerResponse } from 'node:http'
import type { Gateway } from './gateway.ts'
import type { Keys } from './keys.ts'
import { reasonOf, type Log } from './log.ts'
import type { NetWorker } from './net/worker.ts'
import type { Rest } from './rest/route.ts'

export interface ServerDeps {
  readonly keys: Keys
  readonly rest: Rest
  readonly gateway: Gateway
  readonly net: Pick<NetWorker, 'controls' | 'stats'>
  readonly log: Log
}

const restPrefix = '/rest/v1/'
const functionsPrefix = '/functions/v1'
const maxRestBody = 64 * 1024 * 1024

export function createStandIn(deps: ServerDeps): Server {
  const server = createServer((incoming, outgoing) => {
    const url = incoming.url ?? '/'
    if (url.startsWith(restPrefix)) return void serveRest(deps, incoming, outgoing, url)
    if (url.startsWith(`${functionsPrefix}/`)) return deps.gateway(incoming, outgoing, url.slice(functionsPrefix.length))
    if (url === '/_health') return send(outgoing, 200, { ok: true })
    if (url.startsWith('/_net')) return serveNet(deps, incoming, outgoing, url)
    incoming.resume()
    send(outgoing, 404, { message: `Nothing is served at this path. There are ${restPrefix}, ${functionsPrefix}/<name>, /_net and /_health.` })
  })
  // Above what clients keep their idle connections for, or a call meets a closing socket.
  server.keepAliveTimeout = 120_000
  server.headersTimeout = 125_000
  return server
}

async function serveRest(deps: ServerDeps, incoming: IncomingMessage, outgoing: ServerResponse, url: string): Promise<void> {
  try {
    const body = await readBody(incoming)
    if (body === undefined) return send(outgoing, 413, { code: 'PGRST102', message: `The body is larger than ${maxRestBody} bytes`, details: null, hint: null })
    const mark = url.indexOf('?')
    const reply = await deps.rest({
      method: incoming.method ?? 'GET',
      path: url.slice(restPrefix.length, mark < 0 ? undefined : mark),
      search: mark < 0 ? '' : url.slice(mark + 1),
      headers: incoming.headers,
      body,
    })
    outgoing.statusCode = reply.status
    if (reply.body !== undefined) outgoing.setHeader('content-type', 'application/json; charset=utf-8')
    for (const [name, value] of Object.entries(reply.headers ?? {})) outgoing.setHeader(name, value)
    outgoing.end(incoming.method === 'HEAD' || reply.body === undefined ? undefined : written(reply.body))
  } catch (error) {
    if (outgoing.destroyed) return
    deps.log('rest.failed', { reason: reasonOf(error) })
    send(outgoing, 500, { code: 'XX000', message: 'The local stand-in for PostgREST failed; its log says why', details: null, hint: null })
  }
}

/** A short text leaves in one write with its headers; a long one would be copied to put them together. */
function written(body: string): string | Buffer {
  return body.length < 16_384 ? body : Buffer.from(body)
}

function chunksOf(incoming: IncomingMessage): AsyncIterable<Buffer> {
  return incoming
}

/** Undefined when it is too large. */
async function readBody(incoming: IncomingMessage): Promise<Buffer | undefined> {
  const chunks: Buffer[] = []
  let bytes = 0
  for await (const part of chunksOf(incoming)) {
    bytes += part.length
    if (bytes > maxRestBody) return undefined
    chunks.push(part)
  }
  const [only] = chunks
  return chunks.length === 1 && only !== undefined ? only : Buffer.concat(chunks)
}

function serveNet(deps: ServerDeps, incoming: IncomingMessage, outgoing: ServerResponse, url: string): void {
  incoming.resume()
  if (!deps.keys.isServiceRole(incoming.headers.authorization)) return send(outgoing, 401, { message: 'Give the service role key as a bearer token.' })
  const { pathname, searchParams } = new URL(url, 'http://stand-in')
  const count = Number(searchParams.get('count') ?? '1')
  const { controls } = deps.net
  const actions: Readonly<Record<string, () => void>> = {
    '/_net/pause': controls.pause,
    '/_net/resume': controls.resume,
    '/_net/drop': () => controls.drop(count),
    '/_net/double': () => controls.double(count),
  }
  if (pathname === '/_net' && incoming.method === 'GET') return send(outgoing, 200, deps.net.stats)
  const action = actions[pathname]
  if (action === undefined || incoming.method !== 'POST' || !Number.isSafeInteger(count) || count < 0) {
    return send(outgoing, 404, { message: `GET /_net, or POST to ${Object.keys(actions).join(', ')} (?count=n).` })
  }
  action()
  send(outgoing, 200, deps.net.stats)
}

function send(outgoing: ServerResponse, status: number, body: unknown): void {
  outgoing.writeHead(status, { 'content-type': 'application/json' }).end(JSON.stringify(body))
}
