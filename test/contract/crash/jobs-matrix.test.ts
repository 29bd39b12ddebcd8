/** Every step boundary of a backfill and of a redrive, struck in every way, with the product's own SQL on real databases. */
import { afterAll, beforeAll, describe, expect, test } from 'vitest'
import { type BackfillBoundary, backfillBoundaries, moments, type RedriveBoundary, redriveBoundaries } from '../../support/failpoints/boundaries.ts'
import { passage } from '../../support/failpoints/failpoint.ts'
import { endingsAt, goesOn, principalEndings, zombie } from '../../support/failpoints/matrix.ts'
import { mutate } from '../../support/mutate.ts'
import { tampered } from '../sink/tampered.ts'
import { backfillRun } from './backfill-run.ts'
import { type Databases, startDatabases } from './databases.ts'
import type { JobCell, JobRun } from './job-run.ts'
import { redriveRun } from './redrive-run.ts'
import type { Tamper } from './world.ts'

const parts = ['backfill', 'redrive'] as const
type JobPart = (typeof parts)[number]
const boundariesOf = { backfill: backfillBoundaries, redrive: redriveBoundaries } as const

let databases: Databases
const calm = new Map<JobPart, JobRun>()
beforeAll(async () => {
  databases = await startDatabases()
  for (const part of parts) calm.set(part, await run(part))
})
afterAll(() => databases?.stop())

async function run(part: JobPart, at?: JobCell<BackfillBoundary | RedriveBoundary>, tamper?: Tamper): Promise<JobRun> {
  const pair = await databases.take()
  try {
    return part === 'backfill' ? await backfillRun(pair, at as JobCell<BackfillBoundary>) : await redriveRun(pair, at as JobCell<RedriveBoundary>, tamper)
  } finally {
    databases.giveBack(pair)
  }
}

test.each(parts)('without a fault a %s breaks no promise, and passes every boundary', (part) => {
  expect(calm.get(part)?.broken).toEqual([])
  expect(boundariesOf[part].filter((boundary) => !calm.get(part)?.plan.passed.has(passage(part, boundary)))).toEqual([])
  if (part === 'redrive') expect(calm.get(part)?.ended).toMatchObject({ jobs: [{ state: 'done', total: '4', done: '4', failed: '1' }] })
})

const cells = parts.flatMap((part) =>
  boundariesOf[part].flatMap((boundary) => endingsAt(part, boundary, principalEndings).map((ending) => ({ part, boundary, ending, name: ending.name }))),
)

describe.concurrent('a job', () => {
  test.each(cells)('struck at $boundary ($name) ends as without it', async ({ boundary, ending, part }) => {
    const strike = async (moment: (typeof moments)[number]): Promise<void> => {
      const { broken, ended, plan } = await run(part, { boundary, moment, ending })
      expect({ moment, struck: plan.struck, broken }).toEqual({ moment, struck: true, broken: [] })
      expect(ended, moment).toEqual(calm.get(part)?.ended)
    }
    await Promise.all(moments.map(strike))
  })
})

test('with the look at what was sent already taken out of the function, a backfill whose answer was lost is noticed', async () => {
  const pair = await databases.take()
  await mutate(pair.source, 'afluente.send_backfill', 'held.reached is distinct from send_backfill.reached', 'true')
  // Nobody gets that pair again.
  const { broken } = await backfillRun(pair, { boundary: 'backfill.send', moment: 'after', ending: goesOn })
  expect(broken.join('\n')).toMatch(/it saw \d+ rows of 9/)
})

test('with the fence taken out of the statement, a redrive that wakes up as a zombie is noticed', async () => {
  const noFence: Tamper = (db) => tampered(db, ' and epoch = $4', ' and epoch >= 0 * $4')
  const { broken } = await run('redrive', { boundary: 'redrive.write', moment: 'before', ending: zombie }, noFence)
  expect(broken.join('\n')).toMatch(/written under epoch/)
})
