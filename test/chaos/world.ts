/** A stack of its own whose functions reach every server through a proxy; the analytics database is a cluster of its own, so that it can die alone. */
import { mkdtemp, readFile, rm } from 'node:fs/promises'
import { join } from 'node:path'
import { Kafka, logLevel } from 'kafkajs'
import pg from 'pg'
import { cacheDirectory, homeAt, repository } from '../../infra/local/home.ts'
import { createPart, type Part } from '../../infra/local/part.ts'
import { kafkaRecipe } from '../../infra/local/parts/kafka.ts'
import { postgresRecipe, postgresUrl } from '../../infra/local/parts/postgres.ts'
import { choosePorts, type Ports } from '../../infra/local/ports.ts'
import { signalGroup } from '../../infra/local/process-identity.ts'
import { baseEnvironment, ownEnvironment } from '../../infra/local/settings.ts'
import type { StackInfo } from '../../infra/local/stack-info.ts'
import { startStack } from '../../infra/local/stack.ts'
import { createClaimReader, type ClaimReader } from './claims.ts'
import { type Proxy, startProxy } from './proxy.ts'
import type { FunctionName, LinkName, PartName } from './schedule.ts'

export interface World {
  /** Where everything is; around the proxies. */
  readonly info: StackInfo
  readonly parts: Readonly<Record<PartName, Part>>
  readonly links: Readonly<Record<LinkName, Proxy>>
  readonly source: pg.Pool
  readonly analytics: pg.Pool
  readonly kafka: Kafka
  readonly claims: ClaimReader['statements']
  /** What a function finds in its environment from its next start on, beside the usual. */
  readonly clocks: Record<FunctionName, Readonly<Record<string, string>>>
  /** Fires the Worker's cron once. */
  cron(): Promise<void>
  readonly logs: string
  close(): Promise<void>
}

export interface WorldOptions {
  readonly random: () => number
  readonly signal: AbortSignal
  readonly log: (line: string) => void
}

const password = 'chaos'

