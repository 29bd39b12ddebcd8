/**
 * Every step boundary of a redrive, struck in every way: each letter is in the sink and resolved, or is the same letter with one attempt
 * more; the job is done and has counted each of them once.
 */
import { beforeAll, describe, expect, test } from 'vitest'
import { memoryRedrives } from '../../../shared/adapters/memory/redrives.ts'
import type { MemoryClock } from '../../../shared/adapters/memory/clock.ts'
import { createRedrive } from '../../../shared/engine/redrive.ts'
import { settle } from '../../../shared/engine/settled.ts'
import { moments, type RedriveBoundary, redriveBoundaries } from '../../support/failpoints/boundaries.ts'
import { failpoint, type Failpoint, passage } from '../../support/failpoints/failpoint.ts'
import { type Attempt, endingsAt, occurrencesOf } from '../../support/failpoints/matrix.ts'
import { redrivenControlOf, redrivenSinkOf, redrivesOf } from '../../support/failpoints/ports-of-jobs.ts'
import { createProcess, type FaultPlan } from '../../support/failpoints/process.ts'
import { drive } from '../../support/virtual-time.ts'
import { people, recordOf } from '../../unit/deliver/world.ts'
import { redriveWorld } from '../../unit/redrive/world.ts'

interface Run {
  readonly plan: Failpoint
  readonly broken: readonly string[]
  readonly ended: unknown
}

const never = new AbortController().signal
const SWEEP_MS = 60_000

async function run(at?: Attempt & { readonly boundary: RedriveBoundary }): Promise<Run> {
  const woken = Promise.withResolvers<void>()
  const plan =
    at === undefined ? failpoint() : failpoint({ part: 'redrive', ...at }, { ...at.ending.fault, ...(at.ending.zombie ? { until: woken.promise } : {}) })
  const world = await redriveWorld([1, 2, 3, 4].map((id) => recordOf(id, id)))
  // The second is refused still; of the third a newer version has come.
  world.breakAgain(({ version }) => version === 2)
  await world.deliver([recordOf(3, 9)])
  await world.ask()
  const broken: string[] = []
  const pass = startProcesses(world, plan)
  const isDone = async () => (await world.job())?.state === 'done'
  for (let sweep = 0; sweep < 20 && !(await isDone()); sweep += 1) await pass()
  if (!(await isDone())) broken.push('the job never ended')
  await world.deliver([recordOf(1, 10)])
  woken.resolve()
  await drive(world.clock, () => false, SWEEP_MS)

  const { accepted, consumed, dead, duplicate, late } = world.redriveProgress() ?? { accepted: 0, consumed: 0, dead: 0, duplicate: 0, late: 0 }
  if (accepted + duplicate + late + dead !== consumed) broken.push(`${accepted} + ${duplicate} + ${late} + ${dead} is not ${consumed}`)
  const job = await world.job()
  const letters = (await world.letters()).map(({ attempts, eventId, state }) => ({ attempts, eventId, state }))
  return { plan, broken, ended: { letters, names: [...world.names()], job: { state: job?.state, total: job?.total, done: job?.done, failed: job?.failed } } }
}

/** Each pass is a process of its own, as each wake-up of the consumer's object is one. */
function startProcesses(world: Awaited<ReturnType<typeof redriveWorld>> & { readonly clock: MemoryClock }, plan: FaultPlan): () => Promise<void> {
  const { analytics, clock, control, sink } = world
  let made = 0
  return async () => {
    made += 1
    let over = false
    const process = createProcess({
      name: `redrive ${made}`,
      clock,
      plan,
      onDeath: () => (over = true),
      onFreeze: (ms) => (over ||= ms === Number.POSITIVE_INFINITY),
    })
    const redrive = createRedrive({
      consumer: 'test',
      owner: process.name,
      tables: [people],
      sink: redrivenSinkOf(process, sink),
      control: redrivenControlOf(process, control),
      redrives: redrivesOf(process, memoryRedrives({ analytics, clock })),
      clock: process.clock,
      log: { info: () => {}, warn: () => {}, error: () => {} },
      random: () => 0.5,
    })
    // One that can not even look is woken again with the next sweep.
    void settle(redrive({ signal: never })).then(() => (over = true))
    await drive(clock, () => over, SWEEP_MS)
  }
}

let calm: Run
beforeAll(async () => {
  calm = await run()
})
const timesPassed = (boundary: RedriveBoundary) => calm.plan.passed.get(passage('redrive', boundary)) ?? 0

test('without a fault the job is done, and every boundary that has a name is passed', () => {
  expect(calm.broken).toEqual([])
  expect(calm.ended).toMatchObject({ job: { state: 'done', total: 4, done: 4, failed: 1 } })
  expect(redriveBoundaries.filter((boundary) => timesPassed(boundary) === 0)).toEqual([])
})

describe.each(redriveBoundaries)('a fault at %s', (boundary) => {
  test.each(endingsAt('redrive', boundary))('$name: each letter ends as without it, once', async (ending) => {
    for (const moment of moments) {
      for (const occurrence of occurrencesOf(timesPassed(boundary))) {
        const { broken, ended, plan } = await run({ boundary, moment, occurrence, ending })
        const where = `${moment} it, time ${occurrence}`
        expect({ where, struck: plan.struck, broken }).toEqual({ where, struck: true, broken: [] })
        expect(ended, where).toEqual(calm.ended)
      }
    }
  })
})
