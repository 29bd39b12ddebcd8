/** What a verb needs that works on the source itself. */
import { systemClock } from '../../shared/adapters/clock.ts'
import { postgresOperations } from '../../shared/adapters/postgres/operations.ts'
import { postgresPool } from '../../shared/adapters/postgres/pool.ts'
import { sourceDb } from '../../shared/adapters/postgres/source-db.ts'
import { sourceRows } from '../../shared/adapters/postgres/source-rows.ts'
import { supabaseBackfills } from '../../shared/adapters/supabase/backfills.ts'
import { supabaseOutbox } from '../../shared/adapters/supabase/outbox.ts'
import { restClient } from '../../shared/adapters/supabase/rest-client.ts'
import { type OperatorSettings, operatorSettings } from '../../shared/config.ts'
import type { Backfills } from '../../shared/ports/backfills.ts'
import type { Clock } from '../../shared/ports/clock.ts'
import type { Log } from '../../shared/ports/log.ts'
import type { Operations } from '../../shared/ports/operations.ts'
import type { Outbox } from '../../shared/ports/outbox.ts'
import type { SourceRows } from '../../shared/ports/source-rows.ts'
import { Fault } from '../local/fault.ts'
import { homeAt } from '../local/home.ts'
import { stackSettings } from '../local/settings.ts'
import { readStackFile } from '../local/stack-info.ts'

export interface Access {
  readonly backfills: Backfills
  readonly outbox: Outbox
  readonly rows: SourceRows
  readonly operations: Pick<Operations, 'audit'>
  readonly clock: Clock
  readonly random: () => number
  /** What happens is told on the terminal. */
  readonly log: Log
  close(): Promise<void>
}

const SILENT: Log = { info: () => {}, warn: () => {}, error: () => {} }

export function accessSettings(env: NodeJS.ProcessEnv): OperatorSettings {
  return operatorSettings(accessEnvironment(env))
}

/**
 * A project in the cloud where SUPABASE_URL or its key is set, or a database that is not the running local stack's, and then all that it takes
 * must be; that stack otherwise. It may have been given its databases by the same names.
 */
export function accessEnvironment(env: NodeJS.ProcessEnv): NodeJS.ProcessEnv {
  const info = readStackFile(homeAt(stackSettings(env).home))
  const isElsewhere = (name: string, here?: string) => (env[name]?.trim() || here) !== here
  if (['SUPABASE_URL', 'SUPABASE_SERVICE_ROLE_KEY'].some((name) => isElsewhere(name))) return env
  if (isElsewhere('SOURCE_DATABASE_URL', info?.source.url) || isElsewhere('ANALYTICS_DATABASE_URL', info?.analytics.url)) return env
  if (info === undefined)
    throw new Fault(
      'No stack runs here',
      'Run `npm start`, or name a project: SUPABASE_URL, SUPABASE_SERVICE_ROLE_KEY, SOURCE_DATABASE_URL and ANALYTICS_DATABASE_URL',
    )
  const { analytics, elasticsearch, kafka, source, supabase } = info
  return {
    SUPABASE_URL: supabase.url,
    SUPABASE_SERVICE_ROLE_KEY: supabase.serviceRoleKey,
    SOURCE_DATABASE_URL: source.url,
    ANALYTICS_DATABASE_URL: analytics.url,
    KAFKA_BROKERS: kafka.brokers.join(','),
    ELASTICSEARCH_URL: elasticsearch.url,
  }
}

/** Connects when something is asked. */
export function openAccess({ analyticsUrl, sourceUrl, supabase }: OperatorSettings): Access {
  const client = restClient(supabase)
  const source = sourceDb({ connectionString: sourceUrl })
  const analytics = postgresPool({ connectionString: analyticsUrl, max: 1 })
  return {
    backfills: supabaseBackfills({ client }),
    outbox: supabaseOutbox({ client }),
    rows: sourceRows({ db: source }),
    operations: postgresOperations(analytics),
    clock: systemClock(),
    random: Math.random,
    log: SILENT,
    close: async () => {
      await Promise.allSettled([source.close(), analytics.close()])
    },
  }
}
