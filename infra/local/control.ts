import { timingSafeEqual } from 'node:crypto'
import { createServer, type IncomingMessage, type Server, type ServerResponse } from 'node:http'
import type { Part } from './part.ts'

export interface ControlDeps {
  readonly token: string
  readonly parts: ReadonlyMap<string, Part>
  /** Begins to stop the whole stack; the answer is sent before it ends. */
  readonly stop: () => void
  /** Fires the Worker's scheduled handler once. */
  readonly cron: () => Promise<void>
}

type Answer = readonly [status: number, body: unknown]

/**
 * The supervisor's small HTTP server on 127.0.0.1, for `npm stop`, tests and the chaos command. Every call wants the token.
 * GET /status · POST /parts/<name>/(stop|start|kill|restart) · POST /stop · POST /cron
 */
export async function startControl(deps: ControlDeps): Promise<{ url: string; close: () => Promise<void> }> {
  const server = createServer((request, response) => {
    answer(request, deps).then(
      (result) => send(response, result),
      (error: unknown) => send(response, [500, { error: error instanceof Error ? error.message : String(error) }]),
    )
  })
  const port = await listen(server)
  return {
    url: `http://127.0.0.1:${port}`,
    close: () =>
      new Promise((resolve) => {
        server.close(() => resolve())
        server.closeAllConnections()
      }),
  }
}

async function answer(request: IncomingMessage, deps: ControlDeps): Promise<Answer> {
  if (!allowed(request.headers.authorization, deps.token)) return [401, { error: 'the token of stack.json is wanted: Authorization: Bearer <control.token>' }]
  const path = new URL(request.url ?? '/', 'http://local').pathname
  const route = `${request.method ?? 'GET'} ${path}`
  if (route === 'GET /status')
    return [200, { parts: Object.fromEntries([...deps.parts].map(([name, part]) => [name, { state: part.state, pid: part.pid ?? null }])) }]
  if (route === 'POST /stop') {
    setImmediate(deps.stop)
    return [202, { stopping: true }]
  }
  if (route === 'POST /cron') {
    await deps.cron()
    return [200, { fired: true }]
  }
  const [, name, verb] = /^POST \/parts\/([a-z]+)\/([a-z]+)$/.exec(route) ?? []
  const part = name === undefined ? undefined : deps.parts.get(name)
  const work = part === undefined || verb === undefined ? undefined : verbs.get(verb)
  if (part === undefined || work === undefined)
    return [404, { error: `no such route; parts: ${[...deps.parts.keys()].join(', ')}; verbs: ${[...verbs.keys()].join(', ')}` }]
  await work(part)
  return [200, { name: part.name, state: part.state, pid: part.pid ?? null }]
}

const verbs: ReadonlyMap<string, (part: Part) => Promise<void>> = new Map([
  ['start', (part) => part.start()],
  ['stop', (part) => part.stop()],
  ['kill', (part) => part.kill()],
  [
    'restart',
    async (part) => {
      await part.stop()
      await part.start()
    },
  ],
])

function allowed(header: string | undefined, token: string): boolean {
  const given = Buffer.from(header ?? '')
  const wanted = Buffer.from(`Bearer ${token}`)
  return given.length === wanted.length && timingSafeEqual(given, wanted)
}

function send(response: ServerResponse, [status, body]: Answer): void {
  response.writeHead(status, { 'content-type': 'application/json' }).end(JSON.stringify(body))
}

function listen(server: Server): Promise<number> {
  return new Promise((resolve, reject) => {
    server.once('error', reject)
    server.listen({ port: 0, host: '127.0.0.1' }, () => {
      const address = server.address()
      if (address === null || typeof address === 'string') reject(new Error('the control server has no port'))
      else resolve(address.port)
    })
  })
}
