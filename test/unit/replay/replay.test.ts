import { describe, expect, test } from 'vitest'
import { AfluenteError } from '../../../shared/engine/errors.ts'
import { recordOf, truncateOf, whileTimePasses } from '../deliver/world.ts'
import { replayWorld } from './world.ts'

const many = (count: number) => Array.from({ length: count }, (_, at) => recordOf(at + 1, at + 1))
const rowsOf = (...versions: readonly number[]) => new Map(versions.map((version) => [`[${version}]`, version]))

describe('a replay', () => {
  test('brings what bronze has into the sink, the way of any event, under a fence of its own and page by page', async () => {
    const world = await replayWorld(many(3))
    world.forgetRows()
    await world.ask()
    await world.pass()
    expect(world.live()).toEqual(rowsOf(1, 2, 3))
    expect(world.calls).toEqual(['page', 'write 1,2 into live', 'settle', 'page', 'write 3 into live', 'settle', 'page', 'finish'])
    expect(await world.job()).toMatchObject({ state: 'done', total: 3, done: 3, accepted: 3, failed: 0, problem: null })
    expect(world.counts('replay')).toMatchObject({ consumed: 3, accepted: 3 })
    expect(world.progress()).toMatchObject({ consumed: 3, epoch: 1 })
  })

  test('never puts old over new, and says what was there already', async () => {
    const world = await replayWorld([recordOf(1, 1), recordOf(1, 5), recordOf(2, 6)])
    await world.ask()
    await world.pass()
    expect(world.live()).toEqual(new Map([['[1]', 5], ['[2]', 6]])) // prettier-ignore
    expect(await world.job()).toMatchObject({ done: 3, accepted: 0, duplicate: 2, late: 1 })
  })

  test('leaves out what a later delete outlived, page by page, and counts it as late', async () => {
    const remove = recordOf(1, 4)
    const deletion = { ...remove, value: '{"op":"delete","before":null,"after":null}', headers: { ...remove.headers, ce_type: 'afluente.row.deleted' } }
    const world = await replayWorld([recordOf(1, 1), recordOf(1, 2), recordOf(2, 3), deletion])
    world.forgetRows()
    await world.ask('replay', {})
    await world.pass()
    expect(world.calls).toContain('write 3,4 into live')
    expect(world.calls.filter((call) => /write [12]/.test(call))).toEqual([])
    expect(await world.job()).toMatchObject({ state: 'done', done: 4, accepted: 2, late: 2 })
  })

  test('takes only the key and the time that were asked for', async () => {
    const world = await replayWorld(many(3))
    world.forgetRows()
    await world.ask('replay', { key: '[2]' })
    await world.pass()
    expect(world.live()).toEqual(rowsOf(2))
    await world.ask('replay', { since: '2026-11-22T18:00:01Z' })
    expect(await world.job('2')).toMatchObject({ total: 0 })
    await world.ask('replay', { until: '2026-11-22T18:00:01Z' })
    expect(await world.job('3')).toMatchObject({ total: 3 })
  })

  test('takes nothing that came after it was asked for', async () => {
    const world = await replayWorld(many(2))
    await world.ask()
    await world.deliver([recordOf(3, 3)], 'g2')
    await world.pass()
    expect(await world.job()).toMatchObject({ total: 2, done: 2 })
  })

  test('of a truncate keeps what is below it dead', async () => {
    const world = await replayWorld([recordOf(1, 1), truncateOf(5), recordOf(2, 6)])
    world.forgetRows()
    await world.ask()
    await world.pass()
    expect(world.live()).toEqual(new Map([['[2]', 6]]))
    expect([...world.analytics.floors.values()]).toMatchObject([{ version: 5 }])
  })

  test.each(['batch', 'item'] as const)(
    'of an event that the sink refuses leaves it as a dead letter, and the others land (refused by %s)',
    async (refusal) => {
      const world = await replayWorld(many(3), { refuses: ({ version }) => version === 2, refusal })
      world.forgetRows()
      await world.ask()
      await world.pass()
      expect(world.live()).toEqual(rowsOf(1, 3))
      expect([...world.analytics.letters.values()]).toMatchObject([{ eventId: 'public.people:2', state: 'open', attempts: 1 }])
      expect(await world.job()).toMatchObject({ done: 3, accepted: 2, failed: 1, report: { failures: [{ eventId: 'public.people:2', code: '23514' }] } })
      const { accepted, consumed, dead, duplicate, late } = world.counts('replay') ?? { accepted: 0, consumed: 0, dead: 0, duplicate: 0, late: 0 }
      expect({ consumed, dead, sum: accepted + duplicate + late + dead }).toEqual({ consumed: 3, dead: 1, sum: 3 })
    },
  )

  test('of an event that is keyed by other columns applies it nowhere', async () => {
    const world = await replayWorld([recordOf(1, 1, { after: '{"id":7,"name":"of another key"}' }), recordOf(2, 2)])
    world.forgetRows()
    await world.ask()
    await world.pass()
    expect(world.live()).toEqual(rowsOf(2))
    expect(await world.job()).toMatchObject({ failed: 1, report: { failures: [{ code: 'other-key' }] } })
  })

  test('that is cancelled stops with its page', async () => {
    const world = await replayWorld(many(5), { before: async (call) => void (call === 'settle' && (await cancel())) })
    const cancel = () => world.replays.cancel({ id: '1', actor: 'operator' }, world.options)
    world.forgetRows()
    await world.ask()
    await world.pass()
    expect(world.live()).toEqual(rowsOf(1, 2))
    expect(await world.job()).toMatchObject({ state: 'cancelled', done: 2 })
  })

  test.each(['page', 'write', 'settle', 'finish'])('killed before %s goes on where it was; nothing counts twice', async (at) => {
    let kills = 0
    const world = await replayWorld(many(5), {
      before: (call) => {
        if (!call.startsWith(at) || (kills += 1) > 2) return
        throw new AfluenteError('fenced', 'epoch', 'killed here')
      },
    })
    world.forgetRows()
    await world.ask()
    for (const owner of ['first', 'second', 'third']) await world.pass(owner)
    expect(world.live()).toEqual(rowsOf(1, 2, 3, 4, 5))
    expect(await world.job()).toMatchObject({ state: 'done', total: 5, done: 5 })
  })

  test('by a paused one is refused once it has a successor', async () => {
    const held = Promise.withResolvers<void>()
    const begun = Promise.withResolvers<void>()
    let paused = false
    const world = await replayWorld(many(2), {
      before: async (call) => {
        if (paused || !call.startsWith('settle')) return
        paused = true
        begun.resolve()
        await held.promise
      },
    })
    await world.ask()
    const zombie = world.pass('zombie')
    await begun.promise
    await world.pass('successor')
    held.resolve()
    await zombie
    expect(await world.job()).toMatchObject({ state: 'done', done: 2, problem: null })
  })

  test('into a sink that is down is held up with the reason, and done with the next pass', async () => {
    let down = true
    const world = await replayWorld(many(1), {
      before: (call) => {
        if (down && call.startsWith('write')) throw new AfluenteError('unavailable', 'ECONNREFUSED', 'The sink does not answer.')
      },
    })
    await world.ask()
    await whileTimePasses(world, world.pass())
    expect(await world.job()).toMatchObject({ state: 'running', problem: 'The sink does not answer.' })
    down = false
    await world.pass()
    expect(await world.job()).toMatchObject({ state: 'done', done: 1, problem: null })
  })
})

