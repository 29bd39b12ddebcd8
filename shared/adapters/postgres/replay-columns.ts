/** How replays, shadows and kept events stand in their tables. */
import { AfluenteError } from '../../engine/errors.ts'
import { isOp } from '../../events/change.ts'
import type { KeptEvent } from '../../events/kept-event.ts'
import { type ReplayJob, replayKinds, replayPhases, replayStates, type ShadowEntry, shadowStates } from '../../ports/replays.ts'
import { text, textOrNull, time } from './letter-columns.ts'

/** Of `ops.replay_job as j`. */
export const JOB = `j.id, j.kind, j.consumer, j.source_table, j.key, j.state, j.phase, j.total, j.done, j.accepted, j.duplicate, j.late, j.failed, j.steps, j.problem, j.report, j.actor, j."position",
  ${['since', 'until', 'created_at', 'updated_at', 'finished_at'].map((column) => time(column, 'j')).join(', ')}`

/** Of `bronze.events as e`; times as they stood on the topic. */
export const EVENT = `e.event_id, e.source, e.source_table, e.key, e.version, e.op, e.before, e.after, e.traceparent, e.kafka_topic, e.kafka_partition, e.kafka_offset,
  (to_json(e.occurred_at at time zone 'UTC') #>> '{}') || '+00:00' as occurred_at, to_char(e.claimed_at at time zone 'UTC', 'YYYY-MM-DD"T"HH24:MI:SS.MS"Z"') as claimed_at,
  extract(epoch from e.published_at) * 1000 as published_ms`

/** Of `ops.shadow as s`. */
export const SHADOW = `s.consumer, s.source_table, s.live, s.shadow, s.state, s.job, ${time('made_at', 's')}`

type Row = Readonly<Record<string, unknown>>

export function jobOf(row: Row): ReplayJob {
  const count = (name: string) => Number(row[name])
  return {
    id: text(row, 'id'),
    kind: known(row, 'kind', replayKinds),
    consumer: text(row, 'consumer'),
    table: text(row, 'source_table'),
    key: textOrNull(row, 'key'),
    since: textOrNull(row, 'since'),
    until: textOrNull(row, 'until'),
    state: known(row, 'state', replayStates),
    phase: known(row, 'phase', replayPhases),
    total: count('total'),
    done: count('done'),
    accepted: count('accepted'),
    duplicate: count('duplicate'),
    late: count('late'),
    failed: count('failed'),
    steps: count('steps'),
    problem: textOrNull(row, 'problem'),
    report: JSON.parse(text(row, 'report')),
    actor: text(row, 'actor'),
    createdAt: text(row, 'created_at'),
    updatedAt: text(row, 'updated_at'),
    finishedAt: textOrNull(row, 'finished_at'),
  }
}

function known<T extends string>(row: Row, name: string, values: readonly T[]): T {
  const found = values.find((one) => one === row[name])
  if (found !== undefined) return found
  throw new AfluenteError('misconfigured', `unknown-${name}`, `A replay or shadow has a ${name} that this version does not know: ${text(row, name)}.`)
}

export function shadowEntryOf(row: Row): ShadowEntry {
  return {
    consumer: text(row, 'consumer'),
    table: text(row, 'source_table'),
    live: textOrNull(row, 'live'),
    shadow: textOrNull(row, 'shadow'),
    state: known(row, 'state', shadowStates),
    job: text(row, 'job'),
    madeAt: text(row, 'made_at'),
  }
}

export function eventOf(row: Row): KeptEvent {
  const { op } = row
  if (!isOp(op)) throw new AfluenteError('misconfigured', 'unknown-op', `Bronze has an op that this version does not know: ${text(row, 'op')}.`)
  return {
    eventId: text(row, 'event_id'),
    source: textOrNull(row, 'source') ?? '',
    table: text(row, 'source_table'),
    key: textOrNull(row, 'key') ?? '',
    version: Number(row['version']),
    op,
    before: textOrNull(row, 'before'),
    after: textOrNull(row, 'after'),
    occurredAt: textOrNull(row, 'occurred_at') ?? '',
    claimedAt: textOrNull(row, 'claimed_at'),
    publishedMs: Number(row['published_ms'] ?? 0),
    traceparent: textOrNull(row, 'traceparent'),
    topic: text(row, 'kafka_topic'),
    partition: Number(row['kafka_partition']),
    offset: text(row, 'kafka_offset'),
  }
}
