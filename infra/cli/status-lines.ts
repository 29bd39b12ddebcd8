import type { Job } from './etl/answers.ts'
import type { Readiness, Status } from './status.ts'

export interface Shown {
  readonly worker: string
  readonly ready: Readiness
  readonly status: Status
  readonly faults: readonly string[]
}

/** Letters that somebody has to see to, or that are under way; the others have ended. */
const UNSETTLED = ['open', 'redriven']

/** The status for people. Ids, counts and states only. */
export function statusLines({ worker, ready, status, faults }: Shown): readonly string[] {
  const { at, consumers, outbox, deadLetters, purges, etl, latency } = status
  const unsettled = (deadLetters ?? []).filter(({ letters, state }) => letters > 0 && UNSETTLED.includes(state))
  return [
    `afluente ${status.version} · ${status.environment} · ${worker} · ${at}`,
    '',
    'parts',
    ...ready.parts.map(
      ({ name, ok, latencyMs, reason }) =>
        `  ${mark(ok)} ${name.padEnd(24)} ${ok ? `${latencyMs} ms${reason === null ? '' : ` (${reason})`}` : (reason ?? 'does not answer')}`,
    ),
    'consumers',
    ...consumers.map(
      ({ name, state, reason, lag, counters }) =>
        `  ${mark(state === 'running' || state === 'idle')} ${name.padEnd(24)} ${state}, lag ${lag ?? 'unknown'}${counters === null ? '' : `, ${countsOf(counters)}`}${reason === '' ? '' : ` (${reason})`}`,
    ),
    'outbox',
    ...(outbox === null ? ['  ✗ unknown: the source does not answer'] : outboxLines(outbox)),
    'reconciled',
    ...reconciledLines(ready.reconciled),
    'dead letters',
    ...(deadLetters === null
      ? ['  ✗ unknown: the analytics database does not answer']
      : unsettled.length === 0
        ? ['  ✓ none']
        : unsettled.map(({ consumer, state, letters }) => `  ! ${letters} ${state}, of the consumer ${consumer} (npx afluente dlq list)`)),
    ...purgeLines(purges),
    ...(etl === null
      ? ['etl', '  ✗ unknown: the analytics database does not answer']
      : etl.length === 0
        ? []
        : ['etl', ...etl.map((job) => `  ${mark(job.ok)} ${job.job.padEnd(24)} ${etlText(job, Date.parse(at))}`)]),
    ...(latency === null || latency.p50Ms === null
      ? []
      : [
          'latency, last minute',
          `    ${latency.events} events · p50 ${Math.round(latency.p50Ms)} ms · p99 ${Math.round(latency.p99Ms ?? 0)} ms, source to bronze`,
        ]),
    '',
    ...(faults.length === 0 ? ['all is well'] : [`${faults.length} fault(s):`, ...faults.map((fault) => `  ✗ ${fault}`)]),
  ]
}

function reconciledLines(reconciled: Readiness['reconciled']): readonly string[] {
  if (reconciled === null) return ['  ✗ unknown: the analytics database does not answer']
  if (reconciled.length === 0) return ['  - not yet: npx afluente reconcile compares source and copies']
  return reconciled.map(({ ok, table, verdict }) => `  ${mark(ok)} ${table.padEnd(24)} ${verdict}`)
}

function outboxLines({ failures, keeps, oldestMs, refused, rows, tables }: NonNullable<Status['outbox']>): readonly string[] {
  const waiting = `${rows > 10_000 ? 'more than 10000' : rows} change(s) waiting${oldestMs === null ? '' : `, the oldest for ${(oldestMs / 1_000).toFixed(1)} s`}`
  return [
    `  ${mark(failures === 0 && refused === null)} ${waiting}`,
    ...(refused === null ? [] : [`  ✗ capture stands still: ${refused}`]),
    ...(keeps === 'images' ? [] : [`  ✗ above its budget: ${keeps === 'keys' ? 'only the keys' : 'nothing'} of new changes is kept`]),
    ...tables.flatMap(({ table, keysOnlySince }) =>
      keysOnlySince === null ? [] : [`  ! ${table}: history has gaps since ${keysOnlySince}, when only keys were kept; its present rows are right`],
    ),
    ...tables.flatMap(({ table, reconcileSince }) => (reconcileSince === null ? [] : [`  ! ${table}: to be reconciled, marked since ${reconcileSince}`])),
  ]
}

/** Nothing before the first look. What holds a purge back is no fault: it is there to be. */
function purgeLines(purges: Status['purges']): readonly string[] {
  if (purges === null || purges.length === 0) return []
  return [
    'tombstones',
    ...purges.flatMap(({ before, consumer, heldBack, lookedAt, purged, table }) => [
      `  ${before === null ? '!' : '✓'} ${table}, in ${consumer}: ${purged} purged; ${before === null ? 'none may go now' : `those of before ${before} may go`}, as of ${lookedAt ?? 'never'}`,
      ...heldBack.map((why) => `      held back: ${why}`),
    ]),
  ]
}

function etlText({ last, lastSuccess, running, schedule, watermark }: Job, now: number): string {
  const behind = watermark === null ? 'nothing loaded yet' : `${((now - Date.parse(watermark)) / 1_000).toFixed(0)} s behind`
  const success = lastSuccess === null ? 'no run has ended well yet' : `last good run ${lastSuccess.startedAt.slice(0, 19)}Z`
  const next = schedule?.next[0]
  return [
    behind,
    success,
    ...(last?.status === 'failed' ? ['the last one failed'] : []),
    ...(running === null ? [] : [`run ${running.id} is going`]),
    ...(next === undefined ? [] : [`next ${next.slice(0, 16)}Z`]),
  ].join(', ')
}

function mark(ok: boolean): string {
  return ok ? '✓' : '✗'
}

function countsOf({ consumed, accepted, duplicate, late, dead }: NonNullable<Status['consumers'][number]['counters']>): string {
  return `${consumed} consumed = ${accepted} accepted + ${duplicate} duplicate + ${late} late + ${dead} dead`
}
