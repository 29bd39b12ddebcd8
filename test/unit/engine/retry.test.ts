import { describe, expect, test } from 'vitest'
import { memoryClock } from '../../../shared/adapters/memory/clock.ts'
import { AfluenteError, type FaultKind } from '../../../shared/engine/errors.ts'
import { backoff, retrying } from '../../../shared/engine/retry.ts'

const fault = (kind: FaultKind) => new AfluenteError(kind, 'test', 'test')
const take = (n: number, random: number) => {
  const waits = backoff({ baseMs: 100, maxMs: 1_000, random: () => random })
  return Array.from({ length: n }, () => waits.next().value)
}

test('waits double up to the longest, and are drawn from the upper half of each step', () => {
  expect(take(6, 1)).toEqual([100, 200, 400, 800, 1_000, 1_000])
  expect(take(6, 0)).toEqual([50, 100, 200, 400, 500, 500])
})

test('a first wait above the longest is the longest', () => {
  expect(backoff({ baseMs: 5_000, maxMs: 100, random: () => 1 }).next().value).toBe(100)
})

describe('retrying', () => {
  const world = (failures: readonly unknown[]) => {
    const clock = memoryClock()
    const began = clock.now()
    const left = [...failures]
    let attempts = 0
    const stop = new AbortController()
    const run = async (limit?: number) => {
      const work = retrying(
        async () => {
          attempts += 1
          if (left.length > 0) throw left.shift()
          return 'done'
        },
        { clock, signal: stop.signal, baseMs: 100, maxMs: 400, random: () => 1, ...(limit === undefined ? {} : { attempts: limit }) },
      )
      let ended = false
      const end = () => (ended = true)
      work.then(end, end)
      for (let turns = 0; turns < 100 && !ended; turns += 1) {
        await new Promise(setImmediate)
        clock.next()
      }
      return work
    }
    return { run, stop, clock, attempts: () => attempts, waited: () => clock.now() - began }
  }

  test('tries again while the other side is unavailable, waiting longer each time', async () => {
    const { attempts, run, waited } = world([fault('unavailable'), fault('unavailable'), fault('unavailable')])
    expect(await run()).toBe('done')
    expect([attempts(), waited()]).toEqual([4, 700])
  })

  test('tries again after an error that nobody classified', async () => {
    expect(await world([new TypeError('what?')]).run()).toBe('done')
  })

  test.for<FaultKind>(['refused', 'fenced', 'misconfigured'])('throws what is %s at once', async (kind) => {
    const { attempts, run } = world([fault(kind)])
    await expect(run()).rejects.toMatchObject({ kind })
    expect(attempts()).toBe(1)
  })

  test('throws the last attempt’s error', async () => {
    const last = fault('unavailable')
    const { attempts, run } = world([fault('unavailable'), last])
    await expect(run(2)).rejects.toBe(last)
    expect(attempts()).toBe(2)
  })

  test('stops when it is told to, also in the midst of a wait', async () => {
    const { attempts, clock, run, stop } = world([fault('unavailable'), fault('unavailable')])
    void clock.sleep(50, { signal: new AbortController().signal }).then(() => stop.abort())
    await expect(run()).rejects.toMatchObject({ kind: 'unavailable' })
    expect(attempts()).toBe(1)
  })
})
