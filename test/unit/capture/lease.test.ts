import { describe, expect, test } from 'vitest'
import type { Claim } from '../../../shared/ports/outbox.ts'
import { captureWorld, turn } from './world.ts'

const signal = new AbortController().signal
const other = { shard: 0, owner: 'somebody else', leaseMs: 3_000, floor: 0, beside: [], maxRows: 100, maxBytes: 1e9, waitMs: 0 }

describe('two captures at once do no harm', () => {
  test('a shard that somebody holds is left alone', async () => {
    const world = captureWorld()
    await world.source.outbox.claim({ ...other, leaseMs: 60_000 }, { signal })
    world.write('a')
    expect(await world.drive(world.start())).toBe('busy')
    expect(world.published()).toEqual([])
    expect(world.calls).toEqual(['claim bottom'])
  })

  test('a holder who has not renewed for long is waited for: it may be dead', async () => {
    const world = captureWorld()
    await world.source.outbox.claim(other, { signal })
    world.write('a')
    world.clock.advance(1_800)
    expect(await world.drive(world.start())).toBe('idle')
    expect(world.published()).toEqual(world.committed())
  })

  test('a holder in the midst of its last look is waited for', async () => {
    const world = captureWorld()
    const held = await world.source.outbox.claim(other, { signal })
    world.write('a')
    const running = world.start()
    await turn()
    if (held.status === 'held') await world.source.outbox.release(0, held.epoch, { signal })
    expect(await world.drive(running)).toBe('idle')
    expect(world.published()).toEqual(world.committed())
  })

  test('four at once: each change on the topic once, in order', async () => {
    const world = captureWorld({ limits: { maxRows: 5 } })
    for (let n = 0; n < 60; n += 1) world.write(`k${n % 7}`)
    const endings = await world.drive(Promise.all([world.start(), world.start(), world.start(), world.start()]))
    expect(world.published()).toEqual(world.committed())
    expect(endings.toSorted()).toEqual(['busy', 'busy', 'busy', 'idle'])
  })

  test('fenced: after somebody else took the shard nothing more is published, and nothing of theirs is deleted', async () => {
    const world = captureWorld({ limits: { maxRows: 2 } })
    for (const key of ['a', 'b', 'c', 'd', 'e', 'f']) world.write(key)
    world.hooks.acknowledge = async (_, answer) => {
      // This run was held up here for as long as its lease lasted.
      world.clock.advance(3_001)
      await world.source.outbox.claim(other, { signal })
      return answer()
    }
    expect(await world.drive(world.start())).toBe('fenced')
    expect(world.source.waiting).toHaveLength(6)
    const atTheEnd = world.published().length
    expect(atTheEnd).toBeLessThanOrEqual(4)
    expect(world.events()).not.toContain('capture.failed')
  })

  test('fenced while the local clock saw nothing: at most the batch under way is still published', async () => {
    const world = captureWorld({ limits: { maxRows: 1 } })
    for (const key of ['a', 'b', 'c', 'd', 'e', 'f']) world.write(key)
    world.hooks.acknowledge = () => Promise.resolve({ status: 'fenced', epoch: 9 })
    expect(await world.drive(world.start())).toBe('fenced')
    expect(world.published()).toHaveLength(2)
    expect(world.source.waiting).toHaveLength(6)
  })
})

