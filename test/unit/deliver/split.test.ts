import fc from 'fast-check'
import { expect, test } from 'vitest'
import { applySplitting } from '../../../shared/engine/split.ts'

class Refused extends Error {}
const isRefusal = (error: unknown) => error instanceof Refused

test('everything but the culprits is applied, in order, each once; the culprits are named', async () => {
  await fc.assert(
    fc.asyncProperty(fc.array(fc.boolean(), { minLength: 1, maxLength: 300 }), async (bad) => {
      const applied: number[] = []
      const items = bad.map((_, at) => at)
      const culprits = await applySplitting(
        items,
        async (part) => {
          if (part.some((at) => bad[at] === true)) throw new Refused()
          applied.push(...part)
        },
        isRefusal,
      )
      expect(applied).toEqual(items.filter((at) => bad[at] !== true))
      expect(culprits.map(({ item }) => item)).toEqual(items.filter((at) => bad[at] === true))
      expect(culprits.every(({ error }) => error instanceof Refused)).toBe(true)
    }),
  )
})

test('one culprit among 500 costs about twice the logarithm in calls', async () => {
  let calls = 0
  await applySplitting(
    Array.from({ length: 500 }, (_, at) => at),
    async (part) => {
      calls += 1
      if (part.includes(333)) throw new Refused()
    },
    isRefusal,
  )
  expect(calls).toBeLessThanOrEqual(2 * 9 + 1)
})

test('what is no refusal is thrown as it is, and nothing after it is applied', async () => {
  const applied: number[] = []
  const outage = new Error('down')
  const work = applySplitting(
    [1, 2, 3, 4],
    async (part) => {
      if (part.length > 1) throw new Refused()
      if (part[0] === 2) throw outage
      applied.push(...part)
    },
    isRefusal,
  )
  await expect(work).rejects.toBe(outage)
  expect(applied).toEqual([1])
})
