/**
 * Environment → typed settings, in one place. All faults are reported at once, by name, never by value.
 */
import * as z from 'zod'
import { AfluenteError } from './engine/errors.ts'

/** What a runtime's environment gives: strings, and in Workers bindings as well. */
export type Environment = Readonly<Record<string, unknown>>

/** What a definition asks of its environment, and what is wrong with itself, so that all is told at once. `demandsOf` makes it. */
export interface Demands {
  readonly writersToElasticsearch: readonly string[]
  /** The ETL jobs that read Chatwoot. */
  readonly readersOfChatwoot: readonly string[]
  readonly definitionFaults: readonly string[]
}

const url = (...protocols: readonly string[]) =>
  z
    .string()
    .refine(
      (text) => URL.canParse(text) && protocols.includes(new URL(text).protocol),
      `must be a URL that begins with ${protocols.map((p) => `${p}//`).join(' or ')}`,
    )

const flag = z.enum(['true', 'false', '1', '0']).transform((text) => text === 'true' || text === '1')

const secret = z.string().min(16, 'must have at least 16 characters')

/** A secret that travels as `Authorization: Bearer …`: a header keeps no space at its ends and no letter beyond ASCII. */
const bearer = secret.regex(/^[\x21-\x7e]*$/, 'must be of ASCII letters, digits and signs, without spaces: a header could not carry it')

const brokers = z
  .string()
  .transform((text) => text.split(',').map((broker) => broker.trim()))
  .refine((list) => list.every(isHostAndPort), 'must be host:port, several with commas between them')

function isHostAndPort(broker: string): boolean {
  const [, port] = /^[^\s:/]+:(\d{1,5})$/.exec(broker) ?? []
  return Number(port) >= 1 && Number(port) <= 65_535
}

const kafkaShape = {
  KAFKA_BROKERS: brokers,
  KAFKA_SSL: flag.default(false),
  KAFKA_CA: z.string().optional(),
  KAFKA_SASL_MECHANISM: z.enum(['plain', 'scram-sha-256', 'scram-sha-512']).optional(),
  KAFKA_USERNAME: z.string().optional(),
  KAFKA_PASSWORD: z.string().optional(),
}

export interface KafkaSettings {
  readonly brokers: readonly string[]
  readonly ssl: boolean
  /** PEM text of a private CA. */
  readonly ca: string | undefined
  readonly sasl: { readonly mechanism: 'plain' | 'scram-sha-256' | 'scram-sha-512'; readonly username: string; readonly password: string } | undefined
}

export interface SupabaseSettings {
  readonly url: string
  readonly serviceRoleKey: string
  /** The project's reference for `ce_source`: `<ref>` of `<ref>.supabase.co`; any other host, a custom domain as well, is `local`. */
  readonly ref: string
}

export interface CaptureSettings {
  readonly supabase: SupabaseSettings
  readonly kafka: KafkaSettings
  readonly webhookSecret: string
}

export interface DeploySettings {
  readonly kafka: KafkaSettings
  readonly analyticsUrl: string
  readonly elasticsearch: WorkerSettings['elasticsearch']
  /** Compared with the definition where it is given. */
  readonly sourceUrl: string | undefined
  /** Read by ETL jobs: what they want is compared with what is there. */
  readonly chatwootUrl: string | undefined
}

/** What somebody works with who reads the source and sends through its outbox, from the command line. */
export interface OperatorSettings {
  readonly supabase: SupabaseSettings
  readonly sourceUrl: string
  readonly analyticsUrl: string
}

/** The same for somebody who compares the source with its copies. */
export interface ReconcileSettings extends OperatorSettings {
  readonly kafka: KafkaSettings
  readonly elasticsearch: WorkerSettings['elasticsearch']
}

export interface WorkerSettings {
  readonly supabase: SupabaseSettings
  readonly kafka: KafkaSettings
  readonly analyticsUrl: string
  /** The analytics database is reached through Hyperdrive. */
  readonly analyticsPooled: boolean
  /** The source as a role reads it: without it nothing is reconciled by schedule. */
  readonly sourceUrl: string | undefined
  readonly elasticsearch: { readonly url: string; readonly apiKey: string | undefined } | undefined
  /** The database that ETL jobs read; undefined where the definition has none that does. */
  readonly chatwootUrl: string | undefined
  readonly webhookSecret: string
  readonly apiToken: string
  readonly environment: string
}

const captureShape = { ...kafkaShape, SUPABASE_URL: url('http:', 'https:'), SUPABASE_SERVICE_ROLE_KEY: secret, AFLUENTE_WEBHOOK_SECRET: bearer }

const elasticsearchShape = { ELASTICSEARCH_URL: url('http:', 'https:').optional(), ELASTICSEARCH_API_KEY: z.string().optional() }