describe('a shadow', () => {
  test('is made, filled beside the live one, and compared; nothing of it is a dead letter', async () => {
    const world = await replayWorld(many(3), { refuses: ({ version }) => version === 2 })
    await world.ask('shadow')
    await world.pass()
    expect(world.live()).toEqual(rowsOf(1, 2, 3))
    expect(world.shadow()).toEqual(rowsOf(1, 3))
    expect(world.analytics.letters.size).toBe(0)
    expect(world.counts('shadow')).toMatchObject({ consumed: 3, accepted: 2, dead: 1 })
    expect(await world.job()).toMatchObject({
      state: 'done',
      failed: 1,
      report: { differences: { live: 3, shadow: 2, onlyLive: 1, onlyShadow: 0, different: 0, samples: { onlyLive: [{ key: '[2]', liveVersion: 2 }] } } },
    })
    expect(world.entry()).toMatchObject({ state: 'ready' })
  })

  test('that is cancelled while it is compared stops there', async () => {
    const world = await replayWorld(many(3), { before: async (call) => void (call === 'compare' && (await cancel())) })
    const cancel = () => world.replays.cancel({ id: '1', actor: 'operator' }, world.options)
    await world.ask('shadow')
    await world.pass()
    expect(world.calls.slice(-3)).toEqual(['tell comparing', 'compare', 'tell comparing'])
    expect(await world.job()).toMatchObject({ state: 'cancelled', problem: null })
  })

  test('is one a table: another is not begun while it stands', async () => {
    const world = await replayWorld(many(1))
    await world.ask('shadow')
    expect(await world.ask('shadow')).toBeNull()
    expect(await world.swap()).toBeNull()
  })

  test.each(['make', 'page', 'write', 'settle', 'compare', 'finish'])('whose replay is killed before %s is there in the end', async (at) => {
    let killed = false
    const world = await replayWorld(many(3), {
      before: (call) => {
        if (killed || !call.startsWith(at)) return
        killed = true
        throw new AfluenteError('fenced', 'epoch', 'killed here')
      },
    })
    await world.ask('shadow')
    await world.pass('first')
    await world.pass('second')
    expect(world.shadow()).toEqual(rowsOf(1, 2, 3))
    expect(await world.job()).toMatchObject({ state: 'done', done: 3 })
    expect(world.entry()).toMatchObject({ state: 'ready' })
  })
})

