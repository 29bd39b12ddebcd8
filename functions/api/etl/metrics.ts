/** ETL jobs as Prometheus families. */
import { runStatuses } from '../../../shared/ports/etl-control.ts'
import { type Family, gauge } from '../family.ts'
import type { EtlSurvey } from './health.ts'

const OUTCOMES = ['inserted', 'updated', 'unchanged', 'deleted', 'rejected', 'caughtByOverlap', 'caughtByReconcile'] as const

/** What has not happened yet has no sample. */
export function etlFamilies(jobs: readonly EtlSurvey[], now: number): readonly Family[] {
  const since = (name: string, help: string, momentOf: (job: EtlSurvey) => string | null | undefined) =>
    gauge(
      name,
      help,
      jobs.flatMap((job) => {
        const moment = momentOf(job)
        return moment === null || moment === undefined ? [] : [{ labels: { job: job.job }, value: Math.max(0, (now - Date.parse(moment)) / 1_000) }]
      }),
    )
  const ofEach = (name: string, help: string, value: (job: EtlSurvey) => number) =>
    gauge(
      name,
      help,
      jobs.map((job) => ({ labels: { job: job.job }, value: value(job) })),
    )
  return [
    ofEach('afluente_etl_ok', 'Whether all is well with an ETL job: neither failed, overdue, held up nor filled by another definition.', ({ ok }) =>
      ok ? 1 : 0,
    ),
    ofEach('afluente_etl_running', 'Whether a run of an ETL job is going.', ({ running }) => (running === null ? 0 : 1)),
    gauge(
      'afluente_etl_last_run',
      'How the last run of an ETL job ended: 1 for what it is.',
      jobs.flatMap(({ job, last }) =>
        last === null
          ? []
          : runStatuses.filter((status) => status !== 'running').map((status) => ({ labels: { job, status }, value: last.status === status ? 1 : 0 })),
      ),
    ),
    since('afluente_etl_since_success_seconds', 'Since the end of the last run that ended well.', ({ lastSuccess }) => lastSuccess?.completedAt),
    since('afluente_etl_lag_seconds', 'How far the watermark is behind now: older changes are in silver.', ({ watermark }) => watermark),
    gauge(
      'afluente_etl_last_rows',
      'Rows of the last run that ended well, by what became of them.',
      jobs.flatMap(({ job, lastSuccess }) =>
        lastSuccess === null ? [] : OUTCOMES.map((outcome) => ({ labels: { job, outcome }, value: lastSuccess[outcome] })),
      ),
    ),
  ]
}
