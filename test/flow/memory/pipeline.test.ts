import fc from 'fast-check'
import { expect, test } from 'vitest'
import { brokenPromises, floorOf } from './promises.ts'
import { play, scenario } from './scenario.ts'
import { TABLE_NAME } from '../../support/failpoints/setting.ts'
import { faultPlan } from '../../support/failpoints/process.ts'
import { createWorld } from './world.ts'

const RUNS = Number(process.env['AFLUENTE_TEST_RUNS'] ?? 500)

test('whatever is written, lost, repeated, delayed, frozen or killed, both sinks end equal to the source and every event is in bronze', async () => {
  await fc.assert(
    fc.asyncProperty(scenario, async ({ shape, steps, faults }) => {
      const world = createWorld({ shape, plan: faultPlan(faults) })
      expect(await play({ steps }, world), 'came to rest').toBe(true)
      expect(brokenPromises(world)).toEqual([])
    }),
    { numRuns: RUNS },
  )
})

test('the scenarios reach what the promises are about: none of it is left to chance', async () => {
  const seen: Record<string, number> = {}
  const count = (what: string, times: number) => (seen[what] = (seen[what] ?? 0) + times)
  await fc.assert(
    fc.asyncProperty(scenario, async ({ shape, steps, faults }) => {
      const world = createWorld({ shape, plan: faultPlan(faults) })
      await play({ steps }, world)
      const versions = world.source.history.map(({ version }) => version)
      count('late commits', versions.filter((version, at) => version < Math.max(...versions.slice(0, at))).length)
      count('deletes', world.source.history.filter(({ op }) => op === 'delete').length)
      count('truncates', world.source.history.filter(({ op }) => op === 'truncate').length)
      const floor = floorOf(world)
      count('rows swept', [...(world.sides[0]?.analytics.silver.get(TABLE_NAME)?.values() ?? [])].filter(({ version }) => version === floor).length)
      count('rows after a truncate', floor === 0 ? 0 : world.source.rows(TABLE_NAME).size)
      for (const { event, fields } of world.lines) {
        if (event === 'capture.ended') count(`capture ended ${String(fields['ending'])}`, 1)
        else count(`${event} ${String(fields['code'] ?? '')}`.trim(), 1)
      }
      for (const { analytics } of world.sides) {
        for (const { duplicate, late, dead, epoch } of analytics.progress.values()) {
          count('duplicates', duplicate)
          count('late events', late)
          count('dead letters', dead)
          count('epochs after the first', epoch - 1)
        }
      }
    }),
    { numRuns: 600, seed: 20_261_122 },
  )
  const endings = ['idle', 'busy', 'handed-over', 'fenced'].map((ending) => `capture ended ${ending}`)
  const interruptions = ['consumer.interrupted epoch', 'consumer.interrupted generation', 'consumer.resumed', 'dead-letter.buried too-large']
  const wanted = [
    'late commits',
    'deletes',
    'truncates',
    'rows swept',
    'rows after a truncate',
    'duplicates',
    'late events',
    'dead letters',
    'epochs after the first',
    ...endings,
    ...interruptions,
  ]
  expect(
    wanted.filter((what) => (seen[what] ?? 0) === 0),
    JSON.stringify(seen),
  ).toEqual([])
})