export async function createWorld({ random, signal, log }: WorldOptions): Promise<World> {
  // Inside the checkout, so that the servers' own user can reach it as it reaches a real one.
  const home = homeAt(await mkdtemp(join(repository, '.afluente-chaos-')))
  const undo: (() => Promise<unknown> | undefined)[] = [() => rm(home.root, { recursive: true, force: true })]
  const close = async (): Promise<void> => {
    for (const step of undo.splice(0).toReversed()) await Promise.resolve(step()).catch((error: unknown) => log(String(error)))
  }
  try {
    return await build()
  } catch (error) {
    await close()
    throw error
  }

  async function build(): Promise<World> {
    const [ports, more, link, server] = await distinctPorts()
    const env = baseEnvironment(ownEnvironment())
    const jars = { cache: cacheDirectory(env), env, report: () => undefined, now: () => performance.now(), signal }
    const own = (recipe: Parameters<typeof createPart>[0]): Part => {
      const part = createPart(recipe, { logFile: join(home.root, `${recipe.name}.log`) })
      const end = (): void => (part.pid === undefined ? undefined : signalGroup(part.pid, 'SIGKILL'))
      process.once('exit', end)
      undo.push(async () => {
        await part.stop()
        process.off('exit', end)
      })
      return part
    }
    const analytics = own({
      ...postgresRecipe({ data: join(home.root, 'analytics'), port: more.postgres, password, databases: ['analytics'], env }),
      name: 'analytics',
    })
    // One listener a function besides the plain one: each function's way to the broker is a proxy of its own.
    const listeners = { edge: [server.edge, link.edge], worker: [server.worker, link.worker] } as const
    const kafka = own(
      kafkaRecipe({
        data: join(home.root, 'kafka'),
        port: more.kafka,
        controllerPort: more.kafkaController,
        jars,
        env,
        properties: {
          listeners: `PLAINTEXT://127.0.0.1:${more.kafka},CONTROLLER://127.0.0.1:${more.kafkaController},EDGE://127.0.0.1:${listeners.edge[0]},WORKER://127.0.0.1:${listeners.worker[0]}`,
          'advertised.listeners': `PLAINTEXT://127.0.0.1:${more.kafka},CONTROLLER://127.0.0.1:${more.kafkaController},EDGE://127.0.0.1:${listeners.edge[1]},WORKER://127.0.0.1:${listeners.worker[1]}`,
          'listener.security.protocol.map': 'CONTROLLER:PLAINTEXT,PLAINTEXT:PLAINTEXT,EDGE:PLAINTEXT,WORKER:PLAINTEXT',
        },
      }),
    )
    await Promise.all([analytics.start(), kafka.start()])

    const claims = createClaimReader(Date.now)
    const proxy = async (port: number, serverPort: number, tap?: ClaimReader['open']): Promise<Proxy> => {
      const started = await startProxy({ port, serverPort, random, ...(tap === undefined ? {} : { tap }) })
      undo.push(() => started.close())
      return started
    }
    const links = {
      'edge>supabase': await proxy(link.supabase, ports.supabase),
      'edge>kafka': await proxy(...byLink(listeners.edge)),
      'worker>supabase': await proxy(link.workerControl, ports.supabase),
      'worker>kafka': await proxy(...byLink(listeners.worker)),
      'worker>analytics': await proxy(link.postgres, more.postgres, claims.open),
      'worker>elasticsearch': await proxy(link.elasticsearch, ports.elasticsearch),
      doorbell: await proxy(link.kafka, ports.supabase),
    }
    const clocks: World['clocks'] = { edge: {}, worker: {} }
    const local = (port: number): string => `http://127.0.0.1:${port}`
    const behindProxies: Readonly<Record<FunctionName, Readonly<Record<string, string>>>> = {
      edge: { SUPABASE_URL: local(link.supabase), KAFKA_BROKERS: `127.0.0.1:${link.edge}` },
      worker: {
        SUPABASE_URL: local(link.workerControl),
        KAFKA_BROKERS: `127.0.0.1:${link.worker}`,
        ANALYTICS_DATABASE_URL: postgresUrl({ port: link.postgres, password }, 'analytics'),
        ELASTICSEARCH_URL: local(link.elasticsearch),
      },
    }
    const stack = await startStack({
      home: home.root,
      ports,
      env: {
        ...env,
        ANALYTICS_DATABASE_URL: postgresUrl({ port: more.postgres, password }, 'analytics'),
        KAFKA_BROKERS: `127.0.0.1:${more.kafka}`,
      },
      environmentOf: (name, environment) => ({ ...environment, ...behindProxies[name], ...clocks[name] }),
      signal,
      // That parts die is told by who kills them.
      report: ({ key, state, text }) => (state === 'done' && key !== 'supervisor' ? log(text) : undefined),
    })
    undo.push(() => stack.stop())

    const pool = (connectionString: string): pg.Pool => {
      const made = new pg.Pool({ connectionString, max: 3, connectionTimeoutMillis: 3_000, application_name: 'chaos' })
      made.on('error', () => undefined)
      undo.push(() => made.end())
      return made
    }
    const { info } = stack
    const world: World = {
      info,
      parts: {
        edge: partOf('edge'),
        worker: partOf('worker'),
        elasticsearch: partOf('elasticsearch'),
        supabase: partOf('supabase'),
        source: partOf('postgres'),
        kafka,
        analytics,
      },
      links,
      source: pool(info.source.url),
      analytics: pool(info.analytics.url),
      kafka: new Kafka({
        clientId: 'chaos',
        brokers: [...info.kafka.brokers],
        logLevel: logLevel.NOTHING,
        connectionTimeout: 1_000,
        requestTimeout: 4_000,
        retry: { retries: 1, initialRetryTime: 100 },
      }),
      claims: claims.statements,
      clocks,
      cron: () => stack.cron(),
      logs: home.logs,
      close,
    }
    await world.source.query(await readFile(join(import.meta.dirname, 'writers.sql'), 'utf8'))
    await world.analytics.query(await readFile(join(import.meta.dirname, 'watch.sql'), 'utf8'))
    await world.source.query(`select vault.update_secret(s.id, $1) from vault.decrypted_secrets s where s.name = 'afluente_capture_url'`, [
      `${local(link.kafka)}/functions/v1/capture`,
    ])
    return world

    function partOf(name: string): Part {
      const part = stack.parts[name]
      if (part === undefined) throw new Error(`the stack has no part ${name}`)
      return part
    }
  }
}

type PortSets = readonly [Ports, Ports, Ports, Ports]

/** Four sets: the stack's, the servers' of our own, the proxies', and Kafka's further listeners. */
async function distinctPorts(): Promise<PortSets> {
  for (;;) {
    const sets: PortSets = [await choosePorts('free'), await choosePorts('free'), await choosePorts('free'), await choosePorts('free')]
    const all = sets.flatMap((set) => Object.values(set))
    if (new Set(all).size === all.length) return sets
  }
}

/** [where the server listens, where the proxy does], the way `proxy` takes it. */
function byLink([server, link]: readonly [number, number]): [number, number] {
  return [link, server]
}
