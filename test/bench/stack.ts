/** The stack under measurement: one of its own, fresh, or the one that runs. */
import { cp, mkdtemp, readFile, rm, symlink, writeFile } from 'node:fs/promises'
import { join, resolve } from 'node:path'
import { Kafka, logLevel } from 'kafkajs'
import pg from 'pg'
import { Fault } from '../../infra/local/fault.ts'
import { type Home, homeAt, repository } from '../../infra/local/home.ts'
import { choosePorts } from '../../infra/local/ports.ts'
import { readEnvironment, stackSettings } from '../../infra/local/settings.ts'
import { readStackFile, type StackInfo } from '../../infra/local/stack-info.ts'
import { startStack } from '../../infra/local/stack.ts'
import { words } from './report.ts'

export interface EdgeStats {
  readonly requests: number
  readonly handOvers: number
  readonly killedForCpu: number
  readonly killedForWall: number
  readonly killedForMemory: number
  readonly crashed: number
}

export interface BenchStack {
  readonly info: StackInfo
  /** Started for this measurement; its parts may be stopped. */
  readonly own: boolean
  /** Milliseconds that its start took; null for a stack that is not our own. */
  readonly readyMs: number | null
  readonly source: pg.Pool
  readonly analytics: pg.Pool
  readonly kafka: Kafka
  /** What the host of the Edge Functions counted since it started; null for a stack that is not our own. */
  edgeStats(): Promise<EdgeStats | null>
  part(name: string, action: 'stop' | 'start'): Promise<void>
  consumer(name: string, action: 'stop' | 'resume'): Promise<void>
  ring(): Promise<void>
  /** Ends the isolate of the Edge Functions as a crash does; nobody begins another before somebody rings. Of our own stack. */
  endIsolate(): Promise<void>
  close(): Promise<void>
}

/** `definition` changes the text of shared/pipeline.ts for the Worker of this stack alone. */
export async function ownStack(signal: AbortSignal, definition?: (text: string) => string): Promise<BenchStack> {
  const home = await mkdtemp(join(resolve(repository), '.afluente-bench-'))
  const ports = await choosePorts('free')
  const env = withoutServers(process.env)
  try {
    if (definition !== undefined) env['AFLUENTE_WORKER_ROOT'] = await workerRoot(home, definition)
    const began = performance.now()
    const stack = await startStack({ home, ports, demo: false, env, signal, log: (line) => words(`  ${line}`) })
    return open(stack.info, { edge: `http://127.0.0.1:${ports.edge}`, readyMs: Math.round(performance.now() - began) }, async () => {
      await stack.stop()
      await rm(home, { recursive: true, force: true })
    })
  } catch (error) {
    await rm(home, { recursive: true, force: true })
    throw error
  }
}

/** An environment for a stack of the bench's own: nobody's servers, no home and no ports of another. */
export function withoutServers(shell: NodeJS.ProcessEnv): NodeJS.ProcessEnv {
  const env = { ...shell }
  for (const name of [
    'SOURCE_DATABASE_URL',
    'ANALYTICS_DATABASE_URL',
    'CHATWOOT_DATABASE_URL',
    'KAFKA_BROKERS',
    'ELASTICSEARCH_URL',
    'AFLUENTE_HOME',
    'AFLUENTE_PORTS',
  ])
    delete env[name]
  return env
}

/** Throws a `Fault` when none runs. */
export function runningStack(): BenchStack {
  const home = homeAt(stackSettings(readEnvironment(process.env)).home)
  return attachTo(home, async () => {}, 'There is no stack to attach to', 'Run `npm start` first, or leave --attach out: the bench then starts one of its own')
}

/** The stack that runs under a home; `end` is what closing does besides. Throws a `Fault` in these words where there is none. */
export function attachTo(
  home: Home,
  end: () => Promise<void>,
  none: string,
  advice: string,
  read: (home: Home) => StackInfo | undefined = readStackFile,
): BenchStack {
  const info = read(home)
  if (info === undefined) throw new Fault(none, advice)
  const stack = open(info, null, end)
  return {
    ...stack,
    part: async (name, action) => {
      await stack.part(name, action)
      // The part is another process now.
      info.processes = read(home)?.processes ?? info.processes
    },
  }
}

/** A copy of what the Worker is bundled from, with another definition. */
export async function workerRoot(home: string, definition: (text: string) => string, changes = 'shared/pipeline.ts'): Promise<string> {
  const root = join(home, 'worker-root')
  for (const name of ['functions', 'shared', 'wrangler.toml', 'package.json', 'package-lock.json', 'tsconfig.base.json', 'tsconfig.json']) {
    await cp(join(repository, name), join(root, name), { recursive: true })
  }
  await symlink(join(repository, 'node_modules'), join(root, 'node_modules'))
  const file = join(root, changes)
  const text = await readFile(file, 'utf8')
  const changed = definition(text)
  if (changed === text)
    throw new Error(`the definition for this measurement is the same as the product’s: ${changes} is written otherwise than this bench expects`)
  await writeFile(file, changed)
  return root
}

function open(info: StackInfo, own: { readonly edge: string; readonly readyMs: number } | null, end: () => Promise<void>): BenchStack {
  const edge = own?.edge ?? null
  const pool = (connectionString: string, max: number): pg.Pool => {
    // An ended session's CPU would be counted as the server's own.
    const made = new pg.Pool({ connectionString, max, idleTimeoutMillis: 0, application_name: 'afluente-bench' })
    made.on('error', () => undefined)
    return made
  }
  const source = pool(info.source.url, 16)
  const analytics = pool(info.analytics.url, 4)
  const post = async (url: string, token: string): Promise<void> => {
    const response = await fetch(url, { method: 'POST', headers: { authorization: `Bearer ${token}`, 'content-type': 'application/json' }, body: '{}' })
    if (!response.ok) throw new Error(`POST ${new URL(url).pathname} answered ${response.status}`)
    await response.arrayBuffer()
  }
  return {
    info,
    own: own !== null,
    readyMs: own?.readyMs ?? null,
    source,
    analytics,
    kafka: new Kafka({ clientId: 'afluente-bench', brokers: [...info.kafka.brokers], logLevel: logLevel.NOTHING }),
    edgeStats: async () => {
      if (edge === null) return null
      const stats = (await (await fetch(`${edge}/_stats`)).json()) as EdgeStats
      const { requests, handOvers, killedForCpu, killedForWall, killedForMemory, crashed } = stats
      return { requests, handOvers, killedForCpu, killedForWall, killedForMemory, crashed }
    },
    part: (name, action) => post(`${info.control.url}/parts/${name}/${action}`, info.control.token),
    consumer: (name, action) => post(`${info.worker.url}/api/consumers/${name}/${action}`, info.worker.token),
    ring: () => post(`${info.supabase.url}/functions/v1/capture`, info.webhookSecret),
    endIsolate: async () => {
      const { killed } = edge === null ? { killed: false } : ((await (await fetch(`${edge}/_kill`, { method: 'POST' })).json()) as { killed: boolean })
      if (!killed) throw new Error('there is no isolate of our own stack to end')
    },
    close: async () => {
      await Promise.allSettled([source.end(), analytics.end()])
      await end()
    },
  }
}
