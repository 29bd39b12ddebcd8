/** What comparing takes: the source to read and to repair, Kafka for how far topics reach, and each place with a copy. */
import { systemClock } from '../../../shared/adapters/clock.ts'
import { elasticsearchClient } from '../../../shared/adapters/elasticsearch/client.ts'
import { elasticsearchContents } from '../../../shared/adapters/elasticsearch/index-contents.ts'
import { kafkaClient } from '../../../shared/adapters/kafka/connection.ts'
import { kafkaFault } from '../../../shared/adapters/kafka/faults.ts'
import { kafkaWatermarks } from '../../../shared/adapters/kafka/watermarks.ts'
import { postgresControl } from '../../../shared/adapters/postgres/control.ts'
import { postgresOperations } from '../../../shared/adapters/postgres/operations.ts'
import { postgresPool } from '../../../shared/adapters/postgres/pool.ts'
import { postgresReconciliations } from '../../../shared/adapters/postgres/reconciliations.ts'
import { silverContents } from '../../../shared/adapters/postgres/silver-contents.ts'
import { sourceContents } from '../../../shared/adapters/postgres/source-contents.ts'
import { sourceDb } from '../../../shared/adapters/postgres/source-db.ts'
import { supabaseOutbox } from '../../../shared/adapters/supabase/outbox.ts'
import { supabaseReconcileSource } from '../../../shared/adapters/supabase/reconcile-source.ts'
import { restClient } from '../../../shared/adapters/supabase/rest-client.ts'
import { type ReconcileSettings, reconcileSettings } from '../../../shared/config.ts'
import type { AnyPipeline } from '../../../shared/engine/define.ts'
import { demandsOf } from '../../../shared/engine/definition-faults.ts'
import type { Comparable } from '../../../shared/engine/reconcile-definition.ts'
import type { ReconcileDeps } from '../../../shared/engine/reconcile-deps.ts'
import type { Log } from '../../../shared/ports/log.ts'
import type { Operations } from '../../../shared/ports/operations.ts'
import type { Outbox } from '../../../shared/ports/outbox.ts'
import { accessEnvironment } from '../access.ts'

export interface Comparing {
  readonly outbox: Pick<Outbox, 'backlog'>
  readonly operations: Pick<Operations, 'audit'>
  depsFor(comparable: Comparable): ReconcileDeps
  close(): Promise<void>
}

const SILENT: Log = { info: () => {}, warn: () => {}, error: () => {} }
/** Statements are short, a stretch of a table each; the API's own limit is the same. */
const STATEMENT_MS = 8_000

export function comparingSettings(env: NodeJS.ProcessEnv, pipeline: AnyPipeline): ReconcileSettings {
  return reconcileSettings(accessEnvironment(env), demandsOf(pipeline))
}

/** Connects when something is asked. */
export function openComparing({ analyticsUrl, elasticsearch, kafka, sourceUrl, supabase }: ReconcileSettings, pipeline: AnyPipeline): Comparing {
  const client = restClient(supabase)
  const source = sourceDb({ connectionString: sourceUrl, max: 1, statementTimeoutMs: STATEMENT_MS })
  const analytics = postgresPool({ connectionString: analyticsUrl, max: 2, statementTimeoutMs: STATEMENT_MS })
  const clock = systemClock()
  const shared = {
    source: sourceContents({ db: source }),
    silver: silverContents({ db: analytics }),
    outbox: supabaseReconcileSource({ client }),
    watermarks: kafkaWatermarks({ kafka: () => kafkaClient(kafka, { clientId: 'afluente-reconcile', log: SILENT, retries: 0 }), faultOf: kafkaFault }),
    control: postgresControl({ db: analytics }),
    reconciliations: postgresReconciliations({ db: analytics }),
    clock,
    log: SILENT,
    random: Math.random,
  }
  return {
    outbox: supabaseOutbox({ client }),
    operations: postgresOperations(analytics),
    depsFor: ({ indexed }) => {
      const sink = indexed === null ? undefined : pipeline.consumers[indexed]?.sink
      const index =
        sink?.kind === 'elasticsearch' && elasticsearch !== undefined
          ? elasticsearchContents({ client: elasticsearchClient(elasticsearch), indices: sink.indices })
          : null
      return { ...shared, index }
    },
    close: async () => {
      await Promise.allSettled([source.close(), analytics.close()])
    },
  }
}
