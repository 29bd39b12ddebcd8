/**
 * `/functions/v1/<name>` → the edge host. Streams both ways. Checks the JWT unless config.toml says `verify_jwt = false`
 * for that function; a function that config.toml doesn't name isn't there.
 */
import { Agent, request as httpRequest, type IncomingMessage, type ServerResponse } from 'node:http'
import { pipeline } from 'node:stream'
import type { FunctionConfig } from './config-toml.ts'
import type { Keys } from './keys.ts'

export interface GatewayDeps {
  readonly keys: Keys
  readonly edgeUrl: string
  readonly functions: Readonly<Record<string, FunctionConfig>>
}

export interface Gateway {
  /** `path` is what follows `/functions/v1`, with its query. */
  (incoming: IncomingMessage, outgoing: ServerResponse, path: string): void
}

/** Headers of one connection, not of the message. */
const hopByHop = ['connection', 'keep-alive', 'transfer-encoding', 'upgrade', 'proxy-authorization', 'proxy-authenticate', 'te', 'trailer']

export function createGateway(deps: GatewayDeps): Gateway {
  const agent = new Agent({ keepAlive: true, maxFreeSockets: 32 })
  const base = new URL(deps.edgeUrl)

  return (incoming, outgoing, path) => {
    const name = /^\/([^/?]+)/.exec(path)?.[1] ?? ''
    const target = Object.hasOwn(deps.functions, name) ? deps.functions[name] : undefined
    if (target === undefined) return refuse(incoming, outgoing, 404, { code: 'NOT_FOUND', message: 'Requested function was not found' })
    if (target.verifyJwt && incoming.method !== 'OPTIONS') {
      const checked = deps.keys.checkBearer(incoming.headers.authorization)
      if (!checked.ok) return refuse(incoming, outgoing, checked.status, JSON.parse(checked.body))
    }
    const headers = {
      ...withoutHopByHop(incoming.headers),
      host: base.host,
      'x-forwarded-host': incoming.headers.host ?? '',
      'x-forwarded-path': `/functions/v1${path}`,
    }
    const forwarded = httpRequest({ agent, host: base.hostname, port: base.port, method: incoming.method, path, headers }, (answer) => {
      outgoing.writeHead(answer.statusCode ?? 502, withoutHopByHop(answer.headers))
      pipeline(answer, outgoing, () => undefined)
    })
    forwarded.on('error', () => {
      if (outgoing.headersSent) outgoing.destroy()
      else refuse(incoming, outgoing, 503, { code: 'SUPABASE_EDGE_RUNTIME_ERROR', message: 'Service is temporarily unavailable' })
    })
    // A caller that gives up (pg_net does after its timeout) takes the forwarded call with it.
    outgoing.on('close', () => void (outgoing.writableFinished || forwarded.destroy()))
    pipeline(incoming, forwarded, () => undefined)
  }
}

function refuse(incoming: IncomingMessage, outgoing: ServerResponse, status: number, body: unknown): void {
  incoming.resume()
  outgoing.writeHead(status, { 'content-type': 'application/json' }).end(JSON.stringify(body))
}

function withoutHopByHop(headers: IncomingMessage['headers']): IncomingMessage['headers'] {
  return Object.fromEntries(Object.entries(headers).filter(([name]) => !hopByHop.includes(name)))
}
