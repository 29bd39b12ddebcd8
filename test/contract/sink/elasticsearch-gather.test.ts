import { describe, expect, test } from 'vitest'
import type { Bulk, BulkOutcome } from '../../../shared/adapters/elasticsearch/bulk.ts'
import { gatherSmall } from '../../../shared/adapters/elasticsearch/gather.ts'
import { refreshTurns } from '../../../shared/adapters/elasticsearch/refresh.ts'

const never = new AbortController().signal
const docs = (...names: readonly string[]) => names.map((name) => ({ action: name, document: name }))
const named = (outcomes: readonly BulkOutcome[]) => outcomes.map((outcome) => (outcome.status === 'rejected' ? outcome.error.type : outcome.status))

/** A bulk whose requests wait until they are let go; each item comes back as "rejected" under its own name. */
function held() {
  const requests: { readonly names: readonly string[]; readonly refresh: boolean; letGo: (error?: Error) => void }[] = []
  const bulk: Bulk = (_index, items, { refresh, signal }) =>
    new Promise((resolve, reject) => {
      const names = items.map(({ action }) => action)
      signal.addEventListener('abort', () => reject(new Error('aborted')))
      const outcomes = names.map((type) => ({ status: 'rejected', error: { type } }) as const)
      requests.push({ names, refresh, letGo: (error) => (error === undefined ? resolve(outcomes) : reject(error)) })
    })
  return { bulk, requests }
}

const settle = async () => {
  for (let turn = 0; turn < 10; turn += 1) await Promise.resolve()
}

function gatheringAt(now: () => number) {
  const { bulk, requests } = held()
  return { requests, write: gatherSmall(bulk, refreshTurns({ now })) }
}

describe('small batches', () => {
  test('that come while a request is under way go together with the next, each with its own outcomes', async () => {
    const { requests, write } = gatheringAt(() => 0)
    const writes = [write('i', docs('a'), { signal: never }), write('i', docs('b', 'c'), { signal: never }), write('i', docs('d'), { signal: never })]
    await settle()
    expect(requests.map(({ names }) => names)).toEqual([['a']])
    requests[0]?.letGo()
    await settle()
    expect(requests[1]?.names).toEqual(['b', 'c', 'd'])
    requests[1]?.letGo()
    expect((await Promise.all(writes)).map(named)).toEqual([['a'], ['b', 'c'], ['d']])
  })

  test('of different indices and large ones wait for nobody', async () => {
    const { requests, write } = gatheringAt(() => 0)
    void write('i', docs('a'), { signal: never })
    void write('j', docs('b'), { signal: never })
    void write('i', docs(...Array.from({ length: 200 }, () => 'large')), { signal: never })
    await settle()
    expect(requests).toHaveLength(3)
  })

  test('share what goes wrong with the request they went in, and the next one is tried', async () => {
    const { requests, write } = gatheringAt(() => 0)
    const writes = [write('i', docs('a'), { signal: never }), write('i', docs('b'), { signal: never }), write('i', docs('c'), { signal: never })]
    const settled = Promise.allSettled(writes)
    await settle()
    requests[0]?.letGo()
    await settle()
    requests[1]?.letGo(new Error('down'))
    expect((await settled).map(({ status }) => status)).toEqual(['fulfilled', 'rejected', 'rejected'])
    const again = write('i', docs('d'), { signal: never })
    await settle()
    requests[2]?.letGo()
    expect(named(await again)).toEqual(['d'])
  })

  test('an abort ends only the write it belongs to: what was sent along with it is sent again', async () => {
    const { requests, write } = gatheringAt(() => 0)
    const abort = new AbortController()
    const first = write('i', docs('a'), { signal: never })
    const leader = write('i', docs('b'), { signal: abort.signal })
    const other = write('i', docs('c'), { signal: never })
    await settle()
    requests[0]?.letGo()
    await first
    await settle()
    expect(requests[1]?.names).toEqual(['b', 'c'])
    abort.abort(new Error('budget spent'))
    await expect(leader).rejects.toThrow('aborted')
    await settle()
    expect(requests[2]?.names).toEqual(['c'])
    requests[2]?.letGo()
    expect(named(await other)).toEqual(['c'])
  })

  test('one whose signal aborts while it waits is not sent', async () => {
    const { requests, write } = gatheringAt(() => 0)
    const abort = new AbortController()
    const first = write('i', docs('a'), { signal: never })
    const waiting = write('i', docs('b'), { signal: abort.signal })
    await settle()
    abort.abort(new Error('budget spent'))
    requests[0]?.letGo()
    await first
    await expect(waiting).rejects.toThrow('budget spent')
    expect(requests).toHaveLength(1)
  })
})

describe('a refresh', () => {
  test('comes with a small write, then pauses as long as it took, from 25 to 250 ms', async () => {
    let now = 1_000
    const { requests, write } = gatheringAt(() => now)
    const one = async (tookMs: number): Promise<boolean | undefined> => {
      const writing = write('i', docs('a'), { signal: never })
      await settle()
      now += tookMs
      requests.at(-1)?.letGo()
      await writing
      return requests.at(-1)?.refresh
    }
    expect(await one(10)).toBe(true)
    now += 20
    expect(await one(1)).toBe(false)
    now += 10
    expect(await one(400)).toBe(true)
    now += 240
    expect(await one(1)).toBe(false)
    now += 10
    expect(await one(1)).toBe(true)
  })

  test('never comes with a large write', async () => {
    const { requests, write } = gatheringAt(() => 0)
    void write('i', docs(...Array.from({ length: 200 }, () => 'a')), { signal: never })
    await settle()
    expect(requests[0]?.refresh).toBe(false)
  })

  test('whose write fails does not keep the others from refreshing for longer than a second', async () => {
    let now = 0
    const turns = refreshTurns({ now: () => now })
    expect(turns.take('i', 1)).not.toBeNull()
    expect(turns.take('i', 1)).toBeNull()
    now = 1_000
    expect(turns.take('i', 1)).not.toBeNull()
  })
})
