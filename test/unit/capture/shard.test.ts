import { describe, expect, test } from 'vitest'
import { AfluenteError } from '../../../shared/engine/errors.ts'
import { captureWorld, TABLE, turn } from './world.ts'

const unavailable = () => new AfluenteError('unavailable', 'test', 'away')

describe('capture moves the outbox into Kafka', () => {
  test('rows are published, acknowledged, and the shard is let go', async () => {
    const world = captureWorld()
    for (const key of ['a', 'b', 'a']) world.write(key)
    expect(await world.drive(world.start())).toBe('idle')
    expect(world.published()).toEqual(world.committed())
    expect(world.source.waiting).toEqual([])
    expect((await world.source.outbox.backlog({ signal: new AbortController().signal })).leased).toBe(false)
  })

  test('with more waiting, the next batch is claimed while this one is published', async () => {
    const world = captureWorld({ limits: { maxRows: 2 } })
    for (const key of ['a', 'b', 'c', 'd', 'e', 'f']) world.write(key)
    await world.drive(world.start())
    expect(world.published()).toEqual(world.committed())
    const [first, second, third] = world.calls
    expect([first, second, third]).toEqual(['claim bottom', 'claim beside', 'publish 2'])
  })

  test('the acknowledgement of a batch does not hold up the publish of the next', async () => {
    const world = captureWorld({ limits: { maxRows: 2 } })
    for (const key of ['a', 'b', 'c', 'd']) world.write(key)
    const held = Promise.withResolvers<void>()
    let acknowledging = 0
    world.hooks.acknowledge = async (_, answer) => {
      acknowledging += 1
      if (acknowledging === 1) await held.promise
      return answer()
    }
    world.hooks.publish = async (_, answer) => {
      const published = await answer()
      if (world.published().length === 4) held.resolve()
      return published
    }
    expect(await world.drive(world.start())).toBe('idle')
    expect(world.source.waiting).toEqual([])
  })

  test('one publish at a time, and never two acknowledgements at once', async () => {
    const world = captureWorld({ limits: { maxRows: 3, sendBytes: 400 } })
    for (let n = 0; n < 40; n += 1) world.write(`k${n % 5}`)
    const acknowledging = { now: 0, most: 0 }
    world.hooks.acknowledge = async (_, answer) => {
      acknowledging.most = Math.max(acknowledging.most, (acknowledging.now += 1))
      for (let turns = 0; turns < 5; turns += 1) await turn()
      const settled = await answer()
      acknowledging.now -= 1
      return settled
    }
    world.hooks.publish = async (_, answer) => {
      await turn()
      return answer()
    }
    await world.drive(world.start())
    expect(world.published()).toEqual(world.committed())
    expect([world.mostPublishes, acknowledging.most]).toEqual([1, 1])
  })

  test('a lower version that is committed late is found, and nothing is published twice', async () => {
    const world = captureWorld()
    const late = world.source.begin()
    late.write({ table: TABLE, key: '["late"]', after: '{}' })
    world.write('early')
    world.hooks.publish = async (_, answer) => {
      const published = await answer()
      if (world.published().length === 1) late.commit()
      return published
    }
    expect(await world.drive(world.start())).toBe('idle')
    expect(world.published().toSorted()).toEqual(world.committed().toSorted())
  })

  test('a lower version that is committed late is found while batches keep coming', async () => {
    const world = captureWorld({ limits: { maxRows: 1 } })
    const late = world.source.begin()
    late.write({ table: TABLE, key: '["late"]', after: '{}' })
    for (let n = 0; n < 3; n += 1) world.write(`row ${n}`)
    let published = 0
    world.hooks.publish = async (_, answer) => {
      if ((published += 1) === 1) late.commit()
      // There are always more rows.
      if (published < 30) world.write(`row of publish ${published}`)
      return answer()
    }
    await world.drive(world.start())
    expect(world.published().findIndex((event) => event.startsWith('["late"]'))).toBeLessThan(6)
    expect(world.published().length).toBe(world.committed().length)
  })

  test('a lower version that is committed late goes before a later one of its key, while batches keep coming', async () => {
    const world = captureWorld({ limits: { maxRows: 1 } })
    const late = world.source.begin()
    late.write({ table: TABLE, key: '["k"]', after: '{}' })
    for (let n = 0; n < 3; n += 1) world.write(`row ${n}`)
    world.hooks.publish = async (_, answer) => {
      if (world.published().length === 1) {
        late.commit()
        world.write('k')
      }
      return answer()
    }
    expect(await world.drive(world.start())).toBe('idle')
    const of = (events: readonly string[]) => events.filter((event) => event.startsWith('["k"]'))
    expect(of(world.published())).toEqual(of(world.committed()))
    expect(world.published().length).toBe(world.committed().length)
  })

  test('what is acknowledged just now is not claimed again', async () => {
    const world = captureWorld({ limits: { maxRows: 2 } })
    for (let n = 0; n < 8; n += 1) world.write(`row ${n}`)
    world.hooks.acknowledge = async (_, answer) => {
      for (let turns = 0; turns < 20; turns += 1) await turn()
      return answer()
    }
    expect(await world.drive(world.start())).toBe('idle')
    expect(world.published()).toEqual(world.committed())
  })
})

