/** A reconcile in words. Keys are named, as they stand on topics; values never. */
import { isAfluenteError } from '../../../shared/engine/errors.ts'
import type { Doing } from '../../../shared/engine/reconcile-deps.ts'
import { isClean, verdictText } from '../../../shared/engine/reconcile-verdict.ts'
import type { Finding, Outcome } from '../../../shared/ports/reconciliations.ts'
import { Fault } from '../../local/fault.ts'
import { seconds } from '../../local/progress.ts'
import { count } from '../backfill/words.ts'

/** As many are named. */
const NAMED = 20
const PLACES = { silver: 'in silver', index: 'in the index' } as const

export function progressLine(table: string, doing: Doing, done: number, total: number | null): string {
  if (total === null) return `${table} · ${doing}${done === 0 ? '' : ` · ${count(done)} left`}`
  return `${table} · ${doing} · ${Math.floor((Math.min(done, total) * 100) / Math.max(1, total))} %`
}

export interface Ended {
  readonly table: string
  readonly outcome: Outcome
  readonly found: readonly Finding[]
  readonly repaired: boolean
  readonly ms: number
}

export function endLines({ found, ms, outcome, repaired, table }: Ended): readonly string[] {
  return [
    `${isClean(outcome) ? '✓' : '✗'} ${table}: ${verdictText(outcome)} (${seconds(ms)})`,
    ...found
      .slice(0, NAMED)
      .map(({ key, sink, what }) => `    ${what} ${PLACES[sink]}: ${key}${repaired ? (isLeft(outcome, { key, sink, what }) ? ', still so' : ', mended') : ''}`),
    ...(found.length > NAMED ? [`    and ${count(found.length - NAMED)} more${repaired ? '' : '; --json names all of them'}`] : []),
    ...(outcome.mended === 0 ? [] : [`  ${count(outcome.mended)} of ${count(found.length)} mended, through the outbox`]),
    ...(outcome.unopened === 0 ? [] : [`  ! ${count(outcome.unopened)} row(s) lie in ranges that differ and were not looked at one by one`]),
    ...(isClean(outcome) ? [] : adviceOf(table, outcome, repaired)),
  ]
}

/** What ended a reconcile before its verdict, with what it has done by then. What is no fault of anybody's systems is a defect, and stays as it is. */
export function interrupted(error: unknown, { of, repairing }: { readonly of: string; readonly repairing: boolean }): unknown {
  if (!isAfluenteError(error)) return error
  const done = repairing ? 'Some of the repair may be sent: with --repair again it looks again, and sends the rest' : 'Nothing was changed'
  return new Fault(`${of}: ${error.message.replace(/\.$/, '')}`, `${done}.`, { cause: error })
}

function adviceOf(table: string, { keys }: Outcome, repaired: boolean): readonly string[] {
  if (!repaired) return [`  npx afluente reconcile ${table} --repair sends them again`]
  const [first] = keys
  return first === undefined
    ? []
    : [`  What a sink refuses lies among the dead letters (npx afluente dlq list); npx afluente trace ${table} '${first.key}' tells what became of one`]
}

function isLeft({ keys }: Outcome, of: Finding): boolean {
  return keys.some(({ key, sink }) => key === of.key && sink === of.sink)
}
