/** A backfill in words. Ids, counts and states only; a condition as it was given. */
import type { Doing } from '../../../shared/engine/backfill.ts'
import type { Backfill } from '../../../shared/ports/backfills.ts'

const BAR = 20

/** What moves on a terminal while it works. */
export function progressLine(backfill: Backfill, doing: Doing, perSecond: number): string {
  const { estimate, seen, table, waiting } = backfill
  const total = totalOf(backfill)
  const about = estimate !== null && total === estimate && estimate > 100_000
  return `${movingLine(table, { seen, total, about, perSecond })}${stateOf(doing, waiting.length)}`
}

/** A bar with its counts, rate and the time that is left, as far as anybody knows the total. */
export function movingLine(
  title: string,
  of: { readonly seen: number; readonly total: number | null; readonly about: boolean; readonly perSecond: number },
): string {
  const { about, perSecond, seen, total } = of
  const share = total === null || total === 0 ? null : Math.min(1, seen / total)
  const bar = share === null ? '' : ` ${barOf(share)}`
  const left = total === null || perSecond < 1 ? '' : ` · ${timeLeft(Math.max(0, total - seen) / perSecond)} left`
  return `${title}${bar} · ${count(seen)}${total === null ? '' : ` of ${about ? 'about ' : ''}${count(total)}`} · ${count(Math.round(perSecond))}/s${left}`
}

/** Of a share from 0 to 1. */
export function barOf(share: number): string {
  return `${'█'.repeat(Math.floor(share * BAR)).padEnd(BAR, '░')} ${Math.floor(share * 100)} %`
}

function stateOf(doing: Doing, waiting: number): string {
  const held = waiting === 0 ? '' : ` · ${count(waiting)} held by others`
  if (doing === 'paused') return `${held} · paused`
  if (doing === 'waiting-for-room') return `${held} · waits for Kafka`
  if (doing === 'waiting-for-locks') return `${held}, asked for again`
  return held
}

/** As many rows as there will be; null when nobody knows. */
export function totalOf({ estimate, limit, seen }: Backfill): number | null {
  if (estimate === null) return limit
  return Math.max(seen, Math.min(estimate, limit ?? estimate))
}

export function timeLeft(seconds: number): string {
  if (seconds < 90) return `${Math.ceil(seconds)} s`
  if (seconds < 5_400) return `${Math.ceil(seconds / 60)} min`
  return `${(seconds / 3_600).toFixed(1)} h`
}

/** Which rows it is about. */
export function selectionOf({ condition, limit, since, table }: Backfill): string {
  return [
    table,
    ...(condition === null ? [] : [`where ${condition}`]),
    ...(since === null ? [] : [`since ${since.slice(0, 19)}Z`]),
    ...(limit === null ? [] : [`at most ${count(limit)}`]),
  ].join(', ')
}

export function countsOf({ failed, gone, seen, sent, waiting }: Backfill): string {
  return [
    `${count(seen)} row(s) seen`,
    `${count(sent)} sent`,
    ...(gone === 0 ? [] : [`${count(gone)} deleted meanwhile`]),
    ...(waiting.length === 0 ? [] : [`${count(waiting.length)} held by others`]),
    ...(failed === 0 ? [] : [`${count(failed)} could not be printed`]),
  ].join(', ')
}

/** One line of the list. */
export function listLine(backfill: Backfill): string {
  const { endedAt, id, state, worked } = backfill
  const how =
    state === 'running' && !worked ? `interrupted: npx afluente backfill resume ${id}` : state === 'offered' ? `npx afluente backfill ${backfill.table}` : ''
  const total = totalOf(backfill)
  const share = state === 'running' || state === 'paused' ? ` of ${total === null ? 'unknown' : count(total)}` : ''
  return [
    `${String(id).padStart(4)}  ${state.padEnd(9)} ${selectionOf(backfill)}`,
    ...(state === 'offered' ? ['rows that were there before it was captured'] : [`${countsOf(backfill)}${share}`]),
    ...(endedAt === null ? [] : [`ended ${endedAt.slice(0, 19)}Z`]),
    ...(how === '' ? [] : [how]),
  ].join(' · ')
}

export function count(value: number): string {
  return value.toLocaleString('en').replaceAll(',', ' ')
}
