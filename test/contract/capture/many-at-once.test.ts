/**
 * Whatever captures do to each other, the log says what was committed, in the order of each key.
 * `TEST_MANY_SECONDS=60` makes each of them last a minute.
 */
import { afterAll, beforeAll, describe, expect, test } from 'vitest'
import { startPostgres, type TestPostgres } from '../../support/postgres.ts'
import { openSource } from '../../support/source.ts'
import { manyAtOnce } from './many-at-once.ts'
import { holding, steps } from './pauses.ts'

const seconds = Number(process.env['TEST_MANY_SECONDS'] ?? '4')

let postgres: TestPostgres
beforeAll(async () => {
  postgres = await startPostgres()
})
afterAll(() => postgres?.stop())

describe('ten writers on fifty hot keys, and a capture paused past its lease at each step in turn', () => {
  test.each([1, 4, 8])(
    'with %i shards and as many captures: versions grow in commit order, nothing is missing, nothing else is there',
    async (shards) => {
      const source = await openSource(postgres)
      try {
        const result = await manyAtOnce({ source, shards, writeMs: seconds * 1_000, seed: 20_261_122 + shards })
        const { broken, brokenLeases, counts, epochs, events, paused, repeats } = result
        console.info(JSON.stringify({ shards, events, repeats, epochs, ...counts, paused: Object.fromEntries(paused) }))
        expect({ broken, brokenLeases }).toEqual({ broken: [], brokenLeases: [] })
        expect(events).toBe(counts['committed'])
        expect([...paused.keys()].toSorted()).toEqual([...steps].toSorted())
        // A pause that nobody used proves nothing.
        expect([...holding].filter((step) => (paused.get(step)?.overtaken ?? 0) === 0)).toEqual([])
        expect(counts['rollbacks']).toBeGreaterThan(0)
      } finally {
        await source.close()
      }
    },
    (seconds + 60) * 1_000,
  )
})
