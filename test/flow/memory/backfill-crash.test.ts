/**
 * Every step boundary of a backfill, struck in every way while others write: it ends, each row it saw was sent or is gone, and the
 * sinks hold the rows of the run without a fault.
 */
import { beforeAll, describe, expect, test } from 'vitest'
import { memoryBackfills } from '../../../shared/adapters/memory/backfills.ts'
import { memorySourceRows } from '../../../shared/adapters/memory/source-rows.ts'
import { memoryLines } from '../../../shared/adapters/memory/lines.ts'
import { backfillFleet } from '../../support/failpoints/backfill-fleet.ts'
import { type BackfillBoundary, backfillBoundaries, moments } from '../../support/failpoints/boundaries.ts'
import { failpoint, type Failpoint, passage } from '../../support/failpoints/failpoint.ts'
import { type Attempt, endingsAt, occurrencesOf } from '../../support/failpoints/matrix.ts'
import { imageOf, TABLE_NAME } from '../../support/failpoints/setting.ts'
import { brokenPromises } from './promises.ts'
import { createWorld } from './world.ts'

const ROWS = 9

interface Run {
  readonly plan: Failpoint
  readonly broken: readonly string[]
  /** Versions depend on when each row was sent: the rows do not. */
  readonly rows: unknown
}

async function run(at?: Attempt & { readonly boundary: BackfillBoundary }): Promise<Run> {
  const woken = Promise.withResolvers<void>()
  const plan =
    at === undefined ? failpoint() : failpoint({ part: 'backfill', ...at }, { ...at.ending.fault, ...(at.ending.zombie ? { until: woken.promise } : {}) })
  const world = createWorld({ shape: { seed: 1, instances: 1, batch: 3, budgetMs: 100_000 }, plan })
  const { clock, source } = world
  const write = (transaction: ReturnType<typeof source.begin>, key: number, n: number | null) =>
    transaction.write({ table: TABLE_NAME, key: `["k${key}"]`, after: n === null ? null : imageOf(`k${key}`, n) })
  const commit = (...writes: readonly (readonly [key: number, n: number | null])[]) => {
    const transaction = source.begin()
    for (const [key, n] of writes) write(transaction, key, n)
    transaction.commit()
  }
  const broken: string[] = []
  const rest = async (when: string) => {
    if (!(await world.rest())) broken.push(`it never came to rest ${when}`)
  }

  commit(...Array.from({ length: ROWS }, (_, key) => [key, 1] as const))
  await rest('before it began')
  const opened = { backfills: memoryBackfills({ source, clock, captured: [TABLE_NAME] }), rows: memorySourceRows({ source }) }
  const fleet = backfillFleet({ open: () => ({ ...opened, drop: () => {} }), backfills: opened.backfills, clock, log: memoryLines(), plan, rate: 10 })
  const holding = source.begin()
  write(holding, 3, 2)
  await fleet.ask()
  await world.pass(250)
  commit([1, 3], [7, null])
  await world.pass(2_500)
  holding.commit()
  let present = await fleet.present()
  for (let seconds = 0; present?.state === 'running' && seconds < 200; seconds += 1) {
    await world.pass(1_000)
    present = await fleet.present()
  }
  await rest('after it ended')
  commit([1, 8], [2, null], [8, 5])
  await rest('after the later changes')
  woken.resolve()
  await world.pass(2_000)
  await rest('after the zombie woke')
  await world.end()

  const after = await fleet.present()
  if (present?.state !== 'done' || present.waiting.length > 0) broken.push(`it ended as ${JSON.stringify(present)}`)
  if (present !== undefined && present.sent + present.gone !== present.seen) broken.push(`of ${present.seen} rows ${present.sent + present.gone} were told of`)
  if (JSON.stringify(after) !== JSON.stringify(present)) broken.push(`who woke late changed it: ${JSON.stringify(after)}`)
  const read = new Set(source.history.filter(({ op }) => op === 'read').map(({ key }) => key))
  for (let key = 0; key < ROWS; key += 1) if (key !== 7 && !read.has(`["k${key}"]`)) broken.push(`k${key} was never sent`)
  const rows = world.sides.map(({ analytics }) => [...(analytics.silver.get(TABLE_NAME) ?? [])].map(([key, row]) => `${key} ${row.after}`).toSorted())
  return { plan, broken: [...broken, ...brokenPromises(world)], rows }
}

let calm: Run
beforeAll(async () => {
  calm = await run()
})
const timesPassed = (boundary: BackfillBoundary) => calm.plan.passed.get(passage('backfill', boundary)) ?? 0

test('without a fault no promise is broken, and every boundary that has a name is passed', () => {
  expect(calm.broken).toEqual([])
  expect(backfillBoundaries.filter((boundary) => timesPassed(boundary) === 0)).toEqual([])
})

describe.each(backfillBoundaries)('a fault at %s', (boundary) => {
  test.each(endingsAt('backfill', boundary))('$name: it ends, and the sinks hold the rows', async (ending) => {
    for (const moment of moments) {
      for (const occurrence of occurrencesOf(timesPassed(boundary))) {
        const { broken, plan, rows } = await run({ boundary, moment, occurrence, ending })
        const where = `${moment} it, time ${occurrence}`
        expect({ where, struck: plan.struck, broken }).toEqual({ where, struck: true, broken: [] })
        expect(rows, where).toEqual(calm.rows)
      }
    }
  })
})
