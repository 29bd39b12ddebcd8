/**
 * Random tables with triggers, cascades and keys of many types, written by several sessions while readers come and go:
 * what was read, replayed in version order, ends equal to the tables. `npm run fuzz` does the same for as long as one likes.
 */
import { afterAll, beforeAll, describe, expect, it } from 'vitest'
import { startPostgres, type TestPostgres } from '../../support/postgres.ts'
import { FuzzFailure, openWorld, type Figures, type Mutant } from '../../support/random-source/world.ts'
import { mutants } from '../../support/random-source/mutants.ts'

const SCHEMAS = Number(process.env['AFLUENTE_SCHEMAS'] ?? 200)
const WORKERS = 3
const SEED = Number(process.env['AFLUENTE_SEED'] ?? 20_261_122)

let postgres: TestPostgres

beforeAll(async () => {
  postgres = await startPostgres()
})
afterAll(() => postgres.stop())

/** Runs seeds until one fails or all are done. */
async function fuzz(schemas: number, mutant?: Mutant): Promise<{ failure: FuzzFailure | undefined; figures: readonly Figures[] }> {
  let next = 0
  let failure: FuzzFailure | undefined
  const figures: Figures[] = []
  const work = async () => {
    const world = await openWorld(postgres, mutant)
    try {
      while (next < schemas && failure === undefined) {
        next += 1
        try {
          figures.push(await world.run(SEED + next - 1))
        } catch (error) {
          if (!(error instanceof FuzzFailure)) throw error
          failure ??= error
        }
      }
    } finally {
      await world.close()
    }
  }
  await Promise.all(Array.from({ length: WORKERS }, () => work()))
  return { failure, figures }
}

it(`${SCHEMAS} random schemas: the stream ends equal to the tables`, { timeout: 300_000 }, async () => {
  const { failure, figures } = await fuzz(SCHEMAS)
  expect(failure === undefined ? '' : `${failure.script}\n${failure.message}\nagain: npm run fuzz -- --seed ${failure.seed} --schemas 1`).toBe('')
  const sum = (name: keyof Figures) => figures.reduce((all, one) => all + one[name], 0)
  // It proves little when most statements are refused or few leave a change.
  expect(figures).toHaveLength(SCHEMAS)
  expect(sum('refused')).toBeLessThan(sum('statements') / 3)
  expect(sum('events')).toBeGreaterThan(SCHEMAS * 40)
})

describe('without one of its guards, that is found out', () => {
  it.each(Object.entries(mutants))('%s', { timeout: 120_000 }, async (_, { mutant, found }) => {
    const { failure } = await fuzz(120, mutant)
    expect(failure?.message).toMatch(found)
  })
})
