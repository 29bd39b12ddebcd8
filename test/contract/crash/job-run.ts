/** One cell of the crash matrix of a job: who it strikes, and how long somebody stays a zombie. */
import type { BackfillBoundary, Moment, RedriveBoundary } from '../../support/failpoints/boundaries.ts'
import { failpoint, type Failpoint } from '../../support/failpoints/failpoint.ts'
import type { Ending } from '../../support/failpoints/matrix.ts'
import type { Pair } from './databases.ts'

export interface JobCell<B extends BackfillBoundary | RedriveBoundary> {
  readonly boundary: B
  readonly moment: Moment
  readonly ending: Ending
}

export interface JobRun {
  readonly plan: Failpoint
  readonly broken: readonly string[]
  /** What stands in the end, without what depends on when. */
  readonly ended: unknown
}

/** Strikes the first who passes the boundary; who freezes as a zombie wakes with `woken`. Without a cell nothing fails. */
export function jobPlan(part: 'backfill' | 'redrive', at: JobCell<BackfillBoundary | RedriveBoundary> | undefined, woken: Promise<void>): Failpoint {
  if (at === undefined) return failpoint()
  const { boundary, ending, moment } = at
  return failpoint({ part, boundary, moment, occurrence: 1 }, { ...ending.fault, ...(ending.zombie ? { until: woken } : {}) })
}

/** Connections of a job's processes, by which one dies with its process. */
export function connections(pair: Pair, url: string) {
  const under: Promise<unknown>[] = []
  const closing: (() => Promise<unknown>)[] = []
  let opened = 0
  return {
    open: <T>(connect: (url: string, closes: (close: () => Promise<unknown>) => void) => T): T & { drop(): void } => {
      opened += 1
      const name = `job ${opened}`
      const own = connect(`${url}?application_name=${encodeURIComponent(name)}`, (close) => closing.push(close))
      return { ...own, drop: () => void under.push(pair.kill(name)) }
    },
    close: async () => {
      await Promise.all(under)
      await Promise.all(closing.map((close) => close()))
    },
  }
}
