import { describe, expect, test } from 'vitest'
import { reconcileDue } from '../../../functions/cron/reconcile.ts'
import type { AnyPipeline } from '../../../shared/engine/define.ts'
import { AfluenteError } from '../../../shared/engine/errors.ts'
import { faultsOf } from '../../../shared/engine/definition-faults.ts'
import { dueOf, type Known } from '../../../shared/engine/reconcile-schedule.ts'
import { pipeline } from '../../../shared/pipeline.ts'
import type { Verdict } from '../../../shared/ports/reconciliations.ts'
import { keyOf, TABLE, world } from './world.ts'

const nowMs = Date.parse('2026-11-22T18:00:00Z')
const ago = (ms: number) => new Date(nowMs - ms).toISOString()
const HOUR = 3_600_000
const outcome = { asOf: '', rows: 0, sinks: [], keys: [], moving: 0, unopened: 0, mended: 0 }
const verdict = (table: string, ageMs: number, problem: string | null = null): Verdict => ({
  id: 1,
  table,
  actor: 'schedule',
  endedAt: ago(ageMs),
  outcome,
  problem,
})
const tables = [{ name: 'a' }, { name: 'b' }, { name: 'c' }]
const due = (known: Partial<Known>) => dueOf(tables, { every: '24h' }, { verdicts: [], tables: [], nowMs, ...known }).map(({ name }) => name)

describe('the schedule', () => {
  test('takes the marked ones first, then those that were never compared, then the oldest', () => {
    expect(due({ verdicts: [verdict('a', 25 * HOUR), verdict('c', 26 * HOUR)], tables: [{ table: 'a', reconcileSince: ago(HOUR) }] })).toEqual(['a', 'b', 'c'])
  })

  test('leaves alone what was compared within the day', () => {
    expect(due({ verdicts: [verdict('a', 23 * HOUR), verdict('b', 24 * HOUR), verdict('c', 0)] })).toEqual(['b'])
  })

  test('comes back to one that failed after ten minutes, to one that stays marked after an hour, to a new mark at once', () => {
    const well = [verdict('b', HOUR / 2), verdict('c', HOUR / 2)]
    expect(due({ verdicts: [verdict('a', 500_000, 'down'), ...well] })).toEqual([])
    expect(due({ verdicts: [verdict('a', 600_000, 'down'), ...well] })).toEqual(['a'])
    expect(due({ verdicts: [verdict('a', HOUR / 2), ...well], tables: [{ table: 'a', reconcileSince: ago(HOUR) }] })).toEqual([])
    expect(due({ verdicts: [verdict('a', HOUR), ...well], tables: [{ table: 'a', reconcileSince: ago(2 * HOUR) }] })).toEqual(['a'])
    expect(due({ verdicts: [verdict('a', HOUR / 2), ...well], tables: [{ table: 'a', reconcileSince: ago(1_000) }] })).toEqual(['a'])
  })

  test.each([
    ['a day', '1 day', /no length of time/],
    ['nothing', '0s', /less than a minute/],
  ])('that says %s is a fault of the definition', (_, every, words) => {
    expect(faultsOf({ ...pipeline, reconcile: { every: every as '24h' } })).toEqual([expect.stringMatching(words)])
  })
})

describe('a tick', () => {
  const sink = { kind: 'postgres', bronze: false, silver: true } as const
  const consumers = { silver: { reads: ['afluente.public.items'], sink, mode: 'continuous', instances: 1 } } as const
  const definition: AnyPipeline = { tables: [TABLE], topics: { partitions: 1, maxMessageBytes: 1, retention: '7d' }, consumers }

  async function ticking(reconcile: AnyPipeline['reconcile'], of: Parameters<typeof world>[0] = {}) {
    const own = await world(of)
    const lines: string[] = []
    const audited: string[] = []
    const line = (event: string) => void lines.push(event)
    const tick = async (owner = 'tick') => {
      const done = { yes: false }
      const work = reconcileDue(
        {
          pipeline: reconcile === undefined ? definition : { ...definition, reconcile },
          outbox: own.source.outbox,
          operations: { audit: async ({ action, actor }) => void audited.push(`${actor} ${action}`) },
          reconciliations: own.reconciliations,
          depsFor: () => ({ ...own.deps, index: null }),
          owner,
          clock: own.clock,
          log: { info: line, warn: line, error: line },
        },
        { signal: new AbortController().signal },
      ).finally(() => (done.yes = true))
      work.catch(() => undefined)
      await own.until(() => done.yes)
      await work
    }
    return { ...own, lines, audited, tick }
  }

  test('compares a table that is due and tells what it found; the next one finds nothing to do', async () => {
    const { lines, silver, tick } = await ticking(undefined)
    silver.delete(keyOf(2))
    await tick()
    await tick()
    expect(lines).toEqual(['reconcile.differs'])
    expect(silver.has(keyOf(2))).toBe(false)
  })

  test('repairs where the definition says so, and that stands in the audit', async () => {
    const { audited, lines, silver, tick } = await ticking({ every: '1h', repair: true })
    silver.delete(keyOf(2))
    await tick()
    expect([lines, audited, silver.has(keyOf(2))]).toEqual([['reconcile.in-step'], ['schedule reconcile.repair'], true])
  })

  test('repairs nothing while the source can’t be read, and says so with the verdict; somebody who watches is told, and nothing else', async () => {
    const gone = new AfluenteError('unavailable', 'connection', 'No connection to the source database.')
    const own = await ticking({ every: '1h', repair: true }, { wrap: (deps) => ({ ...deps, source: { ...deps.source, pages: () => Promise.reject(gone) } }) })
    own.silver.delete(keyOf(2))
    await expect(own.run({ watched: true, repair: true })).rejects.toBe(gone)
    const verdicts = () => own.reconciliations.latest({ signal: new AbortController().signal })
    expect(await verdicts()).toEqual([])
    await expect(own.tick()).rejects.toBe(gone)
    expect(await verdicts()).toMatchObject([{ table: 'public.items', problem: 'No connection to the source database.' }])
    expect([own.audited, own.silver.has(keyOf(2)), own.source.waiting]).toEqual([[], false, []])
  })

  test('does nothing where the definition says never', async () => {
    const { lines, reconciliations, tick } = await ticking('never')
    await tick()
    expect([lines, await reconciliations.latest({ signal: new AbortController().signal })]).toEqual([[], []])
  })
})
