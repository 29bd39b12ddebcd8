import { expect, test } from 'vitest'
import { type CronDeps, sweep } from '../../../functions/cron/handler.ts'
import { AfluenteError } from '../../../shared/engine/errors.ts'
import type { Backlog } from '../../../shared/ports/outbox.ts'

const empty: Backlog = { rows: 0, oldestMs: null, leased: false, failures: 0, refused: null, keeps: 'images', tables: [] }

function stage(
  over: {
    readonly backlog?: Backlog | Error
    readonly wake?: (consumer: string) => Promise<unknown>
    readonly purge?: CronDeps['purge']
    readonly reconcile?: CronDeps['reconcile']
    readonly going?: readonly string[] | Error
  } = {},
) {
  const woken: string[] = []
  const ticked: string[] = []
  const lines: { readonly event: string; readonly fields: unknown }[] = []
  let rings = 0
  const line = (event: string, fields?: unknown) => void lines.push({ event, fields })
  const deps: CronDeps = {
    consumers: ['postgres', 'elasticsearch'],
    wake: over.wake ?? (async (consumer) => woken.push(consumer)),
    etl: {
      jobs: over.going === undefined ? ['conversations'] : ['conversations', 'contacts'],
      going: async () => {
        if (over.going instanceof Error) throw over.going
        return over.going ?? []
      },
      tick: async (job, { going }) => {
        if (job === 'contacts') throw new Error('object is gone')
        ticked.push(`${job}${going ? ', going' : ''}`)
      },
    },
    outbox: {
      backlog: async () => {
        if (over.backlog instanceof Error) throw over.backlog
        return over.backlog ?? empty
      },
    },
    ring: async () => {
      rings += 1
    },
    purge: over.purge ?? (async () => {}),
    reconcile: over.reconcile ?? (async () => {}),
    log: { info: line, warn: line, error: line },
  }
  return { deps, woken, ticked, lines, rings: () => rings, run: () => sweep(deps, { signal: new AbortController().signal }) }
}

test('every consumer is woken, and an outbox without old rows is left alone', async () => {
  const { run, rings, woken } = stage({ backlog: { ...empty, rows: 3, oldestMs: 2_900 } })
  await run()
  expect(woken).toEqual(['postgres', 'elasticsearch'])
  expect(rings()).toBe(0)
})

test('tombstones are purged with each sweep; one that fails is told and holds up nothing', async () => {
  const { run, woken, lines } = stage({
    purge: async () => {
      throw new AfluenteError('unavailable', 'down', 'no answer')
    },
  })
  await run()
  expect(woken).toHaveLength(2)
  expect(lines).toContainEqual({ event: 'cron.failed', fields: { part: 'purge', code: 'down', reason: 'no answer' } })
})

test('rows older than three seconds ring capture', async () => {
  const { run, rings } = stage({ backlog: { ...empty, rows: 3, oldestMs: 3_100 } })
  await run()
  expect(rings()).toBe(1)
})

test('a consumer that can not be woken holds up neither the others nor the sweep', async () => {
  const woken: string[] = []
  const { run, rings, lines } = stage({
    backlog: { ...empty, rows: 1, oldestMs: 60_000 },
    wake: async (consumer) => {
      if (consumer === 'postgres') throw new Error('object is gone')
      woken.push(consumer)
    },
  })
  await run()
  expect(woken).toEqual(['elasticsearch'])
  expect(rings()).toBe(1)
  expect(lines).toContainEqual({
    event: 'cron.failed',
    fields: { part: 'wake:postgres', code: 'Error', reason: expect.stringMatching(/^An unexpected Error at /) },
  })
})

test('a source that does not answer holds up no consumer', async () => {
  const { run, woken, lines } = stage({ backlog: new AfluenteError('unavailable', 'network', 'no answer') })
  await run()
  expect(woken).toHaveLength(2)
  expect(lines).toContainEqual({ event: 'cron.failed', fields: { part: 'outbox', code: 'network', reason: expect.any(String) } })
})

test('a captured table that has a problem is told each time', async () => {
  const { run, lines } = stage({
    backlog: {
      ...empty,
      tables: [
        {
          table: 'public.leads',
          topic: 'afluente.public.leads',
          failures: 0,
          problem: 'It was dropped.',
          reconcileSince: null,
          keysOnlySince: null,
        },
      ],
    },
  })
  await run()
  expect(lines).toContainEqual({ event: 'source.table-problem', fields: { table: 'public.leads', problem: 'It was dropped.' } })
})

test('a source that is not what it was is told as an error once a sweep, with the way out; capture, which could do nothing, is not rung', async () => {
  const reason = 'this database was restored to a point in time. Run: npx afluente rebase'
  const { lines, rings, run } = stage({ backlog: { ...empty, rows: 1, oldestMs: 60_000, refused: reason } })
  await run()
  expect(lines).toEqual([{ event: 'source.refused', fields: { reason } }])
  expect(rings()).toBe(0)
})

test('an outbox above its budget is told, and capture is rung all the same', async () => {
  const { lines, rings, run } = stage({ backlog: { ...empty, rows: 10_001, oldestMs: 60_000, keeps: 'keys' } })
  await run()
  expect(lines).toContainEqual({ event: 'source.outbox-above-budget', fields: { keeps: 'keys', rows: 10_001, oldest_ms: 60_000 } })
  expect(rings()).toBe(1)
})

test('a table is compared with each sweep; one that fails is told and holds up nothing', async () => {
  const { run, woken, lines } = stage({
    reconcile: async () => {
      throw new AfluenteError('unavailable', 'barrier', 'Nothing was judged.')
    },
  })
  await run()
  expect(woken).toEqual(['postgres', 'elasticsearch'])
  expect(lines).toEqual([{ event: 'cron.failed', fields: { part: 'reconcile', code: 'barrier', reason: 'Nothing was judged.' } }])
})

test('every ETL job is asked each minute, and told whether a run of it is going; one that can not be asked holds up no other', async () => {
  const { lines, run, ticked } = stage({ going: ['conversations', 'a job of a former definition'] })
  await run()
  expect(ticked).toEqual(['conversations, going'])
  expect(lines).toContainEqual({ event: 'cron.failed', fields: expect.objectContaining({ part: 'etl:contacts' }) })
})

test('while nobody can say what is going, schedules are asked all the same', async () => {
  const { lines, run, ticked } = stage({ going: new AfluenteError('unavailable', 'connection', 'no answer') })
  await run()
  expect(ticked).toEqual(['conversations'])
  expect(lines).toContainEqual({ event: 'cron.failed', fields: { part: 'etl:going', code: 'connection', reason: 'no answer' } })
})
