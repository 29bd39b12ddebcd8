import { describe, expect, test } from 'vitest'
import { AfluenteError } from '../../../shared/engine/errors.ts'
import { type Pass, readPass, type SideRead, totalOf } from '../../../shared/engine/reconcile-sums.ts'
import { isClean, verdictText } from '../../../shared/engine/reconcile-verdict.ts'
import type { Pages } from '../../../shared/ports/reconcile.ts'
import { foundBy, keyOf, NAME, world, type World } from './world.ts'

const damaged = ({ index, silver }: World) => {
  silver.delete(keyOf(3))
  silver.set(keyOf(5), { version: silver.get(keyOf(5))?.version ?? 0, eventId: '', after: '{"by":"hand"}' })
  silver.set('["nobody"]', { version: 7, eventId: '', after: '{}' })
  index.delete(keyOf(3))
  index.delete(keyOf(9))
  index.set(keyOf(11), { version: 12, eventId: '', after: '{}' })
  index.set('["stranger"]', { version: 8, eventId: '', after: '{}' })
  index.set(keyOf(13), { version: index.get(keyOf(13))?.version ?? 0, eventId: '', after: null })
}
const ALL = [
  `different in index ${keyOf(11)}`,
  `different in silver ${keyOf(5)}`,
  'extra in index ["stranger"]',
  'extra in silver ["nobody"]',
  `missing in index ${keyOf(13)}`,
  `missing in index ${keyOf(3)}`,
  `missing in index ${keyOf(9)}`,
  `missing in silver ${keyOf(3)}`,
].toSorted()

describe('a reconcile', () => {
  test('finds nothing where nothing is wrong, and is done with the mark', async () => {
    const { outbox, run } = await world()
    expect(await run()).toMatchObject({ ending: 'done', found: [], outcome: { rows: 30, moving: 0, unopened: 0, mended: 0 } })
    expect(outbox.ended).toBe(1)
  })

  test('names exactly what is wrong, changes nothing, and leaves the mark', async () => {
    const { log, outbox, reconciliations, run, ...rest } = await world()
    damaged({ log, outbox, reconciliations, run, ...rest })
    const before = log.length
    const end = await run()
    expect(foundBy(end)).toEqual(ALL)
    expect(log).toHaveLength(before)
    expect(outbox.ended).toBeNull()
    const [verdict] = await reconciliations.latest({ signal: new AbortController().signal })
    expect(verdict).toMatchObject({
      table: NAME,
      problem: null,
      outcome: {
        sinks: [
          { sink: 'silver', missing: 1, different: 1, extra: 1 },
          { sink: 'index', missing: 3, different: 1, extra: 1 },
        ],
      },
    })
  })

  test('mends all of it through the outbox, whatever version the copy has, and says so', async () => {
    const own = await world()
    damaged(own)
    own.silver.set(keyOf(20), { version: own.source.lastVersion, eventId: '', after: '{"higher":true}' })
    const repaired: number[] = []
    const end = await own.run({ repair: true, onRepair: async (findings) => void repaired.push(findings.length) })
    const sinks = { missing: 0, different: 0, extra: 0 }
    expect(end).toMatchObject({ ending: 'done', outcome: { mended: 10, sinks: [sinks, sinks] } })
    expect(repaired).toEqual([10])
    expect(own.outbox.ended).toBe(1)
    for (const [key, row] of own.source.rows(NAME)) for (const side of [own.silver, own.index]) expect(side.get(key)?.after).toBe(row)
    for (const side of [own.silver, own.index]) for (const key of ['["nobody"]', '["stranger"]']) expect(side.get(key)?.after ?? null).toBeNull()
    expect(foundBy(await own.run())).toEqual([])
  })

  test('opens no more than it may hold in memory, and says how much it left', async () => {
    const own = await world({ rows: 60 })
    for (let id = 1; id <= 60; id += 1) own.silver.set(keyOf(id), { version: own.silver.get(keyOf(id))?.version ?? 0, eventId: '', after: '{}' })
    const end = await own.run({ most: { rows: 10, parts: 2 } })
    if (end.ending !== 'done') throw new Error(end.ending)
    expect(end.outcome.unopened).toBeGreaterThanOrEqual(40)
    expect(end.found.filter(({ sink }) => sink === 'silver').length).toBe(60 - end.outcome.unopened)
    expect(isClean({ ...end.outcome, sinks: [] })).toBe(false)
    expect(verdictText(end.outcome)).toMatch(/^at least 0 missing, \d+ different/)
    expect(own.outbox.ended).toBeNull()
  })

  test('looks at a table without an index', async () => {
    const own = await world({ wrap: (deps) => ({ ...deps, index: null }) })
    own.silver.delete(keyOf(1))
    expect(foundBy(await own.run())).toEqual([`missing in silver ${keyOf(1)}`])
  })
})

