/** Elasticsearch's part of a deploy: indices and aliases, with the floors that the analytics database knows. */
import { elasticsearchClient, type ElasticsearchSettings } from '../../shared/adapters/elasticsearch/client.ts'
import { prepareIndices } from '../../shared/adapters/elasticsearch/prepare.ts'
import { postgresControl } from '../../shared/adapters/postgres/control.ts'
import { postgresPool } from '../../shared/adapters/postgres/pool.ts'
import type { AnyPipeline } from '../../shared/engine/define.ts'

export interface IndicesOptions {
  readonly pipeline: AnyPipeline
  readonly elasticsearch: ElasticsearchSettings
  /** Of a database that has everything of `sql/`. */
  readonly analyticsUrl: string
  readonly signal: AbortSignal
  /** Told what was done, a line at a time. */
  readonly onLine: (text: string) => void
}

/** An alias made without its table's floor would show rows that a TRUNCATE has removed. Errors: `unavailable`, `misconfigured`. */
export async function indices({ pipeline, elasticsearch, analyticsUrl, signal, onLine }: IndicesOptions): Promise<void> {
  const db = postgresPool({ connectionString: analyticsUrl, max: 1 })
  try {
    const { floors } = postgresControl({ db })
    await prepareIndices({ client: elasticsearchClient(elasticsearch), floors }, pipeline, ({ message }) => onLine(message), { signal })
  } finally {
    await db.close()
  }
}