describe('a swap', () => {
  const filled = async (options: Parameters<typeof replayWorld>[1] = {}) => {
    const world = await replayWorld(many(3), options)
    await world.ask('shadow')
    await world.pass()
    world.calls.length = 0
    await world.swap()
    return world
  }

  test('takes along what came into the live one after the shadow was filled, and leaves nothing older', async () => {
    const world = await filled()
    await world.deliver([recordOf(1, 8), recordOf(4, 9)], 'g2')
    await world.pass()
    expect(world.live()).toEqual(new Map([['[1]', 8], ['[2]', 2], ['[3]', 3], ['[4]', 9]])) // prettier-ignore
    expect(world.shadow()).toEqual(world.live())
    expect(await world.job('2')).toMatchObject({ kind: 'swap', state: 'done', problem: null })
    expect(world.entry()).toMatchObject({ state: 'former' })
  })

  test('takes along what comes at the last moment', async () => {
    const world = await filled({
      before: async (call) => {
        if (call === 'swap') await world.deliver([recordOf(5, 10)], 'g3')
      },
    })
    await world.pass()
    expect(world.live().get('[5]')).toBe(10)
  })

  test('goes back as it came, with what was written meanwhile', async () => {
    const world = await filled()
    await world.pass()
    const first = world.analytics.silver.get('public.people')
    await world.deliver([recordOf(2, 20)], 'g2')
    await world.swap()
    await world.pass()
    expect(world.analytics.silver.get('public.people')).not.toBe(first)
    expect(world.live().get('[2]')).toBe(20)
  })

  test.each(['follow', 'tell', 'swap', 'swapped', 'finish'])('killed at %s is done once', async (at) => {
    let [armed, killed] = [false, false]
    const world = await filled({
      before: (call) => {
        if (!armed || killed || !call.startsWith(at)) return
        killed = true
        throw new AfluenteError('fenced', 'epoch', 'killed here')
      },
    })
    armed = true
    const shadow = world.analytics.silver.get('public.people__shadow')
    await world.pass('first')
    await world.pass('second')
    expect(killed).toBe(true)
    expect(world.analytics.silver.get('public.people')).toBe(shadow)
    expect(await world.job('2')).toMatchObject({ state: 'done' })
    expect(world.entry()).toMatchObject({ state: 'former' })
  })

  test('can be cancelled while it follows, and not while it switches', async () => {
    const answers: boolean[] = []
    let armed = false
    const world = await filled({
      before: async (call) => {
        if (armed && call === 'swap') answers.push(await world.replays.cancel({ id: '2', actor: 'operator' }, world.options))
      },
    })
    armed = true
    await world.pass()
    expect(answers).toEqual([false])
    await world.swap()
    expect(await world.replays.cancel({ id: '3', actor: 'operator' }, world.options)).toBe(true)
    await world.pass()
    expect(await world.job('3')).toMatchObject({ state: 'cancelled' })
  })

  test('that may not switch ends with the reason, and holds nothing up: it can be asked for again, or the shadow be dropped', async () => {
    let mayNot = true
    const world = await filled({
      before: (call) => {
        if (call === 'swap' && mayNot) throw new AfluenteError('misconfigured', '42501', 'must be owner of table people.')
      },
    })
    await world.pass()
    expect(await world.job('2')).toMatchObject({ state: 'cancelled', problem: 'must be owner of table people.' })
    mayNot = false
    await world.swap()
    await world.pass()
    expect(await world.job('3')).toMatchObject({ state: 'done' })
  })

  test('whose sink is away is held up, and goes on', async () => {
    let isAway = true
    const world = await filled({
      before: (call) => {
        if (call === 'follow' && isAway) throw new AfluenteError('unavailable', 'connection', 'It is away.')
      },
    })
    await world.pass()
    expect(await world.job('2')).toMatchObject({ state: 'running', problem: 'It is away.' })
    isAway = false
    await world.pass()
    expect(await world.job('2')).toMatchObject({ state: 'done', problem: null })
  })

  test('of which something stands in the way ends with the reason', async () => {
    const world = await filled({
      before: (call) => {
        if (call === 'follow') throw new AfluenteError('refused', 'mapper_parsing_exception', 'people-v2 did not take 1 document(s).')
      },
    })
    await world.pass()
    expect(await world.job('2')).toMatchObject({ state: 'cancelled', problem: 'people-v2 did not take 1 document(s).' })
    expect(world.live()).toEqual(rowsOf(1, 2, 3))
  })
})
