import { execFile } from 'node:child_process'
import { randomBytes } from 'node:crypto'
import { existsSync, mkdirSync, rmSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { promisify } from 'node:util'
import { Kafka, logLevel } from 'kafkajs'
import { Fault } from '../fault.ts'
import { repository } from '../home.ts'
import { ensureJars, type JarsDeps } from '../jars.ts'
import { findJava, jvmFlags, quickCompiler } from '../java.ts'
import type { Recipe } from '../part.ts'
import { assertFree } from '../ports.ts'

const run = promisify(execFile)
const sources = join(repository, 'infra/kafka')
export const kafkaVersion = '4.1.0'

/** What the definition allows a message to weigh; the broker must allow it too. */
const messageBytes = 8 * 1024 * 1024

export interface KafkaOptions {
  readonly data: string
  readonly port: number
  readonly controllerPort: number
  readonly jars: JarsDeps
  readonly env: NodeJS.ProcessEnv
  /** Settings that win over the ones here, and further arguments of `format`: for tests of SASL and TLS. */
  readonly properties?: Readonly<Record<string, string>>
  readonly formatArgs?: readonly string[]
}

/** Broker and controller in one (KRaft), on 127.0.0.1. Topics are made on purpose, never by being named. */
export function kafkaRecipe(options: KafkaOptions): Recipe {
  const properties = join(options.data, 'server.properties')
  const logs = join(options.data, 'logs')
  return {
    name: 'kafka',
    before: async () => {
      await assertFree('kafka', options.port)
      await assertFree('kafkaController', options.controllerPort)
      mkdirSync(options.data, { recursive: true })
      writeFileSync(properties, serverProperties(options, logs), { mode: 0o600 })
    },
    command: async () => {
      const java = await findJava(options.env)
      const home = await kafkaJars(options.jars)
      const classPath = join(home, 'lib/*')
      if (!existsSync(join(logs, 'meta.properties'))) await format(java, classPath, properties, logs, options)
      return {
        file: java,
        args: ['-Xms256m', '-Xmx512m', ...flags, '-cp', classPath, 'kafka.Kafka', properties],
        env: options.env,
        cwd: options.data,
      }
    },
    ready: () => answers(options),
    readyWithinMs: 60_000,
    stopSignal: 'SIGTERM',
    stopWithinMs: 10_000,
    explain: (log) =>
      /InconsistentClusterIdException|Invalid cluster.id|No readable meta.properties/.test(log)
        ? new Fault(`Kafka can't read its data under ${options.data}`, 'Run `npm run reset` to start anew')
        : undefined,
  }
}

/** The serial collector: to G1 each request of a megabyte is a humongous object, for which it marks the whole heap beside the broker's work. */
const flags = [...jvmFlags, quickCompiler, '-XX:+UseSerialGC', `-Dlog4j2.configurationFile=${join(sources, 'log4j2.properties')}`]

function kafkaJars(deps: JarsDeps): Promise<string> {
  return ensureJars({ name: 'kafka', version: kafkaVersion, pom: join(sources, 'pom.xml') }, deps)
}

async function format(java: string, classPath: string, properties: string, logs: string, options: KafkaOptions): Promise<void> {
  rmSync(logs, { recursive: true, force: true })
  // A cluster id is 16 bytes in base64url; a leading hyphen would be read as an option.
  const id = `A${randomBytes(16).toString('base64url').slice(1, 22)}`
  const args = [
    '-Xmx128m',

    ...flags,
    '-cp',
    classPath,
    'kafka.tools.StorageTool',
    'format',
    '--standalone',
    '-t',
    id,
    '-c',
    properties,
    ...(options.formatArgs ?? []),
  ]
  try {
    await run(java, args, { env: options.env })
  } catch (error) {
    rmSync(logs, { recursive: true, force: true })
    throw error
  }
}

function serverProperties(options: KafkaOptions, logs: string): string {
  const broker = `PLAINTEXT://127.0.0.1:${options.port}`
  const controller = `CONTROLLER://127.0.0.1:${options.controllerPort}`
  const all: Record<string, string> = {
    'process.roles': 'broker,controller',
    'node.id': '1',
    'controller.quorum.bootstrap.servers': `127.0.0.1:${options.controllerPort}`,
    listeners: `${broker},${controller}`,
    'advertised.listeners': `${broker},${controller}`,
    'controller.listener.names': 'CONTROLLER',
    'inter.broker.listener.name': 'PLAINTEXT',
    'listener.security.protocol.map': 'CONTROLLER:PLAINTEXT,PLAINTEXT:PLAINTEXT',
    'log.dirs': logs,
    'auto.create.topics.enable': 'false',
    'num.partitions': '1',
    'message.max.bytes': String(messageBytes),
    'replica.fetch.max.bytes': String(messageBytes),
    'log.retention.hours': '168',
    'log.segment.bytes': String(64 * 1024 * 1024),
    'offsets.topic.num.partitions': '1',
    'offsets.topic.replication.factor': '1',
    'transaction.state.log.num.partitions': '1',
    'transaction.state.log.replication.factor': '1',
    'transaction.state.log.min.isr': '1',
    'share.coordinator.state.topic.num.partitions': '1',
    'share.coordinator.state.topic.replication.factor': '1',
    'share.coordinator.state.topic.min.isr': '1',
    // A broker that was killed may register again only when its last session is over; the default is 9 s.
    'broker.session.timeout.ms': '3000',
    'broker.heartbeat.interval.ms': '500',
    // The first join of a group would wait 3 s for others that never come.
    'group.initial.rebalance.delay.ms': '0',
    ...options.properties,
  }
  return `${Object.entries(all)
    .map(([name, value]) => `${name}=${value}`)
    .join('\n')}\n`
}

async function answers(options: KafkaOptions): Promise<boolean> {
  const kafka = new Kafka({ brokers: [`127.0.0.1:${options.port}`], logLevel: logLevel.NOTHING, connectionTimeout: 1_000, retry: { retries: 0 } })
  const admin = kafka.admin()
  try {
    await admin.connect()
    const { brokers } = await admin.describeCluster()
    return brokers.length > 0
  } finally {
    await admin.disconnect().catch(() => undefined)
  }
}
