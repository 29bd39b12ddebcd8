/** A Postgres with cloud.sql, the stand-in on it, and a listener that plays the edge host. Everything on free ports. */
import { type ChildProcess, spawn } from 'node:child_process'
import { createHmac } from 'node:crypto'
import { chmod, mkdtemp, readFile, rm, writeFile } from 'node:fs/promises'
import { createServer, type IncomingMessage, type Server } from 'node:http'
import type { AddressInfo } from 'node:net'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { createClient, type SupabaseClient } from '@supabase/supabase-js'
import pg from 'pg'
import { createPart, type Part } from '../../../infra/local/part.ts'
import { postgresRecipe, postgresUrl } from '../../../infra/local/parts/postgres.ts'
import { eventually } from '../../support/poll.ts'

/** Shorter than pg_net's second: most of these tests' time would be pauses. */
export const pauseMs = 500

const jwtSecret = 'a secret for tests that is long enough'

export function token(claims: Readonly<Record<string, unknown>>, secret = jwtSecret, alg = 'HS256'): string {
  const part = (value: unknown) => Buffer.from(JSON.stringify(value)).toString('base64url')
  const body = `${part({ alg, typ: 'JWT' })}.${part(claims)}`
  return `${body}.${createHmac('sha256', secret).update(body).digest('base64url')}`
}

export const anonKey = token({ role: 'anon', exp: 4_000_000_000 })
export const serviceKey = token({ role: 'service_role', exp: 4_000_000_000 })

/** What arrived at the place of the edge host. */
export interface Arrival {
  readonly path: string
  readonly body: string
  readonly headers: IncomingMessage['headers']
  readonly atMs: number
}

export interface Edge {
  readonly url: string
  readonly arrivals: Arrival[]
  /** Answers until told otherwise with 200 and `{}`. */
  answer: (arrival: Arrival) => Promise<{ readonly status: number; readonly body: string }> | { readonly status: number; readonly body: string }
  close(): Promise<void>
}

export async function playEdge(): Promise<Edge> {
  const arrivals: Arrival[] = []
  const server = createServer((request, response) => {
    const chunks: Buffer[] = []
    request.on('data', (chunk: Buffer) => chunks.push(chunk))
    request.on('end', () => {
      const arrival = { path: request.url ?? '', body: Buffer.concat(chunks).toString('utf8'), headers: request.headers, atMs: performance.now() }
      arrivals.push(arrival)
      void Promise.resolve(edge.answer(arrival)).then(({ status, body }) => response.writeHead(status, { 'content-type': 'application/json' }).end(body))
    })
  })
  const port = await listening(server)
  const edge: Edge = {
    url: `http://127.0.0.1:${port}`,
    arrivals,
    answer: () => ({ status: 200, body: '{}' }),
    close: async () => {
      server.closeAllConnections()
      await new Promise((resolve) => server.close(resolve))
    },
  }
  return edge
}

export async function freePort(): Promise<number> {
  const server = createServer()
  const port = await listening(server)
  await new Promise((resolve) => server.close(resolve))
  return port
}

async function listening(server: Server): Promise<number> {
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve))
  return (server.address() as AddressInfo).port
}

export interface StandIn {
  readonly url: string
  readonly process: ChildProcess
  /** SIGTERM, and how long it took to end. */
  stop(): Promise<number>
}

export const config = `
[api]
schemas = ["public", "afluente"]
max_rows = 1000

[functions.open]
verify_jwt = false

[functions.locked]
entrypoint = "../functions/locked/edge.ts" # the JWT is checked where nothing is said
`

export async function startStandIn(environment: Readonly<Record<string, string>>): Promise<StandIn> {
  const child = spawn(process.execPath, ['infra/local/supabase/main.ts'], {
    env: { PATH: process.env['PATH'], PORT: '0', ...environment },
    stdio: ['ignore', 'pipe', 'pipe'],
  })
  let errors = ''
  child.stderr.on('data', (chunk: Buffer) => (errors += chunk.toString()))
  const port = await new Promise<number>((resolve, reject) => {
    child.stdout.once('data', (chunk: Buffer) => resolve((JSON.parse(chunk.toString()) as { port: number }).port))
    child.once('exit', (code) => reject(new Error(`The stand-in ended with ${code}: ${errors}`)))
  })
  return {
    url: `http://127.0.0.1:${port}`,
    process: child,
    stop: async () => {
      const startedAt = performance.now()
      const ended = child.exitCode === null && child.signalCode === null ? new Promise((resolve) => child.once('exit', resolve)) : undefined
      child.kill('SIGTERM')
      await ended
      return performance.now() - startedAt
    },
  }
}

