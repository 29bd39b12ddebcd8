/**
 * Every step boundary, struck in every way, with the product's own SQL on real databases: the sink ends as that of the run without a
 * fault, nothing goes back, and nothing is written under an old epoch. All combinations of times are on twins (test/flow/memory).
 */
import { afterAll, beforeAll, describe, expect, test } from 'vitest'
import { type Moment, moments } from '../../support/failpoints/boundaries.ts'
import { passage } from '../../support/failpoints/failpoint.ts'
import { endingsAt, principalEndings, zombie } from '../../support/failpoints/matrix.ts'
import { tampered } from '../sink/tampered.ts'
import { type Cell, type CrashRun, crashRun, passages } from './crash-run.ts'
import { type Databases, startDatabases } from './databases.ts'
import type { Tamper } from './world.ts'

let databases: Databases
let calm: CrashRun
beforeAll(async () => {
  databases = await startDatabases()
  calm = await run()
})
afterAll(() => databases?.stop())

async function run(cell?: Cell, tamper?: Tamper): Promise<CrashRun> {
  const pair = await databases.take()
  try {
    return await crashRun(pair, cell, tamper)
  } finally {
    databases.giveBack(pair)
  }
}

test('without a fault no promise is broken, and every boundary is passed', () => {
  expect(calm.broken).toEqual([])
  expect(passages.filter(({ boundary, part }) => !calm.plan.passed.has(passage(part, boundary)))).toEqual([])
})

describe.concurrent.each(passages)('$part: a fault at $boundary', ({ boundary, part }) => {
  test.concurrent.each(endingsAt(part, boundary, principalEndings))('$name: the sink is that of the run without a fault', async (ending) => {
    const strike = async (moment: Moment): Promise<void> => {
      const { broken, plan, sink } = await run({ part, boundary, moment, occurrence: 1, ending })
      expect({ moment, struck: plan.struck, broken }).toEqual({ moment, struck: true, broken: [] })
      expect(sink, moment).toEqual(calm.sink)
    }
    await Promise.all(moments.map(strike))
  })
})

const noFence: Tamper = (db) => tampered(db, ' and epoch = $4', ' and epoch >= 0 * $4')
const noFloor: Tamper = (db) => tampered(noFence(db), ' and e.version > e.floor\n', '\n')
const noVersions: Tamper = (db) => tampered(noFloor(db), '  where excluded._version > t._version\n', '')

test.each([
  ['the fence', noFence, /written under epoch/],
  ['the fence, the floor and the version guard', noVersions, /went from version/],
])('with %s taken out of the statement, a zombie that wakes up is noticed', async (_, tamper, says) => {
  const { broken } = await run({ part: 'postgres', boundary: 'deliver.write', moment: 'before', occurrence: 1, ending: zombie }, tamper)
  expect(broken.join('\n')).toMatch(says)
})
