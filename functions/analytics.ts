/** Connections to the analytics database. */
import { consoleLog } from '../shared/adapters/log.ts'
import { type ClosableDb, postgresPool } from '../shared/adapters/postgres/pool.ts'
import type { WorkerSettings } from '../shared/config.ts'

/** Closed after the work, however that ends. */
export async function withAnalytics<T>(settings: WorkerSettings, max: number, work: (db: ClosableDb) => Promise<T>): Promise<T> {
  const db = analyticsDb(settings, max)
  try {
    return await work(db)
  } finally {
    await db.close()
  }
}

/** Connects when something is asked. The caller closes it. */
export function analyticsDb(settings: WorkerSettings, max: number): ClosableDb {
  const log = consoleLog({ base: { function: 'analytics' } })
  let closing = false
  const db = postgresPool({
    connectionString: settings.analyticsUrl,
    max,
    // A pooler may refuse start-up settings; the client's own limit remains.
    ...(settings.analyticsPooled ? { statementTimeoutMs: 0 } : {}),
    onIdleError: ({ code }) => {
      if (!closing) log.warn('analytics.connection-lost', { code })
    },
  })
  return {
    ...db,
    close: () => {
      closing = true
      return db.close()
    },
  }
}
