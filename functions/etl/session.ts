/** The ETL engine on its databases, for one piece of work: what that needs is opened for it and closed after it. */
import { kafkaClient } from '../../shared/adapters/kafka/connection.ts'
import { kafkaPublisher } from '../../shared/adapters/kafka/publisher.ts'
import { judgeType } from '../../shared/adapters/postgres/etl-columns.ts'
import { postgresEtlControl } from '../../shared/adapters/postgres/etl-control.ts'
import { postgresEtlSource } from '../../shared/adapters/postgres/etl-source.ts'
import { postgresEtlStore } from '../../shared/adapters/postgres/etl-store.ts'
import type { ClosableDb } from '../../shared/adapters/postgres/pool.ts'
import { sourceDb } from '../../shared/adapters/postgres/source-db.ts'
import type { WorkerSettings } from '../../shared/config.ts'
import { createEtlStep, type EtlRunDeps } from '../../shared/engine/etl-run.ts'
import type { EtlSession } from './handler.ts'

export interface EtlSessionDeps extends Pick<EtlRunDeps, 'clock' | 'jobs' | 'log' | 'random'> {
  /** The analytics database; the caller closes it. */
  readonly db: ClosableDb
  readonly settings: Pick<WorkerSettings, 'chatwootUrl' | 'kafka' | 'supabase'>
  /** What a topic takes in one message. */
  readonly maxMessageBytes: number
}

export async function etlSession<T>({ db, maxMessageBytes, settings, ...deps }: EtlSessionDeps, work: (of: EtlSession) => Promise<T>): Promise<T> {
  // Checked with the settings: a definition with jobs that read it has it.
  const sources = { chatwoot: sourceDb({ connectionString: settings.chatwootUrl ?? '', setting: 'CHATWOOT_DATABASE_URL' }) }
  const publisher = kafkaPublisher({ kafka: kafkaClient(settings.kafka, { clientId: 'afluente-etl', log: deps.log }) })
  const step = createEtlStep({
    ...deps,
    sources: (database) => postgresEtlSource({ db: sources[database] }),
    store: postgresEtlStore({ db }),
    topics: { publisher, ref: settings.supabase.ref, maxMessageBytes },
    judge: judgeType,
  })
  try {
    return await work({ control: postgresEtlControl({ db }), step })
  } finally {
    await Promise.allSettled([publisher.close(), sources.chatwoot.close()])
  }
}
