/** Compares ETL jobs with the database that they read, before anything runs. */
import { judgeType } from '../../shared/adapters/postgres/etl-columns.ts'
import { postgresEtlSource } from '../../shared/adapters/postgres/etl-source.ts'
import { sourceDb } from '../../shared/adapters/postgres/source-db.ts'
import type { AnyPipeline } from '../../shared/engine/define.ts'
import { AfluenteError, isAfluenteError } from '../../shared/engine/errors.ts'
import { checkEtlSource } from '../../shared/engine/etl-check.ts'
import { explain } from '../../shared/engine/reason.ts'
import { originName } from '../../shared/tables/etl-job.ts'

export interface EtlCheckOptions {
  readonly pipeline: Pick<AnyPipeline, 'etl'>
  readonly chatwootUrl: string | undefined
  readonly signal: AbortSignal
}

/**
 * What somebody should know, a line each; nothing is changed. A source that does not answer now is such a line: its runs say so by themselves.
 * Throws `misconfigured` with every difference where a job could not run.
 */
export async function checkEtl({ chatwootUrl, pipeline, signal }: EtlCheckOptions): Promise<readonly string[]> {
  const jobs = Object.entries(pipeline.etl ?? {})
  if (jobs.length === 0 || chatwootUrl === undefined) return []
  const db = sourceDb({ connectionString: chatwootUrl, setting: 'CHATWOOT_DATABASE_URL', max: 1 })
  try {
    const checks = []
    for (const [name, job] of jobs) checks.push(await checkEtlSource(name, job, postgresEtlSource({ db }), judgeType, { signal }))
    const faults = checks.flatMap((check) => check.faults)
    if (faults.length > 0) {
      const list = faults.map((fault) => `  - ${fault}`).join('\n')
      throw new AfluenteError('misconfigured', 'etl-source', `ETL jobs and what they read differ in ${faults.length} point(s):\n${list}`)
    }
    return [...jobs.map(([name, { source }]) => `etl: ${name} finds ${originName(source)} as defined`), ...checks.flatMap(({ warnings }) => warnings)]
  } catch (error) {
    if (isAfluenteError(error) && error.code === 'etl-source') throw error
    return [`etl: not compared with its source: ${explain(error)}`]
  } finally {
    await db.close()
  }
}
