/** Shadows in memory: the copies of silver's rows. A step copies one row, so that a test can come between. */
import { AfluenteError } from '../../engine/errors.ts'
import type { Clock } from '../../ports/clock.ts'
import type { Difference, Shadows } from '../../ports/shadows.ts'
import { qualifiedName, type SourceTable } from '../../tables/table.ts'
import { assertEpoch, type MemoryAnalytics, type SilverRow } from './analytics.ts'
import { type MemorySinkDeps, memorySink, silverOf } from './sink.ts'

export interface MemoryShadowsDeps extends Pick<MemorySinkDeps, 'refuses' | 'refusal'> {
  readonly analytics: MemoryAnalytics
  readonly clock: Clock
}

export function memoryShadows({ analytics, ...deps }: MemoryShadowsDeps): Shadows {
  const rowsOf = (table: SourceTable) => {
    const name = qualifiedName(table)
    return { name, live: silverOf(analytics, name), shadow: silverOf(analytics, name, true) }
  }
  const newer = (table: SourceTable) => {
    const { live, shadow } = rowsOf(table)
    return [...live].filter(([key, { version }]) => version > (shadow.get(key)?.version ?? 0))
  }
  const isThere = (row: SilverRow | undefined): row is SilverRow => row !== undefined && row.after !== null

  return {
    sink: memorySink({ ...deps, analytics, bronze: false, shadow: true }),
    make: async (table) => {
      const { name } = rowsOf(table)
      return { live: name, shadow: `${name}__shadow` }
    },
    compare: async ({ table, told }) => {
      const { live, shadow } = rowsOf(table)
      const samples: Record<'onlyLive' | 'onlyShadow' | 'different', Difference[]> = { onlyLive: [], onlyShadow: [], different: [] }
      for (const key of new Set([...live.keys(), ...shadow.keys()])) {
        const [here, there] = [live.get(key), shadow.get(key)]
        const liveVersion = isThere(here) ? here.version : null
        const shadowVersion = isThere(there) ? there.version : null
        const sample = { key, liveVersion, shadowVersion, columns: {} }
        if (liveVersion !== null && shadowVersion === null) samples.onlyLive.push(sample)
        else if (liveVersion === null && shadowVersion !== null) samples.onlyShadow.push(sample)
        else if (liveVersion !== shadowVersion || here?.after !== there?.after) samples.different.push(sample)
      }
      await told(live.size + shadow.size)
      const counts = { onlyLive: samples.onlyLive.length, onlyShadow: samples.onlyShadow.length, different: samples.different.length }
      const living = (rows: ReadonlyMap<string, SilverRow>) => [...rows.values()].filter(isThere).length
      return { live: living(live), shadow: living(shadow), ...counts, newer: 0, samples }
    },
    follow: async ({ table }, { signal }) => {
      signal.throwIfAborted()
      const [first] = newer(table)
      if (first !== undefined) rowsOf(table).shadow.set(...first)
      return { copied: first === undefined ? 0 : 1, next: '', ended: newer(table).length === 0 }
    },
    swap: async ({ table, job, fence }, { signal }) => {
      signal.throwIfAborted()
      assertEpoch(analytics, fence)
      if (analytics.replays.get(job)?.state !== 'running') return { status: 'swapped', copied: 0 }
      const { live, name, shadow } = rowsOf(table)
      const rest = newer(table)
      for (const row of rest) shadow.set(...row)
      analytics.silver.set(name, shadow)
      analytics.silver.set(`${name}__shadow`, live)
      const before = analytics.replays.get(job)
      if (before !== undefined) analytics.replays.set(job, { ...before, state: 'done', steps: before.steps + rest.length, problem: null })
      const place = `${fence.consumer} ${name}`
      const entry = analytics.shadows.get(place)
      if (entry !== undefined) analytics.shadows.set(place, { ...entry, state: 'former' })
      return { status: 'swapped', copied: rest.length }
    },
    drop: async ({ table, names }) => {
      const { name } = rowsOf(table)
      if (names.shadow === name) throw new AfluenteError('refused', 'live', `${name} is live.`)
      analytics.silver.delete(`${name}__shadow`)
    },
  }
}
