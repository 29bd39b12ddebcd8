/** A backfill as people run it: asked for, killed, asked for again in the same words, by two at once even. */
import { runBackfill } from '../../../shared/engine/backfill.ts'
import { settle } from '../../../shared/engine/settled.ts'
import type { Backfill, BackfillRequest, Backfills } from '../../../shared/ports/backfills.ts'
import type { Clock } from '../../../shared/ports/clock.ts'
import type { Log } from '../../../shared/ports/log.ts'
import type { SourceRows } from '../../../shared/ports/source-rows.ts'
import { seededRandom } from '../random.ts'
import { backfillsOf, sourceRowsOf } from './ports-of-jobs.ts'
import { createProcess, type FaultPlan } from './process.ts'
import { TABLE_NAME } from './setting.ts'

export interface BackfillFleetDeps {
  /** Connects a process; `drop` breaks what it has open, as its death does. */
  readonly open: () => { readonly backfills: Backfills; readonly rows: SourceRows; drop(): void }
  /** Of whoever only asks. */
  readonly backfills: Backfills
  readonly clock: Clock
  readonly log: Log
  readonly plan: FaultPlan
  readonly rate: number
}

export interface BackfillFleet {
  ask(): Promise<void>
  /** As it stands, or as it ended. */
  present(): Promise<Backfill | undefined>
  /** Resolves when whoever was frozen until somebody wakes it has done all it still does. */
  lateOnesEnd(): Promise<unknown>
}

/** So long people take to notice that it ended too early. */
const AGAIN_MS = 400
const REQUEST: BackfillRequest = { table: TABLE_NAME, condition: null, spanMs: null, limit: null, estimate: null }
const never = new AbortController().signal

export function backfillFleet({ backfills, clock, log, open, plan, rate }: BackfillFleetDeps): BackfillFleet {
  let id = 0
  let owners = 0
  const late: Promise<unknown>[] = []

  const start = (): void => {
    owners += 1
    const opened = open()
    let frozen = false
    const again = () => void clock.sleep(AGAIN_MS, { signal: never }).then(start)
    const ended = Promise.withResolvers<void>()
    const process = createProcess({
      name: `backfill ${owners}`,
      clock,
      plan,
      rest: 'backfill.rest',
      onDeath: () => {
        opened.drop()
        again()
      },
      onFreeze: (ms) => {
        if (ms !== Number.POSITIVE_INFINITY) return
        // Nobody knows when it wakes: somebody asks again.
        frozen = true
        late.push(ended.promise)
        again()
      },
    })
    const deps = {
      backfills: backfillsOf(process, opened.backfills),
      rows: sourceRowsOf(process, opened.rows),
      clock: process.clock,
      log,
      random: seededRandom(owners),
    }
    void settle(runBackfill({ id, owner: process.name, rate, signal: never }, deps)).then((end) => {
      ended.resolve()
      if (!frozen && (!end.ok || end.value.ending === 'busy')) again()
    })
  }

  return {
    ask: async () => {
      id = (await backfills.start(REQUEST, { signal: never })).id
      start()
    },
    present: async () => (await backfills.list({ signal: never })).find((one) => one.id === id),
    lateOnesEnd: () => Promise.all(late),
  }
}