describe('what is under way is not wrong', () => {
  test.each([
    ['waits in the outbox', { capture: 3_000 }],
    ['is on its way into silver', { silver: 3_000 }],
    ['is on its way into the index', { index: 3_000 }],
  ])('a change that %s', async (_, lagMs) => {
    const own = await world({ lagMs })
    own.write(2, '{"id":2,"new":true}')
    own.write(4, null)
    own.write(40, '{"id":40}')
    expect(foundBy(await own.run())).toEqual([])
  })

  test('a row that changes there and back between the looks at its sides', async () => {
    const self: { world?: World } = {}
    let turn = 0
    const flip = async () => {
      turn += 1
      self.world?.write(6, turn % 2 === 1 ? '{"id":6,"b":1}' : '{"id":6}')
      await self.world?.publish()
      self.world?.deliver('silver')
      self.world?.deliver('index')
    }
    const own = await world({
      wrap: (deps) => ({
        ...deps,
        // A change arrives between the reading of the source and that of each sink.
        source: { ...deps.source, open: async (...of) => (await flip(), deps.source.open(...of)) },
        silver: {
          ...deps.silver,
          find: async (...of) => (await flip(), deps.silver.find(...of)),
          sums: async (...of) => (await flip(), deps.silver.sums(...of)),
        },
      }),
    })
    self.world = own
    const end = await own.run()
    expect(foundBy(end)).toEqual([])
    expect(turn).toBeGreaterThan(3)
    expect(end).toMatchObject({ outcome: { moving: 1 } })
  })

  test('a row that somebody inserts while an extra one is deleted lives on', async () => {
    const own = await world()
    own.silver.set(keyOf(50), { version: 7, eventId: '', after: '{}' })
    const user = own.source.begin()
    user.write({ table: NAME, key: keyOf(50), after: '{"id":50}' })
    const started = own.start({ repair: true })
    await own.pass(5_000)
    expect(started.settled).toBeUndefined()
    user.commit()
    expect(await own.end(started)).toMatchObject({ ending: 'done', outcome: { mended: 1 } })
    expect([own.silver, own.index].map((side) => side.get(keyOf(50))?.after)).toEqual(['{"id":50}', '{"id":50}'])
  })
})

