/** Where adapters meet the ports of a reconcile, for the Worker and for the command line. Connects when something is asked. */
import { systemClock } from '../shared/adapters/clock.ts'
import { elasticsearchClient } from '../shared/adapters/elasticsearch/client.ts'
import { elasticsearchContents } from '../shared/adapters/elasticsearch/index-contents.ts'
import { kafkaClient } from '../shared/adapters/kafka/connection.ts'
import { kafkaFault } from '../shared/adapters/kafka/faults.ts'
import { kafkaWatermarks } from '../shared/adapters/kafka/watermarks.ts'
import { postgresControl } from '../shared/adapters/postgres/control.ts'
import type { Db } from '../shared/adapters/postgres/db.ts'
import { postgresOperations } from '../shared/adapters/postgres/operations.ts'
import { postgresReconciliations } from '../shared/adapters/postgres/reconciliations.ts'
import { silverContents } from '../shared/adapters/postgres/silver-contents.ts'
import { sourceContents } from '../shared/adapters/postgres/source-contents.ts'
import { sourceDb } from '../shared/adapters/postgres/source-db.ts'
import { supabaseOutbox } from '../shared/adapters/supabase/outbox.ts'
import { supabaseReconcileSource } from '../shared/adapters/supabase/reconcile-source.ts'
import { restClient } from '../shared/adapters/supabase/rest-client.ts'
import type { ReconcileSettings } from '../shared/config.ts'
import type { AnyPipeline } from '../shared/engine/define.ts'
import type { Comparable } from '../shared/engine/reconcile-definition.ts'
import type { ReconcileDeps } from '../shared/engine/reconcile-deps.ts'
import type { Log } from '../shared/ports/log.ts'
import type { Operations } from '../shared/ports/operations.ts'
import type { Outbox } from '../shared/ports/outbox.ts'
import type { Reconciliations } from '../shared/ports/reconciliations.ts'

export interface Comparing {
  readonly outbox: Pick<Outbox, 'backlog'>
  readonly operations: Pick<Operations, 'audit'>
  readonly reconciliations: Reconciliations
  depsFor(comparable: Comparable): ReconcileDeps
  close(): Promise<void>
}

export interface ComparingDeps {
  readonly pipeline: AnyPipeline
  readonly settings: Omit<ReconcileSettings, 'analyticsUrl'>
  /** Not closed here. */
  readonly analytics: Db
  readonly log: Log
}

/** Statements are short, a stretch of a table each; the API's own limit is the same. */
export const STATEMENT_MS = 8_000

export function createComparing({ analytics, log, pipeline, settings: { elasticsearch, kafka, sourceUrl, supabase } }: ComparingDeps): Comparing {
  const client = restClient(supabase)
  const source = sourceDb({ connectionString: sourceUrl, max: 1, statementTimeoutMs: STATEMENT_MS })
  const shared = {
    source: sourceContents({ db: source }),
    silver: silverContents({ db: analytics }),
    outbox: supabaseReconcileSource({ client }),
    watermarks: kafkaWatermarks({ kafka: () => kafkaClient(kafka, { clientId: 'afluente-reconcile', log, retries: 0 }), faultOf: kafkaFault }),
    control: postgresControl({ db: analytics }),
    reconciliations: postgresReconciliations({ db: analytics }),
    clock: systemClock(),
    log,
    random: Math.random,
  }
  return {
    outbox: supabaseOutbox({ client }),
    operations: postgresOperations(analytics),
    reconciliations: shared.reconciliations,
    depsFor: ({ indexed }) => {
      const sink = indexed === null ? undefined : pipeline.consumers[indexed]?.sink
      const written = sink?.kind === 'elasticsearch' && elasticsearch !== undefined
      return { ...shared, index: written ? elasticsearchContents({ client: elasticsearchClient(elasticsearch), indices: sink.indices }) : null }
    },
    close: () => source.close(),
  }
}