const workerShape = {
  ...captureShape,
  /** A Hyperdrive binding wins over the plain URL. */
  ANALYTICS: z.object({ connectionString: z.string() }).optional(),
  ANALYTICS_DATABASE_URL: url('postgres:', 'postgresql:').optional(),
  /** As above. */
  SOURCE: z.object({ connectionString: z.string() }).optional(),
  SOURCE_DATABASE_URL: url('postgres:', 'postgresql:').optional(),
  CHATWOOT: z.object({ connectionString: z.string() }).optional(),
  CHATWOOT_DATABASE_URL: url('postgres:', 'postgresql:').optional(),
  ...elasticsearchShape,
  AFLUENTE_API_TOKEN: bearer,
  AFLUENTE_ENVIRONMENT: z.string().default('local'),
}

const deployShape = {
  ...kafkaShape,
  ...elasticsearchShape,
  ANALYTICS_DATABASE_URL: url('postgres:', 'postgresql:'),
  SOURCE_DATABASE_URL: url('postgres:', 'postgresql:').optional(),
  CHATWOOT_DATABASE_URL: url('postgres:', 'postgresql:').optional(),
}

const operatorShape = {
  SUPABASE_URL: url('http:', 'https:'),
  SUPABASE_SERVICE_ROLE_KEY: secret,
  SOURCE_DATABASE_URL: url('postgres:', 'postgresql:'),
  ANALYTICS_DATABASE_URL: url('postgres:', 'postgresql:'),
}

/** Settings of the capture function. Throws `misconfigured` with every fault, by name. */
export function captureSettings(environment: Environment): CaptureSettings {
  const values = parse(z.object(captureShape), environment, kafkaFaults(environment))
  return { supabase: supabaseOf(values), kafka: kafkaOf(values), webhookSecret: values.AFLUENTE_WEBHOOK_SECRET }
}

/** Settings of whatever only talks to Kafka (the local stack). Throws `misconfigured` with every fault, by name. */
export function kafkaSettings(environment: Environment): KafkaSettings {
  return kafkaOf(parse(z.object(kafkaShape), environment, kafkaFaults(environment)))
}

/**
 * Settings of the Worker that runs a definition. Throws `misconfigured` with every fault of the environment by name, of what the
 * definition needs in it, and of the definition itself.
 */
export function workerSettings(environment: Environment, demands?: Demands): WorkerSettings {
  const values = parse(z.object(workerShape), environment, [...saslFaults(environment), ...workerFaults(environment)], demands)
  return {
    supabase: supabaseOf(values),
    kafka: kafkaOf(values),
    analyticsUrl: values.ANALYTICS?.connectionString ?? values.ANALYTICS_DATABASE_URL ?? '',
    analyticsPooled: values.ANALYTICS !== undefined,
    sourceUrl: values.SOURCE?.connectionString ?? values.SOURCE_DATABASE_URL,
    elasticsearch: elasticsearchOf(values),
    chatwootUrl: values.CHATWOOT?.connectionString ?? values.CHATWOOT_DATABASE_URL,
    webhookSecret: values.AFLUENTE_WEBHOOK_SECRET,
    apiToken: values.AFLUENTE_API_TOKEN,
    environment: values.AFLUENTE_ENVIRONMENT,
  }
}

/** Settings of the deploy of a definition's tables, topics and indices. Throws as `workerSettings` does. */
export function deploySettings(environment: Environment, demands: Demands): DeploySettings {
  const values = parse(z.object(deployShape), environment, kafkaFaults(environment), demands)
  return {
    kafka: kafkaOf(values),
    analyticsUrl: values.ANALYTICS_DATABASE_URL,
    elasticsearch: elasticsearchOf(values),
    sourceUrl: values.SOURCE_DATABASE_URL,
    chatwootUrl: values.CHATWOOT_DATABASE_URL,
  }
}

/** Throws `misconfigured` with every fault, by name. */
export function operatorSettings(environment: Environment): OperatorSettings {
  const values = parse(z.object(operatorShape), environment, [])
  return { supabase: supabaseOf(values), sourceUrl: values.SOURCE_DATABASE_URL, analyticsUrl: values.ANALYTICS_DATABASE_URL }
}

/** Throws `misconfigured` with every fault, by name, of what the definition needs as well. */
export function reconcileSettings(environment: Environment, demands: Demands): ReconcileSettings {
  const shape = z.object({ ...operatorShape, ...kafkaShape, ...elasticsearchShape })
  // ETL jobs are compared with their sources by themselves.
  const values = parse(shape, environment, kafkaFaults(environment), { ...demands, readersOfChatwoot: [] })
  return { ...operatorSettings(environment), kafka: kafkaOf(values), elasticsearch: elasticsearchOf(values) }
}

function workerFaults(environment: Environment): string[] {
  return [
    ...(given(environment, 'KAFKA_CA')
      ? ["KAFKA_CA: Workers can't trust a CA of one's own. Use brokers with a public certificate, and leave it out here."]
      : []),
    ...(given(environment, 'ANALYTICS') || given(environment, 'ANALYTICS_DATABASE_URL')
      ? []
      : ['ANALYTICS_DATABASE_URL: missing. Set it, or bind a Hyperdrive as ANALYTICS.']),
  ]
}

