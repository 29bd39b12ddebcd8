/** What happens to a world: writes, commits, doorbells, rebalances, strangers' records, and the faults that strike meanwhile. */
import fc from 'fast-check'
import type { Transaction } from '../../../shared/adapters/memory/source.ts'
import type { RandomFault } from '../../support/failpoints/process.ts'
import { imageOf, type Shape, TABLE_NAME, TOPIC } from '../../support/failpoints/setting.ts'
import type { World } from './world.ts'

export type Step =
  | { readonly does: 'write'; readonly session: number; readonly key: number; readonly n: number | null }
  /** More rows than a delete each: a floor. */
  | { readonly does: 'truncate'; readonly session: number }
  | { readonly does: 'commit'; readonly session: number; readonly rings: readonly number[] }
  | { readonly does: 'rollback'; readonly session: number }
  | { readonly does: 'pass'; readonly ms: number }
  | { readonly does: 'ring'; readonly isolate: number }
  | { readonly does: 'rebalance'; readonly side: number }
  /** A record of the topic stands there once more, as a replay or a producer that was paused makes it. */
  | { readonly does: 'repeat'; readonly which: number }
  /** A record that is no event. */
  | { readonly does: 'junk'; readonly key: number }

export interface Scenario {
  readonly shape: Shape
  readonly steps: readonly Step[]
  readonly faults: readonly RandomFault[]
}

const session = fc.integer({ min: 0, max: 2 })
const key = fc.integer({ min: 0, max: 3 })
const isolate = fc.integer({ min: 0, max: 2 })

const step: fc.Arbitrary<Step> = fc.oneof(
  { weight: 8, arbitrary: fc.record({ does: fc.constant('write' as const), session, key, n: fc.option(fc.integer({ min: -2, max: 20 }), { freq: 4 }) }) },
  { weight: 1, arbitrary: fc.record({ does: fc.constant('truncate' as const), session }) },
  { weight: 6, arbitrary: fc.record({ does: fc.constant('commit' as const), session, rings: fc.array(isolate, { maxLength: 2 }) }) },
  { weight: 1, arbitrary: fc.record({ does: fc.constant('rollback' as const), session }) },
  { weight: 4, arbitrary: fc.record({ does: fc.constant('pass' as const), ms: fc.oneof(fc.integer({ min: 1, max: 60 }), fc.integer({ min: 60, max: 900 })) }) },
  { weight: 2, arbitrary: fc.record({ does: fc.constant('ring' as const), isolate }) },
  { weight: 1, arbitrary: fc.record({ does: fc.constant('rebalance' as const), side: fc.integer({ min: 0, max: 1 }) }) },
  { weight: 2, arbitrary: fc.record({ does: fc.constant('repeat' as const), which: fc.nat(50) }) },
  { weight: 1, arbitrary: fc.record({ does: fc.constant('junk' as const), key }) },
)

const fault: fc.Arbitrary<RandomFault> = fc.record({
  after: fc.integer({ min: 0, max: 40 }),
  what: fc.constantFrom('dies', 'freezes', 'fails'),
  when: fc.constantFrom('before', 'after'),
  ms: fc.integer({ min: 50, max: 900 }),
})

export const scenario: fc.Arbitrary<Scenario> = fc.record({
  shape: fc.record({
    seed: fc.nat(1_000),
    instances: fc.integer({ min: 1, max: 2 }),
    batch: fc.integer({ min: 1, max: 4 }),
    budgetMs: fc.constantFrom(30, 300, 100_000),
  }),
  steps: fc.array(step, { minLength: 5, maxLength: 40, size: 'max' }),
  faults: fc.array(fault, { maxLength: 8, size: 'max' }),
})

export interface Player {
  take(step: Step): Promise<void>
  /** Commits what is open. */
  end(): void
}

export function createPlayer(world: World): Player {
  const { capture, sides, source, topics } = world
  const open = new Map<number, Transaction>()

  const take = async (step: Step): Promise<void> => {
    switch (step.does) {
      case 'write': {
        const id = `["k${step.key}"]`
        const transaction = open.get(step.session) ?? source.begin()
        open.set(step.session, transaction)
        const after = step.n === null ? null : imageOf(`k${step.key}`, step.n)
        // Another session's lock would make this one wait; here it writes something else instead.
        if (![...open].some(([other, it]) => other !== step.session && it.holds(TABLE_NAME, id))) transaction.write({ table: TABLE_NAME, key: id, after })
        return
      }
      case 'truncate': {
        const transaction = open.get(step.session) ?? source.begin()
        open.set(step.session, transaction)
        // It would wait for every other session that has written to the table.
        if (![...open].some(([other, it]) => other !== step.session && it.holds(TABLE_NAME))) transaction.truncate(TABLE_NAME)
        return
      }
      case 'commit': {
        open.get(step.session)?.commit()
        open.delete(step.session)
        // The doorbell is silent while somebody holds the lease.
        const { leased } = await source.outbox.backlog({ signal: new AbortController().signal })
        if (!leased) for (const isolate of step.rings) capture.ring(isolate)
        return
      }
      case 'rollback':
        open.get(step.session)?.rollback()
        open.delete(step.session)
        return
      case 'pass':
        return world.pass(step.ms)
      case 'ring':
        return capture.ring(step.isolate)
      case 'rebalance':
        return sides[step.side]?.group.rebalance()
      case 'repeat': {
        const records = topics.all(TOPIC)
        const record = records[step.which % Math.max(1, records.length)]
        if (record !== undefined)
          topics.appendRaw(TOPIC, { ...record, headers: Object.fromEntries(Object.entries(record.headers).map(([name, value]) => [name, String(value)])) })
        return
      }
      case 'junk':
        topics.appendRaw(TOPIC, { key: `["k${step.key}"]`, value: 'nobody encoded this' })
    }
  }

  return {
    take: async (step) => {
      await take(step)
      await world.settle()
    },
    end: () => {
      for (const transaction of open.values()) transaction.commit()
    },
  }
}

/** Plays the steps, ends what is open, and waits without further faults until all is at rest. */
export async function play({ steps }: Pick<Scenario, 'steps'>, world: World): Promise<boolean> {
  const player = createPlayer(world)
  for (const step of steps) await player.take(step)
  world.endFaults()
  player.end()
  const rested = await world.rest()
  await world.end()
  return rested
}
