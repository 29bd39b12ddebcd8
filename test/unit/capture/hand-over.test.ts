import { describe, expect, test } from 'vitest'
import type { Ending } from '../../../shared/engine/capture.ts'
import { captureWorld } from './world.ts'

/** Rows keep coming, one with each publish, until so many are there. */
function flowing(rows: number, softCpuMs = 40) {
  const world = captureWorld({ softCpuMs })
  world.write('row 0')
  world.hooks.publish = async (_, answer) => {
    if (world.committed().length < rows) world.write(`row ${world.committed().length % 3}`)
    return answer()
  }
  return world
}

describe('a capture whose budget comes to its end', () => {
  test('starts a successor, works until it is ready, and hands over without losing or doubling a row', async () => {
    const world = flowing(60)
    const successors: Promise<Ending>[] = []
    let publishedWhenAsked = 0
    let publishedWhenReady = 0
    const startSuccessor = async () => {
      publishedWhenAsked = world.published().length
      await world.clock.sleep(40, { signal: new AbortController().signal })
      for (let n = 0; n < 200 && world.published().length < publishedWhenAsked + 5; n += 1) await new Promise(setImmediate)
      publishedWhenReady = world.published().length
      successors.push(world.start({ successor: true }, { budget: world.budgetOf(Infinity) }))
    }
    expect(await world.drive(world.start({}, { startSuccessor }))).toBe('handed-over')
    expect(publishedWhenReady).toBeGreaterThan(publishedWhenAsked)
    expect(successors).toHaveLength(1)
    expect(await world.drive(Promise.all(successors))).toEqual(['idle'])
    expect(world.published()).toEqual(world.committed())
    expect(world.committed()).toHaveLength(60)
  })

  test('leaves the shard within a few milliseconds once the successor is ready', async () => {
    const world = flowing(10_000)
    let readyAt = 0
    const startSuccessor = async () => {
      readyAt = world.clock.now()
    }
    expect(await world.drive(world.start({}, { startSuccessor }))).toBe('handed-over')
    expect(world.clock.now() - readyAt).toBeLessThan(50)
    expect((await world.source.outbox.backlog({ signal: new AbortController().signal })).leased).toBe(false)
  })

  test('a successor waits for the shard, and lingers though it finds nothing at first', async () => {
    const world = captureWorld()
    const signal = new AbortController().signal
    const old = await world.source.outbox.claim(
      { shard: 0, owner: 'old', leaseMs: 3_000, floor: 0, beside: [], maxRows: 10, maxBytes: 1e6, waitMs: 0 },
      { signal },
    )
    if (old.status !== 'held') throw new Error('not held')
    const running = world.start({ successor: true })
    const giveUp = world.clock.sleep(1_500, { signal }).then(() => world.source.outbox.release(0, old.epoch, { signal }))
    const writing = world.clock.sleep(2_200, { signal }).then(() => world.write('late'))
    expect(await world.drive(running)).toBe('idle')
    await Promise.all([giveUp, writing])
    expect(world.published()).toEqual(world.committed())
    expect(world.committed()).toHaveLength(1)
  })

  test('a successor does not wait for ever', async () => {
    const world = captureWorld()
    const signal = new AbortController().signal
    await world.source.outbox.claim({ shard: 0, owner: 'old', leaseMs: 600_000, floor: 0, beside: [], maxRows: 10, maxBytes: 1e6, waitMs: 0 }, { signal })
    const began = world.clock.now()
    expect(await world.drive(world.start({ successor: true }))).toBe('busy')
    const waited = world.clock.now() - began
    // Longer than a predecessor that retries a slow Kafka, and well within an isolate's wall time.
    expect(waited).toBeGreaterThan(40_000)
    expect(waited).toBeLessThan(60_000)
  })

  test('without a successor it lets go; the next doorbell goes on', async () => {
    const world = flowing(60)
    expect(await world.drive(world.start({}, { startSuccessor: () => Promise.reject(new Error('refused')) }))).toBe('spent')
    expect(world.events()).toContain('capture.no-successor')
    expect((await world.source.outbox.backlog({ signal: new AbortController().signal })).leased).toBe(false)
    expect(await world.drive(world.start({}, { budget: world.budgetOf(Infinity) }))).toBe('idle')
    expect(world.published()).toEqual(world.committed())
  })

  test('at the hard limit it stops, though the successor has not answered', async () => {
    const world = flowing(10_000)
    const never = Promise.withResolvers<void>()
    const budget = { charge: () => undefined, endNear: () => undefined, cpuMs: 0, spent: () => (world.published().length < 20 ? 'soft' : 'hard') } as const
    const running = world.start({}, { budget, startSuccessor: () => never.promise })
    for (let n = 0; n < 2_000 && world.calls.at(-1) !== 'release'; n += 1) {
      await new Promise(setImmediate)
      world.clock.next()
    }
    expect(world.calls.at(-1)).toBe('release')
    expect(world.published().length).toBeLessThan(30)
    never.resolve()
    expect(await world.drive(running)).toBe('spent')
  })

  test('asks for one successor only', async () => {
    const world = flowing(200)
    let asked = 0
    const startSuccessor = async () => {
      asked += 1
      for (let n = 0; n < 20; n += 1) await world.clock.sleep(1, { signal: new AbortController().signal })
    }
    await world.drive(world.start({}, { startSuccessor }))
    expect(asked).toBe(1)
  })
})
