import fc from 'fast-check'
import { describe, expect, test } from 'vitest'
import { mutants } from './mutants.ts'
import { brokenPromises } from './promises.ts'
import { play, scenario } from './scenario.ts'
import { faultPlan } from '../../support/failpoints/process.ts'
import { createWorld, type Tampering } from './world.ts'

/** Plays the same scenarios, from one fixed seed, with and without a guard. */
async function counterexample(tampering: Tampering): Promise<readonly string[] | null> {
  let broken: readonly string[] = []
  const property = fc.asyncProperty(scenario, async ({ shape, steps, faults }) => {
    const world = createWorld({ shape, plan: faultPlan(faults), tampering })
    const rested = await play({ steps }, world)
    broken = [...(rested ? [] : ['it never came to rest']), ...brokenPromises(world)]
    return broken.length === 0
  })
  const { failed } = await fc.check(property, { numRuns: 300, seed: 20_261_122, endOnFailure: true })
  return failed ? broken : null
}

describe('the pipeline breaks a promise when', () => {
  test.each(Object.entries(mutants))('%s', async (_, tampering) => {
    expect(await counterexample(tampering)).not.toBeNull()
  })
})

test('and breaks none in the very same scenarios when nothing is taken out', async () => {
  expect(await counterexample({})).toBeNull()
})
