/** Each guard of the work on a shard, taken out: then what it guards breaks. */
import { afterAll, beforeAll, expect, test } from 'vitest'
import { startPostgres, type TestPostgres } from '../../support/postgres.ts'
import { openSource, type Source } from '../../support/source.ts'
import type { Tampering } from './crew.ts'
import { silencedRow } from './look-after-release.ts'
import { manyAtOnce } from './many-at-once.ts'
import type { Step } from './pauses.ts'

let postgres: TestPostgres
beforeAll(async () => {
  postgres = await startPostgres()
})
afterAll(() => postgres?.stop())

/** What breaks when a capture is paused at that step. */
async function broken(at: Step, { mutate, tampering }: { mutate?: (source: Source) => Promise<void>; tampering?: Tampering } = {}): Promise<string> {
  const source = await openSource(postgres)
  try {
    await mutate?.(source)
    const result = await manyAtOnce({ source, shards: 1, writeMs: 0, seed: 7, at: [at], ...(tampering && { tampering }) })
    return [...result.brokenLeases, ...result.broken].join('\n')
  } finally {
    await source.close()
  }
}

/** Replaces text of a function's definition; the mutant must differ, or it would prove nothing. */
const replacing = (name: string, ...changes: readonly (readonly [string, string])[]) => ({
  mutate: async (source: Source) => {
    for (const [from, to] of changes) {
      const definition = (await source.value(`select pg_get_functiondef('${name}'::regproc)`)) ?? ''
      if (!definition.includes(from)) throw new Error(`${name} holds nothing like ${from}`)
      await source.run(definition.replaceAll(from, to))
    }
  },
})

test('acknowledge without a look at the epoch: who lost the shard deletes from it', async () => {
  const mutant = replacing('afluente.acknowledge', ['present is distinct from acknowledge.epoch', 'false'])
  expect(await broken('acknowledge asked', mutant)).toContain('was granted under epoch')
})

test('claim without a look at the lease: the shard is taken from its holder', async () => {
  const mutant = replacing('afluente.claim', ['held.leased_until > clock_timestamp() then', 'false then'], ['s.leased_until <= clock_timestamp())', 'true)'])
  expect(await broken('publish answered', mutant)).toContain('was taken from its holder')
})

test('a capture that sees no time pass while it stands still: it publishes under a lease that has run out', async () => {
  const tampering: Tampering = { clock: (clock, place) => ({ ...clock, now: () => clock.now() - place.pausedMs }) }
  expect(await broken('claim answered with rows', { tampering })).toContain('a request to Kafka for shard 0 began')
})

test('no look after the shard was let go: what was committed under the silent bell stays', async () => {
  const source = await openSource(postgres)
  try {
    const blind: Tampering['outbox'] = (outbox) => {
      let released = 0
      return {
        ...outbox,
        release: async (...of) => {
          released = of[1]
          return outbox.release(...of)
        },
        claim: async (...of) => (released > 0 ? { status: 'held', epoch: released, changes: [], more: false } : outbox.claim(...of)),
      }
    }
    expect(await silencedRow(source, blind)).toEqual({ ending: 'idle', rung: false, published: ['[1]'], left: 1 })
  } finally {
    await source.close()
  }
})

test('without a mutant none of it breaks', async () => {
  for (const at of ['acknowledge asked', 'publish answered', 'claim answered with rows'] as const) expect(await broken(at)).toBe('')
  const source = await openSource(postgres)
  expect(await silencedRow(source)).toEqual({ ending: 'idle', rung: false, published: ['[1]', '[2]'], left: 0 })
  await source.close()
})