describe('capture stays while rows keep coming', () => {
  test('a second is counted from the last row', async () => {
    const world = captureWorld()
    const began = world.clock.now()
    world.write('first')
    const running = world.start()
    let lastWrite = began
    world.hooks.claim = async (_, answer) => {
      const claim = await answer()
      if (world.clock.now() - lastWrite > 700 && world.committed().length < 5) {
        lastWrite = world.clock.now()
        world.write('again')
      }
      return claim
    }
    expect(await world.drive(running)).toBe('idle')
    expect(world.published()).toEqual(world.committed())
    const stayed = world.clock.now() - lastWrite
    expect(stayed).toBeGreaterThanOrEqual(1_000)
    expect(stayed).toBeLessThan(1_600)
  })

  test('with nothing there at all it looks once more and goes', async () => {
    const world = captureWorld()
    const began = world.clock.now()
    expect(await world.drive(world.start())).toBe('idle')
    expect(world.clock.now() - began).toBeLessThan(600)
    expect(world.calls.at(-1)).toBe('release')
  })

  test('what is committed right before the shard is let go is found by the look after', async () => {
    const world = captureWorld()
    world.write('first')
    const { release } = world.deps.outbox
    let written = false
    const outbox = {
      ...world.deps.outbox,
      release: async (...of: Parameters<typeof release>) => {
        if (!written) world.write('silenced')
        written = true
        return release(...of)
      },
    }
    expect(await world.drive(world.start({}, { outbox }))).toBe('idle')
    expect(world.published()).toEqual(world.committed())
    expect(world.committed().length).toBe(2)
  })

  test('waiting is the database’s: an idle second takes few calls', async () => {
    const world = captureWorld()
    world.write('only')
    await world.drive(world.start())
    expect(world.calls.filter((call) => call.startsWith('claim')).length).toBeLessThan(9)
  })
})

test('while rows trickle in, looks keep a pace: a few rows a look instead of one', async () => {
  const world = captureWorld()
  const began = world.clock.now()
  world.write('row')
  world.hooks.publish = async (_, answer) => {
    await world.clock.sleep(1, { signal: new AbortController().signal })
    if (world.clock.now() - began < 600) world.write('row')
    return answer()
  }
  await world.drive(world.start())
  const looks = world.calls.filter((call) => call === 'claim bottom').length
  expect(looks).toBeLessThan(120)
  expect(looks).toBeGreaterThan(60)
  expect(world.published()).toEqual(world.committed())
})

