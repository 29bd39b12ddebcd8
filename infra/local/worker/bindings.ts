import { join } from 'node:path'
import type { Manifest } from './bundle.ts'

/** Which environment variable stands behind a Hyperdrive binding of wrangler.toml. */
const behind: Readonly<Record<string, string>> = { ANALYTICS: 'ANALYTICS_DATABASE_URL', SOURCE: 'SOURCE_DATABASE_URL', CHATWOOT: 'CHATWOOT_DATABASE_URL' }

const plain = [
  'SUPABASE_URL', 'SUPABASE_SERVICE_ROLE_KEY', 'SOURCE_DATABASE_URL', 'KAFKA_BROKERS', 'KAFKA_SSL', 'KAFKA_CA', 'KAFKA_SASL_MECHANISM', 'KAFKA_USERNAME', 'KAFKA_PASSWORD',
  'ELASTICSEARCH_URL', 'ELASTICSEARCH_API_KEY', 'AFLUENTE_WEBHOOK_SECRET', 'AFLUENTE_API_TOKEN', 'AFLUENTE_ENVIRONMENT',
] // prettier-ignore

/** Everything the Worker finds in its `env`: Durable Objects, databases, and the contract's variables over wrangler.toml's vars. */
export function localBindings(manifest: Manifest, env: NodeJS.ProcessEnv) {
  const databases = Object.entries(behind).filter(([binding]) => manifest.hyperdrives.includes(binding))
  const variables = Object.fromEntries(plain.flatMap((name) => (env[name] === undefined ? [] : [[name, env[name]]])))
  return {
    bindings: { ...manifest.vars, ...variables },
    durableObjects: Object.fromEntries(manifest.durableObjects.map(({ name, className, sqlite }) => [name, { className, useSQLite: sqlite }])),
    hyperdrives: Object.fromEntries(databases.flatMap(([binding, name]) => (env[name] === undefined ? [] : [[binding, env[name]]]))),
    ...(env['AFLUENTE_HOME'] === undefined ? {} : { resourcePersistencePath: join(env['AFLUENTE_HOME'], 'data/worker') }),
  }
}
