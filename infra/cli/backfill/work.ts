/** Works on a backfill in front of somebody: one line that moves, or one each ten seconds; at the end what came of it. */
import { randomUUID } from 'node:crypto'
import { hostname } from 'node:os'
import { type BackfillEnd, runBackfill } from '../../../shared/engine/backfill.ts'
import type { Backfill } from '../../../shared/ports/backfills.ts'
import type { SourceRow } from '../../../shared/ports/source-rows.ts'
import { Fault } from '../../local/fault.ts'
import { seconds } from '../../local/progress.ts'
import type { Access } from '../access.ts'
import { EXIT, type Exit, type VerbContext } from '../verb.ts'
import { rateMeter } from './rate-meter.ts'
import { count, countsOf, progressLine, selectionOf } from './words.ts'

export interface Working {
  readonly backfill: Backfill
  readonly rate: number | undefined
  readonly json: boolean
  /** Told each row that was seen for the first time. */
  readonly onRow?: (row: SourceRow) => void
  /** More to tell at the end, for people and for machines. */
  readonly atEnd?: () => { readonly lines: readonly string[]; readonly json: Readonly<Record<string, unknown>> }
}

const PLAIN_LINE_MS = 10_000
const NEVER = new AbortController().signal

/** Resolves with the exit code. Throws a `Fault` when somebody else works on it. */
export async function workOn({ atEnd, backfill, json, onRow, rate }: Working, access: Access, { out, seat }: Pick<VerbContext, 'out' | 'seat'>): Promise<Exit> {
  const { clock } = access
  const beganAt = clock.now()
  const meter = rateMeter(() => clock.now(), backfill.seen)
  let toldAt = beganAt
  const end = await runBackfill(
    {
      id: backfill.id,
      owner: `${hostname()} ${process.pid} ${randomUUID()}`,
      rate,
      signal: seat?.signal ?? NEVER,
      onProgress: (present, doing) => {
        const perSecond = meter(present.seen)
        if (seat?.moving !== undefined) seat.moving(progressLine(present, doing, perSecond))
        else if (!json && clock.now() - toldAt >= PLAIN_LINE_MS) {
          toldAt = clock.now()
          out(progressLine(present, doing, perSecond))
        }
      },
      onRows: (rows) => rows.forEach((row) => onRow?.(row)),
    },
    access,
  ).finally(() => seat?.moving?.(null))
  const present = endedWell(end, backfill.id)
  const ms = clock.now() - beganAt
  const more = atEnd?.()
  await access.operations.audit(
    { actor: 'operator', action: `backfill.${present.ending}`, subject: subjectOf(present.backfill), details: tallyOf(present.backfill) },
    { signal: NEVER },
  )
  if (json)
    out(
      JSON.stringify(
        { ending: present.ending, ms, rowsPerSecond: perSecond(present.backfill, backfill, ms), ...more?.json, backfill: shown(present.backfill) },
        null,
        2,
      ),
    )
  else for (const line of [...endLines(present, backfill, ms), ...(more?.lines ?? [])]) out(line)
  // Also where somebody else sent the last of it.
  return present.backfill.state === 'done' && present.backfill.failed === 0 ? EXIT.well : EXIT.fault
}

export function subjectOf({ id, table }: Backfill): string {
  return `${table}, backfill ${id}`
}

function tallyOf({ failed, gone, seen, sent }: Backfill): Readonly<Record<string, number>> {
  return { seen, sent, gone, failed }
}

/** Without the keys that wait: they are values of rows. */
export function shown({ reached, waiting, ...rest }: Backfill): Readonly<Record<string, unknown>> {
  return { ...rest, begun: reached !== null, waiting: waiting.length }
}

type Ended = Extract<BackfillEnd, { ending: 'done' | 'cancelled' | 'interrupted' | 'already-ended' }>

function endedWell(end: BackfillEnd, id: number): Ended {
  if (end.ending === 'busy') throw busy(id)
  if (end.ending === 'taken-over') throw new Fault(`Somebody else took backfill ${id} over`, 'npx afluente backfill list shows how far it is')
  if (end.ending === 'unknown') throw new Fault(`There is no backfill ${id} any more`, 'npx afluente backfill list shows those there are')
  return end
}

function busy(id: number): Fault {
  return new Fault(`Somebody else works on backfill ${id}, and nothing was done here`, 'npx afluente backfill list shows how far it is')
}

/** Longer than whoever was killed keeps it. */
const FREE_WITHIN_MS = 12_000
const LOOK_MS = 250

interface Freeing {
  readonly backfills: Pick<Access['backfills'], 'list'>
  readonly clock: Access['clock']
}

/** The backfill once nobody works on it, or it is paused. Throws a `Fault` when somebody goes on doing so: whoever was killed is forgotten within ten seconds. */
export async function freed(held: Backfill, { backfills, clock }: Freeing, say: (line: string) => void, signal: AbortSignal): Promise<Backfill> {
  let present: Backfill | undefined = held
  const isTaken = () => present?.worked === true && present.state === 'running'
  if (isTaken()) say(`backfill ${held.id}: waits up to ten seconds for whoever had it, who may have been killed`)
  for (const until = clock.now() + FREE_WITHIN_MS; isTaken();) {
    if (clock.now() > until) throw busy(held.id)
    await clock.sleep(LOOK_MS, { signal })
    if (signal.aborted) throw new Fault('Interrupted while it waited', 'Nothing was done here')
    present = (await backfills.list({ signal })).find(({ id }) => id === held.id)
  }
  return present ?? held
}

function perSecond(after: Backfill, before: Backfill, ms: number): number {
  return Math.round(((after.seen - before.seen) * 1_000) / Math.max(1, ms))
}

function endLines({ backfill, ending }: Ended, before: Backfill, ms: number): readonly string[] {
  const told = `${selectionOf(backfill)}: ${countsOf(backfill)}`
  const failed = backfill.failed === 0 ? [] : ['✗ the rows that could not be printed are in no sink as they stand: their table is marked to be reconciled']
  if (ending === 'done') return [`✓ ${told}, in ${seconds(ms)} (${count(perSecond(backfill, before, ms))} rows/s)`, ...failed]
  if (ending === 'interrupted') return [`${told}; interrupted. It goes on with: npx afluente backfill resume ${backfill.id}`]
  if (ending === 'cancelled') return [`${told}; cancelled`]
  if (backfill.state === 'done') return [`✓ ${told}; whoever had it sent it to its end`, ...failed]
  return [`${told}; it had ended before (${backfill.state})`]
}
