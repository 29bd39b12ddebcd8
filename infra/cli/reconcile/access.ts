/** What comparing takes, from the command line. */
import { type Comparing, createComparing, STATEMENT_MS } from '../../../functions/comparing.ts'
import { postgresPool } from '../../../shared/adapters/postgres/pool.ts'
import { type ReconcileSettings, reconcileSettings } from '../../../shared/config.ts'
import type { AnyPipeline } from '../../../shared/engine/define.ts'
import { demandsOf } from '../../../shared/engine/definition-faults.ts'
import type { Log } from '../../../shared/ports/log.ts'
import { accessEnvironment } from '../access.ts'

const SILENT: Log = { info: () => {}, warn: () => {}, error: () => {} }

export function comparingSettings(env: NodeJS.ProcessEnv, pipeline: AnyPipeline): ReconcileSettings {
  return reconcileSettings(accessEnvironment(env), demandsOf(pipeline))
}

/** Connects when something is asked. */
export function openComparing(settings: ReconcileSettings, pipeline: AnyPipeline): Comparing {
  const analytics = postgresPool({ connectionString: settings.analyticsUrl, max: 2, statementTimeoutMs: STATEMENT_MS })
  const comparing = createComparing({ pipeline, settings, analytics, log: SILENT })
  return {
    ...comparing,
    close: async () => {
      await Promise.allSettled([comparing.close(), analytics.close()])
    },
  }
}
