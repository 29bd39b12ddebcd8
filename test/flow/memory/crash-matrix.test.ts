/**
 * Every step boundary, struck in every way: the sinks end as those of the run without a fault, the counters balance, nothing is
 * written under an old epoch, and no version goes down. On twins, in virtual time: all combinations.
 */
import { beforeAll, describe, expect, test } from 'vitest'
import { captureBoundaries, deliverBoundaries, moments } from '../../support/failpoints/boundaries.ts'
import { passage } from '../../support/failpoints/failpoint.ts'
import { endingsAt, occurrencesOf } from '../../support/failpoints/matrix.ts'
import { type Cell, type CrashRun, crashRun, passages } from './crash-run.ts'
import { mutants } from './mutants.ts'
import type { Tampering } from './world.ts'

let calm: CrashRun
beforeAll(async () => {
  calm = await crashRun()
})

const timesPassed = ({ boundary, part }: (typeof passages)[number]) => calm.plan.passed.get(passage(part, boundary)) ?? 0

test('without a fault no promise is broken, and every boundary that has a name is passed', () => {
  expect(calm.broken).toEqual([])
  expect(passages.filter((one) => timesPassed(one) === 0)).toEqual([])
  expect([...new Set(passages.map(({ boundary }) => boundary))]).toEqual([...captureBoundaries, ...deliverBoundaries])
})

describe.each(passages)('$part: a fault at $boundary', ({ boundary, part }) => {
  test.each(endingsAt(part, boundary))('$name: the sinks are those of the run without a fault', async (ending) => {
    for (const moment of moments) {
      for (const occurrence of occurrencesOf(timesPassed({ part, boundary }))) {
        const { broken, plan, sinks } = await crashRun({ part, boundary, moment, occurrence, ending })
        const where = `${moment} it, time ${occurrence}`
        expect({ where, struck: plan.struck, broken }).toEqual({ where, struck: true, broken: [] })
        expect(sinks, where).toEqual(calm.sinks)
      }
    }
  })
})

/** Those whose lack shows only where something fails; without the others a promise breaks in any run. */
const seenByCrashes = [
  'the version guard is off',
  'the sink takes writes of an epoch that is over',
  'the outbox takes acknowledgements of an epoch that is over',
  'offsets are committed before the sink has the batch',
] as const

describe('with a guard taken out, some fault of the matrix breaks a promise, and no run without a fault does', () => {
  test.each(seenByCrashes)('%s', async (name) => {
    const tampering = mutants[name] ?? {}
    expect((await crashRun(undefined, tampering)).broken).toEqual([])
    expect(await firstToNotice(tampering)).not.toBeNull()
  })
})

async function firstToNotice(tampering: Tampering): Promise<Cell | null> {
  for (const { boundary, part } of passages) {
    for (const ending of endingsAt(part, boundary)) {
      for (const moment of moments) {
        for (const occurrence of occurrencesOf(timesPassed({ part, boundary }))) {
          const cell = { part, boundary, moment, occurrence, ending }
          const { broken } = await crashRun(cell, tampering)
          if (broken.length > 0) return cell
        }
      }
    }
  }
  return null
}