function kafkaFaults(environment: Environment): string[] {
  const plain = !given(environment, 'KAFKA_SSL') || environment['KAFKA_SSL'] === 'false' || environment['KAFKA_SSL'] === '0'
  return [
    ...saslFaults(environment),
    ...(plain && given(environment, 'KAFKA_CA')
      ? ["KAFKA_CA: it stands beside a KAFKA_SSL that is false or not set, and wouldn't be used. Set KAFKA_SSL=true, or leave the CA out."]
      : []),
  ]
}

function needFaults(environment: Environment, { readersOfChatwoot, writersToElasticsearch }: Demands): string[] {
  const has = (...names: readonly string[]) => names.some((name) => given(environment, name))
  return [
    ...(writersToElasticsearch.length === 0 || has('ELASTICSEARCH_URL')
      ? []
      : [
          `ELASTICSEARCH_URL: missing. The consumer ${writersToElasticsearch.join(', ')} of shared/pipeline.ts writes there; set it, or take the consumer out.`,
        ]),
    ...(readersOfChatwoot.length === 0 || has('CHATWOOT', 'CHATWOOT_DATABASE_URL')
      ? []
      : [`CHATWOOT_DATABASE_URL: missing. The ETL job ${readersOfChatwoot.join(', ')} of shared/pipeline.ts reads it; set it, or take the job out of 'etl'.`]),
  ]
}

function saslFaults(environment: Environment): string[] {
  const names = ['KAFKA_SASL_MECHANISM', 'KAFKA_USERNAME', 'KAFKA_PASSWORD'] as const
  const missing = names.filter((name) => !given(environment, name))
  return missing.length === 0 || missing.length === names.length ? [] : missing.map((name) => `${name}: missing. The three of ${names.join(', ')} go together.`)
}

function parse<T extends z.ZodType>(schema: T, environment: Environment, more: readonly string[], demands?: Demands): z.output<T> {
  const present = Object.fromEntries(Object.entries(environment).filter(([, value]) => value !== undefined && value !== ''))
  const result = schema.safeParse(present)
  const faults = [...(result.success ? [] : result.error.issues.map((issue) => faultOf(issue, present))), ...more]
  const needed = demands === undefined ? [] : needFaults(environment, demands)
  const texts = [
    ...listed('The environment', [...faults, ...needed], '\n.env.example explains each name.'),
    ...listed('shared/pipeline.ts', demands?.definitionFaults ?? [], ''),
  ]
  if (!result.success || texts.length > 0) {
    throw new AfluenteError('misconfigured', faults.length + needed.length > 0 ? 'environment' : 'definition', texts.join('\n'))
  }
  return result.data
}

function listed(what: string, faults: readonly string[], end: string): string[] {
  return faults.length === 0 ? [] : [`${what} has ${faults.length} fault(s):\n${faults.map((fault) => `  - ${fault}`).join('\n')}${end}`]
}

/** Names the variable and what it must be. The value never appears: it may be a secret. */
function faultOf(issue: z.core.$ZodIssue, present: Environment): string {
  const name = String(issue.path[0] ?? '')
  if (!given(present, name)) return `${name}: missing.`
  return `${name}: ${issue.code === 'invalid_value' ? `must be one of ${issue.values.join(', ')}` : issue.message}.`
}

function given(environment: Environment, name: string): boolean {
  return environment[name] !== undefined && environment[name] !== ''
}

function supabaseOf(values: { readonly SUPABASE_URL: string; readonly SUPABASE_SERVICE_ROLE_KEY: string }): SupabaseSettings {
  const { hostname } = new URL(values.SUPABASE_URL)
  return {
    url: values.SUPABASE_URL.replace(/\/$/, ''),
    serviceRoleKey: values.SUPABASE_SERVICE_ROLE_KEY,
    ref: /^([a-z0-9]+)\.supabase\.(?:co|in)$/.exec(hostname)?.[1] ?? 'local',
  }
}

function kafkaOf(values: z.output<z.ZodObject<typeof kafkaShape>>): KafkaSettings {
  const { KAFKA_SASL_MECHANISM: mechanism, KAFKA_USERNAME: username, KAFKA_PASSWORD: password } = values
  return {
    brokers: values.KAFKA_BROKERS,
    ssl: values.KAFKA_SSL,
    ca: values.KAFKA_CA,
    sasl: mechanism === undefined || username === undefined || password === undefined ? undefined : { mechanism, username, password },
  }
}

function elasticsearchOf(values: {
  readonly ELASTICSEARCH_URL?: string | undefined
  readonly ELASTICSEARCH_API_KEY?: string | undefined
}): WorkerSettings['elasticsearch'] {
  return values.ELASTICSEARCH_URL === undefined ? undefined : { url: values.ELASTICSEARCH_URL, apiKey: values.ELASTICSEARCH_API_KEY }
}