/** Any table and function: what is there stands in objects.sql. */
interface AnySchema {
  Tables: Record<string, { Row: Record<string, unknown>; Insert: Record<string, unknown>; Update: Record<string, unknown>; Relationships: [] }>
  Views: Record<string, never>
  Functions: Record<string, { Args: Record<string, unknown>; Returns: unknown }>
}
interface AnyDatabase {
  public: AnySchema
  afluente: AnySchema
  hidden: AnySchema
}

export interface Cloud {
  readonly postgres: Part
  readonly environment: Readonly<Record<string, string>>
  readonly edge: Edge
  readonly standIn: StandIn
  /** As the database's owner. */
  sql(text: string, values?: readonly unknown[]): Promise<Record<string, unknown>[]>
  client(key: string): SupabaseClient<AnyDatabase>
  /** A bare call with the service key; headers given win. */
  request(path: string, init?: RequestInit): Promise<Response>
  stop(): Promise<void>
}

export async function startCloud(): Promise<Cloud> {
  const folder = await mkdtemp(join(tmpdir(), 'afluente-cloud-'))
  await chmod(folder, 0o755)
  const port = await freePort()
  const options = { data: join(folder, 'postgres'), port, password: 'test', databases: ['supabase'], env: { PATH: process.env['PATH'] ?? '' } }
  const postgres = createPart(postgresRecipe(options), { logFile: join(folder, 'postgres.log') })
  await postgres.start()
  const databaseUrl = postgresUrl(options, 'supabase')
  const sql = async (text: string, values: readonly unknown[] = []) => {
    const client = new pg.Client({ connectionString: databaseUrl })
    client.on('error', () => undefined)
    await client.connect()
    try {
      const result = await client.query<Record<string, unknown>>(text, values.length === 0 ? undefined : [...values])
      return result.rows
    } finally {
      await client.end()
    }
  }
  await sql(await readFile('infra/local/postgres/cloud.sql', 'utf8'))
  await sql(await readFile(new URL('./objects.sql', import.meta.url), 'utf8'))
  const configFile = join(folder, 'config.toml')
  await writeFile(configFile, config)
  const edge = await playEdge()
  const environment = {
    SOURCE_DATABASE_URL: databaseUrl,
    SUPABASE_JWT_SECRET: jwtSecret,
    SUPABASE_ANON_KEY: anonKey,
    SUPABASE_SERVICE_ROLE_KEY: serviceKey,
    SUPABASE_CONFIG: configFile,
    EDGE_URL: edge.url,
    PG_NET_PAUSE_MS: String(pauseMs),
  }
  const standIn = await startStandIn(environment)
  return {
    postgres,
    environment,
    edge,
    standIn,
    sql,
    client: (key) => createClient<AnyDatabase>(standIn.url, key, { auth: { persistSession: false, autoRefreshToken: false } }),
    request: (path, init = {}) =>
      fetch(`${standIn.url}${path}`, {
        ...init,
        headers: { apikey: serviceKey, authorization: `Bearer ${serviceKey}`, ...(init.headers as Record<string, string> | undefined) },
      }),
    stop: async () => {
      await standIn.stop()
      await edge.close()
      await postgres.stop()
      await rm(folder, { recursive: true, force: true })
    },
  }
}

/** Arrivals of one function, once there are as many as that. */
export function arrived(edge: Edge, name: string, count: number): Promise<Arrival[]> {
  return eventually(`${count} calls of ${name}`, () => {
    const seen = edge.arrivals.filter(({ path }) => path === `/${name}`)
    return seen.length >= count ? seen : null
  })
}
