import { postgresUrl } from './parts/postgres.ts'
import { CHATWOOT_READER } from './prepare-chatwoot.ts'
import type { Ports } from './ports.ts'
import type { Secrets } from './secrets.ts'
import type { StackSettings } from './settings.ts'

/** Where each part of one stack answers, whether it is ours or somebody's own. */
export interface Places {
  readonly source: string
  readonly analytics: string
  readonly chatwoot: string
  /** As the role that ETL reads with: what the functions get. */
  readonly chatwootReader: string
  readonly brokers: readonly string[]
  readonly elasticsearch: string
  readonly supabase: string
  readonly edge: string
  readonly worker: string
  /** Takes `POST /scheduled`. */
  readonly workerControl: string
}

export function placesOf(ports: Ports, secrets: Secrets, settings: StackSettings): Places {
  const cluster = { port: ports.postgres, password: secrets.postgresPassword }
  const { external } = settings
  return {
    source: external.source ?? postgresUrl(cluster, 'supabase'),
    analytics: external.analytics ?? postgresUrl(cluster, 'analytics'),
    chatwoot: external.chatwoot ?? postgresUrl(cluster, 'chatwoot'),
    chatwootReader: external.chatwoot ?? readerOf(postgresUrl(cluster, 'chatwoot'), secrets),
    brokers: external.brokers?.split(',').map((broker) => broker.trim()) ?? [`127.0.0.1:${ports.kafka}`],
    elasticsearch: external.elasticsearch ?? `http://127.0.0.1:${ports.elasticsearch}`,
    supabase: `http://127.0.0.1:${ports.supabase}`,
    edge: `http://127.0.0.1:${ports.edge}`,
    worker: `http://127.0.0.1:${ports.worker}`,
    workerControl: `http://127.0.0.1:${ports.workerControl}`,
  }
}

/** The contract's environment, as the functions of this stack get it. */
export function functionEnvironment(places: Places, secrets: Secrets, settings: StackSettings, home: string): Record<string, string> {
  return {
    SUPABASE_URL: places.supabase,
    SUPABASE_SERVICE_ROLE_KEY: secrets.serviceRoleKey,
    SUPABASE_ANON_KEY: secrets.anonKey,
    SOURCE_DATABASE_URL: places.source,
    ANALYTICS_DATABASE_URL: places.analytics,
    CHATWOOT_DATABASE_URL: places.chatwootReader,
    KAFKA_BROKERS: places.brokers.join(','),
    ELASTICSEARCH_URL: places.elasticsearch,
    AFLUENTE_WEBHOOK_SECRET: secrets.webhookSecret,
    AFLUENTE_API_TOKEN: secrets.apiToken,
    AFLUENTE_ENVIRONMENT: 'local',
    AFLUENTE_HOME: home,
    ...settings.passOn,
  }
}

function readerOf(url: string, secrets: Secrets): string {
  const reader = new URL(url)
  reader.username = CHATWOOT_READER
  reader.password = secrets.chatwootPassword
  return reader.href
}
