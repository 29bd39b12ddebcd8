import { existsSync, readFileSync } from 'node:fs'
import { join } from 'node:path'
import { parseEnv } from 'node:util'
import { repository } from './home.ts'
import { parsePorts, type PortChoice } from './ports.ts'

export const partNames = ['postgres', 'kafka', 'elasticsearch', 'supabase', 'edge', 'worker'] as const
/** The parts in the order in which they start; they stop the other way round. */
export type PartName = (typeof partNames)[number]

export interface StackSettings {
  readonly home: string | undefined
  readonly ports: PortChoice
  readonly supervise: boolean
  /** Somebody's own servers: what is set here isn't started. Empty texts count as not set. */
  readonly external: ExternalServers
  /** Further contract variables that go on to the functions as they are, such as KAFKA_SSL. */
  readonly passOn: Readonly<Record<string, string>>
  /** Secrets of one's own choice, in place of random ones. */
  readonly chosen: { readonly webhookSecret?: string; readonly apiToken?: string }
}

export interface ExternalServers {
  readonly source?: string
  readonly analytics?: string
  readonly chatwoot?: string
  readonly brokers?: string
  readonly elasticsearch?: string
}

const kafkaVariables = ['KAFKA_SSL', 'KAFKA_CA', 'KAFKA_SASL_MECHANISM', 'KAFKA_USERNAME', 'KAFKA_PASSWORD']

/** Every variable the functions read. Children get them from the stack alone, never from the shell around it. */
export const contractVariables: readonly string[] = [
  'SUPABASE_URL', 'SUPABASE_SERVICE_ROLE_KEY', 'SUPABASE_ANON_KEY', 'SOURCE_DATABASE_URL', 'KAFKA_BROKERS', ...kafkaVariables,
  'ANALYTICS_DATABASE_URL', 'CHATWOOT_DATABASE_URL', 'ELASTICSEARCH_URL', 'ELASTICSEARCH_API_KEY',
  'AFLUENTE_WEBHOOK_SECRET', 'AFLUENTE_API_TOKEN', 'AFLUENTE_ENVIRONMENT', 'AFLUENTE_HOME',
] // prettier-ignore

/** The shell's environment over the repository's `.env`. */
export function readEnvironment(shell: NodeJS.ProcessEnv, file = join(repository, '.env')): NodeJS.ProcessEnv {
  return existsSync(file) ? { ...parseEnv(readFileSync(file, 'utf8')), ...shell } : { ...shell }
}

/** @throws Fault for an AFLUENTE_PORTS that can't be read. */
export function stackSettings(env: NodeJS.ProcessEnv): StackSettings {
  const set = (name: string): string | undefined => env[name]?.trim() || undefined
  const external = {
    source: set('SOURCE_DATABASE_URL'),
    analytics: set('ANALYTICS_DATABASE_URL'),
    chatwoot: set('CHATWOOT_DATABASE_URL'),
    brokers: set('KAFKA_BROKERS'),
    elasticsearch: set('ELASTICSEARCH_URL'),
  }
  // Credentials belong to the servers they come with: a local Kafka has none, so a leftover KAFKA_SSL must not reach it.
  const names = [...(external.brokers === undefined ? [] : kafkaVariables), ...(external.elasticsearch === undefined ? [] : ['ELASTICSEARCH_API_KEY'])]
  return {
    home: set('AFLUENTE_HOME'),
    ports: parsePorts(env['AFLUENTE_PORTS']),
    supervise: set('AFLUENTE_SUPERVISE') === '1',
    external: defined(external),
    chosen: defined({ webhookSecret: set('AFLUENTE_WEBHOOK_SECRET'), apiToken: set('AFLUENTE_API_TOKEN') }),
    passOn: Object.fromEntries(names.flatMap((name) => (set(name) === undefined ? [] : [[name, set(name) ?? '']]))),
  }
}

/** What a child process inherits: the shell without anything that means something to the functions. */
export function baseEnvironment(env: NodeJS.ProcessEnv): NodeJS.ProcessEnv {
  const base = { ...env }
  for (const name of [...contractVariables, 'NODE_OPTIONS', 'NODE_ENV', 'VITEST']) delete base[name]
  return base
}

/** Without the members that are undefined. */
function defined<K extends string>(value: Readonly<Record<K, string | undefined>>): { readonly [name in K]?: string } {
  const kept: { [name in K]?: string } = {}
  for (const key in value) {
    const text = value[key]
    if (text !== undefined) kept[key] = text
  }
  return kept
}

/** Programs and folders only: a test's stack must not take servers from the shell it was started in. */
export function ownEnvironment(): NodeJS.ProcessEnv {
  const names = [
    'PATH',
    'HOME',
    'JAVA_HOME',
    'LANG',
    'TMPDIR',
    'XDG_CACHE_HOME',
    'AFLUENTE_CACHE',
    'DENO_DIR',
    'HTTP_PROXY',
    'HTTPS_PROXY',
    'NO_PROXY',
    'MAVEN_OPTS',
  ]
  return Object.fromEntries(names.flatMap((name) => (process.env[name] === undefined ? [] : [[name, process.env[name]]])))
}
