/** Which table the schedule compares next. Pure. */
import type { TableBacklog } from '../ports/outbox.ts'
import type { Verdict } from '../ports/reconciliations.ts'
import { type Duration, milliseconds } from './duration.ts'

/** As a definition says it. */
export interface ReconcileSchedule {
  /** Each table, so often. */
  readonly every: Duration
  /** Whether what is found is mended at once. Left out: it is told, and `npx afluente reconcile --repair` mends it. */
  readonly repair?: boolean
}

export const DEFAULT_SCHEDULE: ReconcileSchedule = { every: '24h' }

export interface Known {
  readonly verdicts: readonly Verdict[]
  readonly tables: readonly Pick<TableBacklog, 'table' | 'reconcileSince'>[]
  readonly nowMs: number
}

const AFTER_FAILURE_MS = 600_000
/** A mark stays while something is wrong: it is not looked at again and again. */
const STILL_MARKED_MS = 3_600_000

/** The tables whose turn it is: those that the source has marked, then those that were never compared, then by age. */
export function dueOf<T extends { readonly name: string }>(all: readonly T[], { every }: ReconcileSchedule, known: Known): readonly T[] {
  const stateOf = ({ name }: T) => ({
    since: known.tables.find(({ table }) => table === name)?.reconcileSince ?? null,
    last: known.verdicts.find(({ table }) => table === name),
  })
  const due = all.filter((one) => {
    const { last, since } = stateOf(one)
    if (last === undefined) return true
    const ageMs = known.nowMs - Date.parse(last.endedAt)
    if (last.problem !== null) return ageMs >= AFTER_FAILURE_MS
    if (since !== null && (Date.parse(since) > Date.parse(last.endedAt) || ageMs >= STILL_MARKED_MS)) return true
    return ageMs >= milliseconds(every)
  })
  const rank = (one: T) => {
    const { last, since } = stateOf(one)
    return [since === null ? 1 : 0, last === undefined ? 0 : Date.parse(last.endedAt)] as const
  }
  return due.toSorted((a, b) => rank(a)[0] - rank(b)[0] || rank(a)[1] - rank(b)[1])
}
