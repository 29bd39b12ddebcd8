/** A run as its rows of `ops` tell it. */
import { type EtlRun, type LoadType, loadTypes, type RunStatus, runStatuses, type RunTrigger, runTriggers } from '../../ports/etl-control.ts'

/** A time as text that keeps its microseconds. */
export const iso = (expression: string): string => `to_char(${expression} at time zone 'UTC', 'YYYY-MM-DD"T"HH24:MI:SS.US"Z"')`

/** Of `ops.etl_control as c` joined with `ops.etl_checkpoint as p`. */
export const RUN_COLUMNS = `c.execution_id, c.job, c.load_type, c.triggered_by, c.status, ${iso('c.started_at')} as started_at, ${iso('c.completed_at')} as completed_at,
  c.duration_seconds, ${iso('c.watermark_start')} as watermark_start, ${iso('c.watermark_end')} as watermark_end, ${iso('p.span_from')} as span_from, ${iso('p.span_to')} as span_to,
  coalesce(p.dry_run, false) as dry_run, coalesce(p.accept_deletes, false) as accept_deletes, coalesce(p.cancel_asked, false) as cancel_asked, c.rows_extracted, c.rows_inserted, c.rows_updated, c.rows_unchanged, c.rows_deleted, c.rows_rejected,
  coalesce(p.caught_by_overlap, 0) as caught_by_overlap, coalesce(p.caught_by_reconcile, 0) as caught_by_reconcile, coalesce(p.unknown_words, 0) as unknown_words,
  coalesce(p.pages, 0) as pages, coalesce(p.seen, 0) as seen, p.expected, c.attempt, c.error_message, c.error_traceback, ${iso('p.retry_at')} as retry_at, c.code_version`

export type Row = Readonly<Record<string, unknown>>

export function textOf(row: Row, name: string): string | null {
  const value = row[name]
  return typeof value === 'string' ? value : null
}

export function numberOf(row: Row, name: string): number | null {
  const value = textOf(row, name)
  return value === null ? null : Number(value)
}

export function runOf(row: Row): EtlRun {
  const text = (name: string) => textOf(row, name)
  const count = (name: string) => Number(row[name] ?? 0)
  return {
    id: text('execution_id') ?? '',
    job: text('job') ?? '',
    loadType: oneOf<LoadType>(loadTypes, text('load_type')),
    triggeredBy: oneOf<RunTrigger>(runTriggers, text('triggered_by')),
    status: oneOf<RunStatus>(runStatuses, text('status')),
    startedAt: text('started_at') ?? '',
    completedAt: text('completed_at'),
    durationSeconds: numberOf(row, 'duration_seconds'),
    watermarkStart: text('watermark_start'),
    watermarkEnd: text('watermark_end'),
    from: text('span_from'),
    to: text('span_to'),
    dryRun: text('dry_run') === 't',
    acceptDeletes: text('accept_deletes') === 't',
    cancelAsked: text('cancel_asked') === 't',
    extracted: count('rows_extracted'),
    inserted: count('rows_inserted'),
    updated: count('rows_updated'),
    unchanged: count('rows_unchanged'),
    deleted: count('rows_deleted'),
    rejected: count('rows_rejected'),
    caughtByOverlap: count('caught_by_overlap'),
    caughtByReconcile: count('caught_by_reconcile'),
    unknownWords: count('unknown_words'),
    pages: count('pages'),
    seen: count('seen'),
    expected: numberOf(row, 'expected'),
    attempt: count('attempt'),
    error: text('error_message'),
    errorTraceback: text('error_traceback'),
    retryAt: text('retry_at'),
    codeVersion: text('code_version'),
  }
}

/** The table's own constraint holds the list; a value beyond it is of a later version, and the first will do to show it. */
function oneOf<T extends string>(known: readonly [T, ...T[]], text: string | null): T {
  return known.find((one) => one === text) ?? known[0]
}
