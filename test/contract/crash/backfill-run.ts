/** A backfill with the product's own SQL while others write: killed, stalled, asked for again. */
import { systemClock } from '../../../shared/adapters/clock.ts'
import { memoryLines } from '../../../shared/adapters/memory/lines.ts'
import { sourceDb } from '../../../shared/adapters/postgres/source-db.ts'
import { sourceRows } from '../../../shared/adapters/postgres/source-rows.ts'
import { supabaseBackfills } from '../../../shared/adapters/supabase/backfills.ts'
import type { Backfill, Backfills } from '../../../shared/ports/backfills.ts'
import { backfillFleet } from '../../support/failpoints/backfill-fleet.ts'
import type { BackfillBoundary } from '../../support/failpoints/boundaries.ts'
import { passage } from '../../support/failpoints/failpoint.ts'
import { TABLE_NAME } from '../../support/failpoints/setting.ts'
import { eventually } from '../../support/poll.ts'
import { assertNoneIsStale } from '../../support/resend-properties.ts'
import { assertEndsEqual } from '../../support/source-properties.ts'
import { sqlClient } from '../capture/sql-outbox.ts'
import type { Pair } from './databases.ts'
import { connections, type JobCell, type JobRun, jobPlan } from './job-run.ts'

const ROWS = 9
/** Long enough for a busy machine, short enough to wait for the end of one that is dead. */
const LEASE_MS = 700
const RATE = 40
const WITHIN_MS = 30_000

export async function backfillRun(pair: Pair, at?: JobCell<BackfillBoundary>): Promise<JobRun> {
  const { source, writers } = pair
  const woken = Promise.withResolvers<void>()
  const plan = jobPlan('backfill', at, woken.promise)
  const clock = systemClock()
  const { close, open } = connections(pair, source.database.url)
  const connect = () =>
    open((url, closes) => {
      const [rest, db] = [sqlClient(url, 2), sourceDb({ connectionString: url, max: 1 })]
      closes(() => Promise.all([rest.close(), db.close()]))
      return { backfills: shortlyLeased(supabaseBackfills({ client: rest.client })), rows: sourceRows({ db }) }
    })
  const [holding, writing] = writers
  const broken: string[] = []
  try {
    await source.run(`insert into ${TABLE_NAME} select 'k' || i, 1 from generate_series(0, ${ROWS - 1}) as i`)
    const fleet = backfillFleet({ open: connect, backfills: connect().backfills, clock, log: memoryLines(), plan, rate: RATE })
    await holding?.run(`begin; update ${TABLE_NAME} set n = 2 where id = 'k3'`)
    await fleet.ask()
    const looks = async (what: string, look: (present: Backfill) => boolean) =>
      eventually(
        what,
        async () => {
          const backfill = await fleet.present()
          return backfill !== undefined && look(backfill)
        },
        WITHIN_MS,
      )
    await looks('it has begun', ({ seen }) => seen > 0)
    await writing?.run(`begin; update ${TABLE_NAME} set n = 3 where id = 'k1'; delete from ${TABLE_NAME} where id = 'k7'; commit`)
    const renewed = () => plan.passed.has(passage('backfill', 'backfill.renew'))
    await looks('it waits for the row that is held, longer than a lease goes unrenewed', ({ waiting }) => waiting.includes('["k3"]') && renewed())
    await holding?.run('commit')
    let present = await fleet.present()
    await eventually('the backfill ends', async () => (present = await fleet.present())?.state !== 'running', WITHIN_MS)
    await writing?.run(`update ${TABLE_NAME} set n = 2 where id = 'k1'; delete from ${TABLE_NAME} where id = 'k8'; insert into ${TABLE_NAME} values ('k8', 5)`)
    woken.resolve()
    await fleet.lateOnesEnd()

    const after = await fleet.present()
    if (present?.state !== 'done' || present.waiting.length > 0) broken.push(`it ended as ${JSON.stringify(present)}`)
    if (present !== undefined && present.sent + present.gone !== present.seen)
      broken.push(`of ${present.seen} rows ${present.sent + present.gone} were told of`)
    if (present !== undefined && present.seen > ROWS) broken.push(`it saw ${present.seen} rows of ${ROWS}`)
    if (JSON.stringify(after) !== JSON.stringify(present)) broken.push(`who woke late changed it: ${JSON.stringify(after)}`)
    const sent = await source.outbox(TABLE_NAME)
    const read = new Set(sent.filter(({ op }) => op === 'read').map(({ key }) => key))
    for (let key = 0; key < ROWS; key += 1) if (key !== 7 && !read.has(`["k${key}"]`)) broken.push(`k${key} was never sent`)
    assertNoneIsStale(sent, new Map())
    await assertEndsEqual(source, TABLE_NAME, 'id')
    return { plan, broken, ended: await source.run(`select id, n from ${TABLE_NAME} order by id`) }
  } finally {
    woken.resolve()
    await close()
  }
}

function shortlyLeased(backfills: Backfills): Backfills {
  return {
    ...backfills,
    hold: (of, options) => backfills.hold({ ...of, leaseMs: LEASE_MS }, options),
    send: (of, options) => backfills.send({ ...of, leaseMs: LEASE_MS }, options),
  }
}
