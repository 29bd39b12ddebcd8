/** A redrive with the product's own SQL: letters that a real sink refused, sent again by processes that die or stall, each wake-up a new one. */
import { systemClock } from '../../../shared/adapters/clock.ts'
import { postgresControl } from '../../../shared/adapters/postgres/control.ts'
import { postgresPool } from '../../../shared/adapters/postgres/pool.ts'
import { postgresRedrives } from '../../../shared/adapters/postgres/redrives.ts'
import { postgresSink } from '../../../shared/adapters/postgres/sink.ts'
import { createRedrive } from '../../../shared/engine/redrive.ts'
import { settle } from '../../../shared/engine/settled.ts'
import type { RedriveBoundary } from '../../support/failpoints/boundaries.ts'
import { failpoint } from '../../support/failpoints/failpoint.ts'
import { redrivenControlOf, redrivenSinkOf, redrivesOf } from '../../support/failpoints/ports-of-jobs.ts'
import { createProcess } from '../../support/failpoints/process.ts'
import { TABLE, TABLE_NAME } from '../../support/failpoints/setting.ts'
import type { Pair } from './databases.ts'
import { watchFences } from './fences.ts'
import { connections, type JobCell, type JobRun, jobPlan } from './job-run.ts'
import { createCrashWorld, type Tamper } from './world.ts'

const CONSUMER = 'postgres'
const MOST_PASSES = 20
const options = { signal: new AbortController().signal }
const SILENT = { info: () => {}, warn: () => {}, error: () => {} }

export async function redriveRun(pair: Pair, at?: JobCell<RedriveBoundary>, tamper: Tamper = (db) => db): Promise<JobRun> {
  const { analytics, analyticsUrl, source } = pair
  const woken = Promise.withResolvers<void>()
  const plan = jobPlan('redrive', at, woken.promise)
  const clock = systemClock()
  const world = createCrashWorld({ pair, plan: failpoint(), shape: { seed: 1, instances: 1, batch: 10, budgetMs: 10_000 }, tamper: (db) => db })
  const broken: string[] = []
  const fences = watchFences(broken)
  const { close, open } = connections(pair, analyticsUrl)
  const connect = () =>
    open((url, closes) => {
      const pool = postgresPool({ connectionString: url, max: 2, onIdleError: () => undefined })
      closes(() => pool.close())
      return { db: tamper(pool) }
    })
  const write = async (text: string) => {
    await source.run(text)
    world.ring(0)
    if (!(await world.rest())) broken.push(`it never came to rest after ${text}`)
  }
  const refusing = (check: string) =>
    analytics.query(`alter table silver.leads drop constraint refused; alter table silver.leads add constraint refused check (${check})`)

  let made = 0
  const late: Promise<unknown>[] = []
  /** As each wake-up of the consumer's object is one. */
  const pass = async (): Promise<void> => {
    made += 1
    const { db, drop } = connect()
    const [over, ended] = [Promise.withResolvers<void>(), Promise.withResolvers<void>()]
    const onDeath = () => {
      drop()
      over.resolve()
    }
    const process = createProcess({
      name: `redrive ${made}`,
      clock,
      plan,
      onDeath,
      onFreeze: (ms) => {
        if (ms !== Number.POSITIVE_INFINITY) return
        late.push(ended.promise)
        over.resolve()
      },
    })
    const redrive = createRedrive({
      consumer: CONSUMER,
      owner: process.name,
      tables: [TABLE],
      sink: redrivenSinkOf(process, fences.sink(postgresSink({ db, tables: [TABLE], bronze: true, silver: true }))),
      control: redrivenControlOf(process, fences.control(postgresControl({ db }))),
      redrives: redrivesOf(process, postgresRedrives({ db })),
      clock: process.clock,
      log: SILENT,
      random: () => 0,
    })
    // One that can not even look is woken again with the next sweep.
    void settle(redrive(options)).then(() => {
      ended.resolve()
      over.resolve()
    })
    await over.promise
  }

  const asked = connect()
  const redrives = postgresRedrives({ db: asked.db })
  try {
    await write(`insert into ${TABLE_NAME} select 'k' || i, -1 from generate_series(1, 4) as i`)
    // Of the third a newer version comes; the second is refused still.
    await write(`update ${TABLE_NAME} set n = 9 where id = 'k3'`)
    await refusing(`n <> -1 or id <> 'k2'`)
    const [job] = await redrives.start({ filter: {}, consumers: [CONSUMER], actor: 'operator' }, options)
    const present = async () => redrives.find(job?.id ?? '0', options)
    for (let wakes = 0; wakes < MOST_PASSES && (await present())?.state !== 'done'; wakes += 1) await pass()
    await write(`update ${TABLE_NAME} set n = 10 where id = 'k1'`)
    const before = await endedOf(pair)
    woken.resolve()
    await Promise.all(late)
    const ended = await endedOf(pair)
    if (JSON.stringify(ended) !== JSON.stringify(before)) broken.push(`who woke late changed ${JSON.stringify(before)} to ${JSON.stringify(ended)}`)
    const { rows: wrong } = await analytics.query<{ what: string }>(
      `select what from watch.went_back union all select format('%s: %s + %s + %s + %s of %s', topic, accepted, duplicate, late, dead, consumed) from ops.consumer_progress where accepted + duplicate + late + dead <> consumed`,
    )
    return { plan, broken: [...broken, ...wrong.map(({ what }) => what)], ended }
  } finally {
    woken.resolve()
    await world.end()
    await close()
    await analytics.query('truncate silver.leads, ops.redrive_job')
    await refusing('n <> -1')
  }
}

/** What the sink took for new and what it knew already depends on when somebody died: the sum does not. */
async function endedOf({ analytics }: Pair): Promise<unknown> {
  const read = async (text: string) => (await analytics.query(text)).rows
  return {
    rows: await read('select id, n from silver.leads where _deleted_at is null order by id'),
    letters: await read('select key, state, attempts from ops.dead_letter order by key, id'),
    jobs: await read('select state, total, done, failed, accepted + duplicate as landed, late from ops.redrive_job'),
    bronze: await read('select key, op, count(*)::int as events from bronze.events group by 1, 2 order by 1, 2'),
  }
}
