/** One cell of the crash matrix, on twins and in virtual time. */
import { type Boundary, captureBoundaries, deliverBoundaries } from '../../support/failpoints/boundaries.ts'
import { failpoint, type Failpoint, type Part, passage } from '../../support/failpoints/failpoint.ts'
import type { Attempt } from '../../support/failpoints/matrix.ts'
import { later, script } from '../../support/failpoints/script.ts'
import { MAX_MESSAGE_BYTES, TABLE_NAME } from '../../support/failpoints/setting.ts'
import { brokenPromises } from './promises.ts'
import { createPlayer } from './scenario.ts'
import { createWorld, type Tampering, type World } from './world.ts'

/** Who passes which boundary. */
export const passages = [
  ...captureBoundaries.map((boundary) => ({ part: 'capture' as Part, boundary: boundary as Boundary })),
  ...deliverBoundaries.flatMap((boundary) => (['postgres', 'elasticsearch'] as const).map((part) => ({ part: part as Part, boundary: boundary as Boundary }))),
].filter(({ boundary, part }) => passage(part, boundary) !== passage('postgres', 'deliver.advance'))
// Postgres counts a batch with the batch itself: only one that was split for nothing is counted apart.

export interface Cell extends Attempt {
  readonly part: Part
  readonly boundary: Boundary
}

export interface CrashRun {
  readonly plan: Failpoint
  readonly broken: readonly string[]
  /** What stands in the sinks at the end. */
  readonly sinks: unknown
}

/** Without a cell nothing fails. */
export async function crashRun(at?: Cell, tampering: Tampering = {}): Promise<CrashRun> {
  const woken = Promise.withResolvers<void>()
  const plan = at === undefined ? failpoint() : failpoint(at, { ...at.ending.fault, ...(at.ending.zombie ? { until: woken.promise } : {}) })
  const shape = { seed: 1, instances: at?.ending.instances ?? 2, batch: 2, budgetMs: 100 }
  // The broker takes less than capture thinks it does.
  const world = createWorld({ shape, plan, tampering, limits: { maxMessageBytes: 2 * MAX_MESSAGE_BYTES } })
  const player = createPlayer(world)
  const restless: string[] = []
  const rest = async (when: string) => {
    if (!(await world.rest())) restless.push(`it never came to rest ${when}`)
  }
  for (const step of script) await player.take(step)
  await rest('after the script')
  for (const step of later) await player.take(step)
  await rest('after the later changes')
  woken.resolve()
  await world.pass(1_000)
  await rest('after the zombie woke')
  await world.end()
  return { plan, broken: [...restless, ...brokenPromises(world)], sinks: sinksOf(world) }
}

function sinksOf({ sides }: World) {
  return sides.map(({ analytics, name }) => ({
    name,
    rows: [...(analytics.silver.get(TABLE_NAME) ?? [])].toSorted(([a], [b]) => (a < b ? -1 : 1)),
    bronze: [...analytics.bronze.keys()].toSorted(),
    dead: [...new Set([...analytics.letters.values()].map(({ eventId }) => eventId))].toSorted(),
    floors: [...analytics.floors],
  }))
}
