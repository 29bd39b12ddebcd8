/** How a dead letter stands in `ops.dead_letter`. */
import { createHash } from 'node:crypto'
import { AfluenteError } from '../../engine/errors.ts'
import { isLetterState, letterStates, type LetterAction, type LetterState, likenessOf, nextState } from '../../events/dead-letter.ts'
import type { Letter, LetterSummary } from '../../ports/letters.ts'

/** A timestamp of `d` (or of another alias) as ISO 8601 in UTC, with microseconds. */
export function time(column: string, alias = 'd'): string {
  return `to_char(${alias}.${column} at time zone 'UTC', 'YYYY-MM-DD"T"HH24:MI:SS.US"Z"') as ${column}`
}

/** Of `ops.dead_letter as d`; all but what the event says. */
export const SUMMARY = `d.id, d.consumer, d.topic, d."partition", d."offset", d.event_id, d.table_name, d.key, d.error_class, d.message, d.fingerprint, d.attempts,
  ${time('first_seen')}, ${time('last_seen')}, d.state, d.job, d.reason, d.replaced_by, ${time('ended_at')}`

export const WHOLE = `${SUMMARY}, d.payload, d.headers, extract(epoch from d.published_at) * 1000 as published_ms`

type Row = Readonly<Record<string, unknown>>

export function summaryOf(row: Row): LetterSummary {
  return {
    id: text(row, 'id'),
    consumer: text(row, 'consumer'),
    topic: text(row, 'topic'),
    partition: Number(row['partition']),
    offset: text(row, 'offset'),
    eventId: text(row, 'event_id'),
    table: textOrNull(row, 'table_name'),
    key: textOrNull(row, 'key'),
    code: text(row, 'error_class'),
    message: text(row, 'message'),
    fingerprint: text(row, 'fingerprint'),
    attempts: Number(row['attempts']),
    firstSeen: text(row, 'first_seen'),
    lastSeen: text(row, 'last_seen'),
    state: stateOf(row),
    job: textOrNull(row, 'job'),
    reason: textOrNull(row, 'reason'),
    replacedBy: textOrNull(row, 'replaced_by'),
    endedAt: textOrNull(row, 'ended_at'),
  }
}

export function stateOf(row: Row): LetterState {
  const state = row['state']
  if (isLetterState(state)) return state
  throw new AfluenteError(
    'misconfigured',
    'unknown-state',
    `ops.dead_letter has a state that this version does not know: ${String(state)}. Deploy the version that wrote it.`,
  )
}

export function letterOf(row: Row): Letter {
  const summary = summaryOf(row)
  const { topic, partition, offset, key } = summary
  const headers = headersOf(textOrNull(row, 'headers') ?? '{}')
  return { ...summary, record: { topic, partition, offset, timestampMs: Number(row['published_ms'] ?? 0), key, value: textOrNull(row, 'payload'), headers } }
}

/** The same for letters that fail alike. */
export function fingerprintOf(of: Parameters<typeof likenessOf>[0], consumer: string): string {
  return createHash('sha256').update(likenessOf(of, consumer)).digest('hex').slice(0, 16)
}

/** The state an action leads to, as SQL over the column of the present one; the same state where the action can't be. */
export function nextStateOf(action: LetterAction, column: string): string {
  const cases = letterStates.map((state) => `when '${state}' then '${nextState(state, action) ?? state}'`)
  return `case ${column} ${cases.join(' ')} end`
}

export function text(row: Row, name: string): string {
  return String(row[name])
}

export function textOrNull(row: Row, name: string): string | null {
  const value = row[name]
  return typeof value === 'string' ? value : null
}

function headersOf(json: string): Readonly<Record<string, string>> {
  const parsed: unknown = JSON.parse(json)
  return Object.fromEntries(Object.entries(typeof parsed === 'object' && parsed !== null ? parsed : {}).map(([name, value]) => [name, String(value)]))
}
