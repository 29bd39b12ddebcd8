import { join } from 'node:path'
import { cacheDirectory, type Home } from './home.ts'
import type { JarsDeps } from './jars.ts'
import type { Recipe } from './part.ts'
import { elasticsearchRecipe } from './parts/elasticsearch.ts'
import { deno, functionRecipe, node } from './parts/functions.ts'
import { kafkaRecipe } from './parts/kafka.ts'
import { postgresRecipe } from './parts/postgres.ts'
import { functionEnvironment, type Places } from './places.ts'
import { assertFree, type Ports } from './ports.ts'
import type { Report } from './progress.ts'
import type { Secrets } from './secrets.ts'
import { baseEnvironment, type PartName, type StackSettings } from './settings.ts'

export interface RecipesDeps {
  readonly home: Home
  readonly ports: Ports
  readonly places: Places
  readonly secrets: Secrets
  readonly settings: StackSettings
  readonly env: NodeJS.ProcessEnv
  readonly report: Report
  readonly signal: AbortSignal
  readonly environmentOf?: EnvironmentOf
}

/** What the functions of this stack find in their environment instead, asked at each start: for tests with proxies and wrong clocks. */
export type EnvironmentOf = (name: 'edge' | 'worker', environment: NodeJS.ProcessEnv) => NodeJS.ProcessEnv

/** How each part of one stack is run. Somebody's own servers have none. */
export function stackRecipes(deps: RecipesDeps): Partial<Record<PartName, Recipe>> {
  const { home, ports, places, secrets, settings, environmentOf = (_, environment) => environment } = deps
  const env = baseEnvironment(deps.env)
  const jars: JarsDeps = { cache: cacheDirectory(deps.env), env, report: deps.report, now: () => performance.now(), signal: deps.signal }
  const functions = { ...env, ...functionEnvironment(places, secrets, settings, home.root) }
  const { external } = settings
  const ownPostgres = external.source !== undefined && external.analytics !== undefined
  return {
    ...(ownPostgres
      ? {}
      : {
          postgres: postgresRecipe({
            data: join(home.data, 'postgres'),
            port: ports.postgres,
            password: secrets.postgresPassword,
            databases: ['supabase', 'analytics', 'chatwoot'],
            env,
          }),
        }),
    ...(external.brokers === undefined
      ? { kafka: kafkaRecipe({ data: join(home.data, 'kafka'), port: ports.kafka, controllerPort: ports.kafkaController, jars, env }) }
      : {}),
    ...(external.elasticsearch === undefined
      ? { elasticsearch: elasticsearchRecipe({ data: join(home.data, 'elasticsearch'), port: ports.elasticsearch, jars, env }) }
      : {}),
    supabase: functionRecipe({
      name: 'supabase',
      port: ports.supabase,
      file: node,
      args: ['infra/local/supabase/main.ts'],
      env: () => ({ ...functions, SUPABASE_JWT_SECRET: secrets.jwtSecret, EDGE_URL: places.edge }),
    }),
    edge: functionRecipe({
      name: 'edge',
      port: ports.edge,
      file: deno,
      args: ['run', '--allow-all', 'infra/local/edge/main.ts'],
      env: () => environmentOf('edge', functions),
    }),
    worker: functionRecipe({
      name: 'worker',
      port: ports.worker,
      file: node,
      args: ['infra/local/worker/main.ts'],
      env: () => environmentOf('worker', { ...functions, CONTROL_PORT: String(ports.workerControl) }),
      health: `${places.workerControl}/_health`,
      before: () => assertFree('workerControl', ports.workerControl),
    }),
  }
}