describe('killed or out of time', () => {
  test('it goes on where its reading was, and finds the same', async () => {
    const read: Pages[] = []
    let slow = true
    const own = await world({
      rows: 3_000,
      wrap: (deps) => ({
        ...deps,
        source: {
          ...deps.source,
          sums: async (table, boundaries, pages, options) => {
            read.push(pages)
            if (slow) await deps.clock.sleep(900, options)
            return deps.source.sums(table, boundaries, pages, options)
          },
        },
      }),
    })
    own.silver.delete(keyOf(77))
    const most = { rows: 10_000, parts: 1 }
    const until = { anew: false, most }
    expect(await own.run({ ...until, untilMs: own.clock.now() + 500 })).toEqual({ ending: 'paused' })
    const first = read.length
    expect(read.at(-1)?.to).not.toBeNull()
    slow = false
    expect(foundBy(await own.run(until))).toEqual([`missing in silver ${keyOf(77)}`])
    expect(read[first]?.from).toBe(read[first - 1]?.to)
  })

  test('a source that can not be asked for a moment does not throw away what was read of it', async () => {
    const read: Pages[] = []
    let [slow, away] = [true, false]
    const own = await world({
      rows: 3_000,
      wrap: (deps) => ({
        ...deps,
        source: {
          ...deps.source,
          pages: async (...of) => {
            if (away) throw new AfluenteError('unavailable', 'connect', 'The source does not answer.')
            return deps.source.pages(...of)
          },
          sums: async (table, boundaries, pages, options) => {
            read.push(pages)
            if (slow) await deps.clock.sleep(900, options)
            return deps.source.sums(table, boundaries, pages, options)
          },
        },
      }),
    })
    const until = { anew: false, most: { rows: 10_000, parts: 1 } }
    expect(await own.run({ ...until, untilMs: own.clock.now() + 500 })).toEqual({ ending: 'paused' })
    const first = read.length
    ;[slow, away] = [false, true]
    await expect(own.run(until)).rejects.toThrow('The source does not answer.')
    expect(await own.reconciliations.latest({ signal: new AbortController().signal })).toEqual([])
    away = false
    expect(foundBy(await own.run(until))).toEqual([])
    expect(read[first]?.from).toBe(read[first - 1]?.to)
  })

  test('what is kept of a side holds the rows of the stretches it has behind it, whatever the other sides do', async () => {
    const kept: Pass[] = []
    const own = await world({
      rows: 2_200,
      lagMs: { capture: 200, silver: 200, index: 200 },
      wrap: (deps) => {
        const slow =
          <A extends unknown[], R>(ms: number, work: (...args: A) => Promise<R>) =>
          async (...args: A) => {
            await deps.clock.sleep(ms, { signal: new AbortController().signal })
            return work(...args)
          }
        return {
          ...deps,
          source: { ...deps.source, sums: slow(5_100, deps.source.sums) },
          silver: { ...deps.silver, sums: slow(7_000, deps.silver.sums) },
          reconciliations: {
            ...deps.reconciliations,
            keep: async (of, options) => {
              const pass = readPass(of.pass)
              if (pass !== null) kept.push(pass)
              return deps.reconciliations.keep(of, options)
            },
          },
        }
      },
    })
    expect(foundBy(await own.run({ most: { rows: 10_000, parts: 1 } }))).toEqual([])
    const rowsOf = ({ next, sums }: SideRead) => [next === null ? 2_200 : next * 4, totalOf(sums)]
    expect(kept.filter(({ silver, source }) => source.next !== 0 && silver.next === 0).length).toBeGreaterThan(0)
    for (const { silver, source } of kept) for (const [behind, rows] of [rowsOf(source), rowsOf(silver)]) expect(rows).toBe(behind)
  })

  test('a side that can not be read ends the reading of the others, and what it says is told', async () => {
    const signals: AbortSignal[] = []
    const own = await world({
      wrap: (deps) => ({
        ...deps,
        source: {
          ...deps.source,
          sums: async (_table, _boundaries, _pages, options) => {
            signals.push(options.signal)
            await deps.clock.sleep(3_600_000, options)
            throw new AfluenteError('unavailable', 'ended', 'It was told to end.')
          },
        },
        silver: { ...deps.silver, sums: async () => Promise.reject(new AfluenteError('misconfigured', 'no-column', 'A column is missing.')) },
      }),
    })
    await expect(own.run()).rejects.toThrow('A column is missing.')
    expect(signals.map(({ aborted }) => aborted)).toEqual([true])
  })

  test('two of the same do not work at once, and one that was killed leaves its place', async () => {
    const own = await world({ lagMs: { index: 60_000 } })
    own.write(1, '{"id":1,"n":1}')
    const first = own.start()
    await own.pass(1_000)
    expect(await own.run()).toEqual({ ending: 'busy' })
    await own.end(first)
    expect(await own.run()).toMatchObject({ ending: 'done' })
  })

  test('a statement that takes too long is asked of fewer pages', async () => {
    const sizes: number[] = []
    const own = await world({
      rows: 1_000,
      wrap: (deps) => ({
        ...deps,
        source: {
          ...deps.source,
          sums: async (table, boundaries, pages, options) => {
            const size = (pages.to ?? 250) - pages.from
            sizes.push(size)
            if (size > 40) throw new AfluenteError('unavailable', '57014', 'It took too long.')
            return deps.source.sums(table, boundaries, pages, options)
          },
        },
      }),
    })
    expect(await own.run()).toMatchObject({ ending: 'done', found: [], outcome: { rows: 1_000 } })
    expect(sizes[0]).toBeGreaterThan(40)
  })
})

describe('nothing is judged', () => {
  const expectNoVerdict = async (own: World, words: RegExp) => {
    await expect(own.run()).rejects.toThrow(words)
    const [verdict] = await own.reconciliations.latest({ signal: new AbortController().signal })
    expect(verdict).toMatchObject({ outcome: null, problem: expect.stringMatching(words) as unknown })
  }

  test('while a sink stands still', async () => {
    const own = await world()
    own.stop()
    own.write(1, '{"id":1,"n":1}')
    await own.publish()
    await expectNoVerdict(own, /consumer silver, index/)
  })

  test('while capture stands still', async () => {
    const own = await world()
    own.stop()
    own.write(1, '{"id":1,"n":1}')
    await expectNoVerdict(own, /the function capture runs/)
  })

  test('where the topic was made anew, and a consumer’s progress is of the old one', async () => {
    const own = await world({
      wrap: (deps) => ({ ...deps, watermarks: { read: async () => [{ topic: 'afluente.public.items', partition: 0, low: 0n, high: 3n }] } }),
    })
    await expectNoVerdict(own, /was made anew/)
  })

  test('where the source begins another life meanwhile', async () => {
    let asked = 0
    const own = await world({
      wrap: (deps) => ({
        ...deps,
        outbox: { ...deps.outbox, drained: async (...of) => ({ ...(await deps.outbox.drained(...of)), life: (asked += 1) > 1 ? 'another' : 'first' }) },
      }),
    })
    await expectNoVerdict(own, /was restarted/)
  })
})