describe('a capture that was paused', () => {
  /** Right after the first claim has answered, the run stands still for `ms`, while the world goes on. */
  const pausedFor = (ms: number, meanwhile: (world: ReturnType<typeof captureWorld>) => Promise<void> = async () => {}) => {
    const world = captureWorld()
    world.write('a')
    let paused = false
    world.hooks.claim = async (_, answer) => {
      const claim: Claim = await answer()
      if (!paused) {
        paused = true
        world.clock.advance(ms)
        await meanwhile(world)
      }
      return claim
    }
    return world
  }

  test('past its lease it publishes nothing of what it holds', async () => {
    const world = pausedFor(2_900, async () => {
      await world.source.outbox.claim({ ...other, leaseMs: 60_000, shard: 1 }, { signal })
    })
    await world.drive(world.start())
    // The rows were claimed again before they were published.
    expect(world.calls.slice(0, 3)).toEqual(['claim bottom', 'claim bottom', 'publish 1'])
    expect(world.published()).toEqual(world.committed())
  })

  test('when somebody else has taken the shard, it goes without a word to Kafka', async () => {
    const world = pausedFor(3_001, async () => {
      await world.source.outbox.claim({ ...other, leaseMs: 60_000 }, { signal })
    })
    expect(await world.drive(world.start())).toBe('busy')
    expect(world.published()).toEqual([])
  })

  test('what somebody else has published and acknowledged meanwhile is not published again', async () => {
    const world = pausedFor(3_001, async () => {
      const claim = await world.source.outbox.claim(other, { signal })
      if (claim.status !== 'held') throw new Error('not held')
      for (const change of claim.changes)
        world.topics.append({ topic: change.topic, key: change.key, value: '{}', headers: { ce_sequence: String(change.version) } })
      await world.source.outbox.acknowledge(
        0,
        claim.epoch,
        claim.changes.map(({ version }) => version),
        { signal },
      )
      await world.source.outbox.release(0, claim.epoch, { signal })
    })
    expect(await world.drive(world.start())).toBe('idle')
    expect(world.published()).toEqual(world.committed())
  })

  test('between two requests of one batch: the second is not sent', async () => {
    const world = captureWorld({ limits: { sendBytes: 1 } })
    for (const key of ['a', 'b']) world.write(key)
    let publishes = 0
    world.hooks.publish = async (_, answer) => {
      const published = await answer()
      if ((publishes += 1) === 1) {
        world.clock.advance(4_000)
        await world.source.outbox.claim({ ...other, leaseMs: 60_000 }, { signal })
      }
      return published
    }
    expect(await world.drive(world.start())).toBe('busy')
    expect(publishes).toBe(1)
  })

  test('under a later epoch of its own, rows claimed under the earlier one are not published', async () => {
    const world = captureWorld({ limits: { maxRows: 1 } })
    for (const key of ['a', 'b']) world.write(key)
    let publishes = 0
    world.hooks.publish = async (_, answer) => {
      if ((publishes += 1) === 1) {
        // The shard changes hands twice during the first publish; a renewal has it back with a new epoch.
        world.clock.advance(2_200)
        await turn()
        world.clock.advance(3_001)
        const claim = await world.source.outbox.claim(other, { signal })
        if (claim.status !== 'held') throw new Error('not held')
        await world.source.outbox.acknowledge(
          0,
          claim.epoch,
          claim.changes.map(({ version }) => version),
          { signal },
        )
        await world.source.outbox.release(0, claim.epoch, { signal })
        world.clock.advance(800)
        await turn()
      }
      return answer()
    }
    await world.drive(world.start())
    expect(publishes).toBe(1)
  })
})

describe('a long publish', () => {
  test('keeps the lease', async () => {
    const world = captureWorld()
    world.write('a')
    world.hooks.publish = async (_, answer) => {
      await world.clock.sleep(20_000, { signal })
      return answer()
    }
    const running = world.start()
    let stolen = 0
    world.hooks.claim = async (_, answer) => {
      const claim = await answer()
      await world.clock.sleep(500, { signal })
      if ((await world.source.outbox.claim(other, { signal })).status === 'held') stolen += 1
      return claim
    }
    await world.drive(running)
    expect(stolen).toBe(0)
    expect(world.published()).toEqual(world.committed())
    expect(world.calls.filter((call) => call === 'claim nothing').length).toBeGreaterThan(5)
  })

  test('a short one renews nothing', async () => {
    const world = captureWorld()
    world.write('a')
    await world.drive(world.start())
    expect(world.calls).not.toContain('claim nothing')
  })
})

test('killed between publish and acknowledge: the next run sends it again', async () => {
  const world = captureWorld()
  world.write('a')
  world.hooks.acknowledge = () => new Promise(() => undefined)
  void world.start()
  for (let n = 0; n < 10; n += 1) await turn()
  expect(world.published()).toEqual(world.committed())
  expect(world.source.waiting).toHaveLength(1)
  delete world.hooks.acknowledge
  world.write('b')
  world.clock.advance(3_001)
  expect(await world.drive(world.start())).toBe('idle')
  const [a, b] = world.committed()
  expect(world.published()).toEqual([a, a, b])
  expect(world.source.waiting).toEqual([])
})