describe('a batch that fails keeps its place', () => {
  test('Kafka away for a while: tried again, in order, nothing after it before it', async () => {
    const world = captureWorld({ limits: { maxRows: 2 } })
    for (const key of ['a', 'b', 'a', 'b']) world.write(key)
    let failures = 3
    world.hooks.publish = async (_, answer) => {
      if (failures > 0) {
        failures -= 1
        throw unavailable()
      }
      return answer()
    }
    expect(await world.drive(world.start())).toBe('idle')
    expect(world.published()).toEqual(world.committed())
  })

  test('Kafka away for long: a few tries, then the shard is let go and the rows stay', async () => {
    const world = captureWorld({ limits: { maxRows: 2 } })
    for (const key of ['a', 'b', 'c', 'd']) world.write(key)
    world.hooks.publish = () => Promise.reject(unavailable())
    expect(await world.drive(world.start())).toBe('failed')
    expect(world.calls.filter((call) => call.startsWith('publish'))).toHaveLength(5)
    expect(world.source.waiting).toHaveLength(4)
    expect(world.calls.at(-1)).toBe('release')
    expect(world.events()).toContain('capture.failed')
  })

  test('a publish that half arrived is sent again as a whole', async () => {
    const world = captureWorld()
    for (const key of ['a', 'b']) world.write(key)
    let first = true
    world.hooks.publish = async (messages, answer) => {
      if (!first) return answer()
      first = false
      for (const message of messages.slice(0, 1)) world.topics.append(message)
      throw unavailable()
    }
    expect(await world.drive(world.start())).toBe('idle')
    const [a, b] = world.committed()
    expect(world.published()).toEqual([a, a, b])
  })

  test('the claim that overlaps a failing publish does not take the shard back after it was let go', async () => {
    const world = captureWorld({ limits: { maxRows: 1 } })
    for (const key of ['a', 'b']) world.write(key)
    const slow = Promise.withResolvers<void>()
    world.hooks.claim = async ({ beside }, answer) => {
      if (beside.length > 0) await slow.promise
      return answer()
    }
    world.hooks.publish = () => Promise.reject(new AfluenteError('misconfigured', 'test', 'no such topic'))
    const running = world.start()
    await turn()
    slow.resolve()
    expect(await world.drive(running)).toBe('failed')
    expect((await world.source.outbox.backlog({ signal: new AbortController().signal })).leased).toBe(false)
  })

  test('when a later batch fails, the acknowledgement under way is waited for before the shard is let go', async () => {
    const world = captureWorld({ limits: { maxRows: 1 } })
    for (const key of ['a', 'b']) world.write(key)
    world.hooks.acknowledge = async (_, answer) => {
      for (let turns = 0; turns < 5; turns += 1) await turn()
      const settled = await answer()
      world.calls.push('acknowledged')
      return settled
    }
    world.hooks.publish = async (messages, answer) => {
      if (messages[0]?.key === '["b"]') throw new AfluenteError('misconfigured', 'test', 'no such topic')
      return answer()
    }
    expect(await world.drive(world.start())).toBe('failed')
    expect(world.calls.slice(-2)).toEqual(['acknowledged', 'release'])
    expect(world.source.waiting).toHaveLength(1)
  })

  test('a database that is away for a moment is asked again; what was published is still acknowledged', async () => {
    const world = captureWorld()
    world.write('a')
    let failures = 2
    world.hooks.acknowledge = async (_, answer) => {
      if ((failures -= 1) >= 0) throw unavailable()
      return answer()
    }
    expect(await world.drive(world.start())).toBe('idle')
    expect(world.published()).toEqual(world.committed())
    expect(world.source.waiting).toEqual([])
  })

  test('a refused outbox says why and ends', async () => {
    const world = captureWorld()
    world.write('a')
    world.hooks.claim = () => Promise.resolve({ status: 'refused', reason: 'The database was restored: run afluente rebase.' })
    expect(await world.drive(world.start())).toBe('refused')
    expect(world.published()).toEqual([])
    expect(world.lines.find((line) => line.event === 'capture.refused')?.fields['reason']).toContain('afluente rebase')
  })

  test('told to stop, it ends and lets go', async () => {
    const world = captureWorld()
    world.write('a')
    const stop = new AbortController()
    world.hooks.publish = async () => {
      stop.abort()
      throw stop.signal.reason
    }
    expect(await world.drive(world.start({ signal: stop.signal }))).toBe('failed')
    expect(world.calls.at(-1)).toBe('release')
    expect((await world.source.outbox.backlog({ signal: new AbortController().signal })).leased).toBe(false)
  })
})
