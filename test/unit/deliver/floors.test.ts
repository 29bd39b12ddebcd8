import { describe, expect, test } from 'vitest'
import { AfluenteError } from '../../../shared/engine/errors.ts'
import { createWorld, recordOf, TOPIC, truncateOf, whileTimePasses } from './world.ts'

const living = (world: ReturnType<typeof createWorld>) =>
  new Map([...(world.analytics.silver.get('public.people') ?? [])].flatMap(([key, row]) => (row.after === null ? [] : [[key, row.version]])))
const settled = (world: ReturnType<typeof createWorld>) => {
  const { consumed = 0, accepted = 0, duplicate = 0, late = 0, dead = 0, nextOffset } = world.progress() ?? {}
  expect(accepted + duplicate + late + dead).toBe(consumed)
  return { consumed, accepted, duplicate, late, dead, nextOffset }
}

describe('a truncate', () => {
  test('raises the floor, sweeps in steps, and then its batch is written: what stood is dead, what came after lives', async () => {
    const world = createWorld()
    await world.deliver([1, 2, 3, 4, 5].map((n) => recordOf(n, n)))
    const heartbeats = world.heartbeats()
    await world.deliver([recordOf(6, 6), truncateOf(7), recordOf(1, 8)])
    const sweeps = ['sweep below 7', 'sweep below 7', 'sweep below 7']
    expect(world.calls.slice(2)).toEqual(['raise the floor to 7', ...sweeps, 'write 6,7,8 → 9'])
    expect(world.heartbeats() - heartbeats).toBe(2)
    expect(living(world)).toEqual(new Map([['[1]', 8]]))
    expect(world.names().get('[2]')).toBe(7)
    expect(world.analytics.bronze.has('public.people:7')).toBe(true)
    expect(settled(world)).toEqual({ consumed: 8, accepted: 7, duplicate: 0, late: 1, dead: 0, nextOffset: '9' })
  })

  test('that comes again, with all of its batch, changes nothing', async () => {
    const world = createWorld()
    const batch = [recordOf(1, 1), truncateOf(2), recordOf(2, 3)]
    await world.deliver(batch)
    await world.deliver(batch)
    expect(living(world)).toEqual(new Map([['[2]', 3]]))
    expect(settled(world)).toMatchObject({ consumed: 6, accepted: 2, duplicate: 3, late: 1 })
  })

  test('of before the present floor lowers nothing and counts as late', async () => {
    const world = createWorld()
    await world.deliver([truncateOf(5)])
    await world.deliver([recordOf(1, 6)])
    await world.deliver([truncateOf(3)])
    expect(world.analytics.floors.get('public.people')?.version).toBe(5)
    expect(living(world)).toEqual(new Map([['[1]', 6]]))
    expect(settled(world)).toMatchObject({ consumed: 3, accepted: 2, late: 1 })
  })

  test('of several in a batch the greatest is swept to, once', async () => {
    const world = createWorld()
    await world.deliver([recordOf(1, 1)])
    await world.deliver([truncateOf(2), recordOf(2, 3), truncateOf(4)])
    expect(world.calls.filter((call) => call.startsWith('sweep'))).toEqual(['sweep below 4'])
    expect(living(world)).toEqual(new Map())
    expect(world.analytics.bronze.size).toBe(4)
  })

  test.each(['raise the floor to 4', 'sweep below 4', 'write'])('is done again whole when its batch broke off before "%s", or right after', async (step) => {
    for (const when of ['before', 'after'] as const) {
      let broken = false
      const world = createWorld({
        before: (call) => {
          const here = world.calls.findLastIndex((done) => done.startsWith(step)) === world.calls.length - (when === 'before' ? 1 : 2)
          if (!broken && here && world.calls.some((done) => done.startsWith('raise')) && (when === 'after' || call.startsWith(step))) {
            broken = true
            throw new AfluenteError('fenced', 'epoch', 'The process ended here.')
          }
        },
      })
      await world.deliver([recordOf(1, 1), recordOf(2, 2), recordOf(3, 3)])
      const batch = [truncateOf(4), recordOf(1, 5), { ...recordOf(9, 6), value: 'no json' }]
      await world.deliver(batch).catch(() => undefined)
      expect(broken, when).toBe(true)
      await world.deliver(batch, 'g2')
      expect(living(world)).toEqual(new Map([['[1]', 5]]))
      expect(settled(world)).toMatchObject({ nextOffset: '7', late: 0 })
    }
  })

  test('is refused as fenced to a holder that is no more, before anything is dead', async () => {
    const world = createWorld()
    await world.deliver([recordOf(1, 1)])
    await world.control.take({ consumer: 'test', topic: TOPIC, partition: 0, owner: 'other' }, { signal: world.stop.signal })
    await expect(world.deliver([truncateOf(2)])).rejects.toMatchObject({ kind: 'fenced' })
    expect(world.analytics.floors.size).toBe(0)
    expect(living(world)).toEqual(new Map([['[1]', 1]]))
  })

  test('whose floor the control tables refuse is a dead letter; the rest of its batch lands', async () => {
    const world = createWorld({
      before: (call) => {
        if (call === 'raise the floor to 2') throw new AfluenteError('refused', '22007', 'invalid input syntax for type timestamp')
      },
    })
    await world.deliver([recordOf(1, 1), truncateOf(2), recordOf(2, 3)])
    expect([...world.analytics.letters.values()]).toMatchObject([{ eventId: 'public.people:2', code: '22007' }])
    expect(living(world).size).toBe(2)
    expect(settled(world)).toEqual({ consumed: 3, accepted: 2, duplicate: 0, late: 0, dead: 1, nextOffset: '4' })
  })

  test('beside a poison row lands all the same, once', async () => {
    const world = createWorld({ refuses: ({ version }) => (version === 3 ? { code: '22P02', message: 'no integer' } : null) })
    await world.deliver([recordOf(1, 1), truncateOf(2), recordOf(3, 3), recordOf(4, 4)])
    expect(living(world)).toEqual(new Map([['[4]', 4]]))
    expect(settled(world)).toEqual({ consumed: 4, accepted: 2, duplicate: 0, late: 1, dead: 1, nextOffset: '5' })
  })

  test('waits a little for rows that others hold, with a look in between whether the batch still counts', async () => {
    const world = createWorld()
    let held = 3
    const sweep = world.sink.sweepBelow.bind(world.sink)
    world.sink.sweepBelow = async (work, options) => (held-- > 0 ? { rows: 0, next: 'again' } : sweep(work, options))
    await world.deliver([recordOf(1, 1)])
    const began = world.clock.now()
    await whileTimePasses(world, world.deliver([truncateOf(2)]))
    expect(world.clock.now() - began).toBeGreaterThanOrEqual(150)
    expect(world.heartbeats()).toBe(3)
    expect(living(world).size).toBe(0)
  })
})
