import { describe, expect, test } from 'vitest'
import { AfluenteError } from '../../../shared/engine/errors.ts'
import { keepLooking } from '../../../shared/engine/keep-looking.ts'
import { createNudge } from '../../../shared/engine/persist.ts'
import { recordOf, TOPIC, truncateOf, whileTimePasses } from '../deliver/world.ts'
import { redriveWorld } from './world.ts'

const many = (count: number) => Array.from({ length: count }, (_, at) => recordOf(at + 1, at + 1))
const states = (letters: readonly { readonly state: string }[]) => letters.map(({ state }) => state)

describe('a redrive', () => {
  test('brings what was mended into the sink, the way of any event and under a fence of its own; the letters are resolved', async () => {
    const world = await redriveWorld(many(3))
    expect(world.names().size).toBe(0)
    world.mend()
    await world.ask()
    await world.pass()
    expect(world.names()).toEqual(new Map([['[1]', 1], ['[2]', 2], ['[3]', 3]])) // prettier-ignore
    expect(world.calls).toEqual(['take', `write 1,2,3 under ${TOPIC}.dlq:0`, 'settle 3+0', 'take', 'finish'])
    expect(states(await world.letters())).toEqual(['resolved', 'resolved', 'resolved'])
    expect(await world.job()).toMatchObject({ state: 'done', total: 3, done: 3, failed: 0 })
  })

  test('counts what it does beside the stream: accepted + duplicate + late + dead = consumed, there too', async () => {
    const world = await redriveWorld(many(4))
    world.breakAgain(({ version }) => version === 2)
    await world.ask()
    await world.pass()
    const { accepted, consumed, dead, duplicate, late } = world.redriveProgress() ?? { accepted: 0, consumed: 0, dead: 0, duplicate: 0, late: 0 }
    expect({ consumed, dead }).toEqual({ consumed: 4, dead: 1 })
    expect(accepted + duplicate + late + dead).toBe(consumed)
    expect(world.progress()).toMatchObject({ consumed: 4, dead: 4, nextOffset: '5' })
  })

  test.each(['batch', 'item'] as const)(
    'of a letter that fails again leaves the same letter with one attempt more, and the others land (refused by %s)',
    async (refusal) => {
      const world = await redriveWorld(many(5), { refusal })
      world.breakAgain(({ version }) => version === 3)
      await world.ask()
      await world.pass()
      expect((await world.letters()).map(({ attempts, state }) => `${state} ${attempts}`)).toEqual([
        'resolved 1',
        'resolved 1',
        'open 2',
        'resolved 1',
        'resolved 1',
      ])
      expect(await world.job()).toMatchObject({ state: 'done', done: 5, failed: 1 })
      expect(world.analytics.letters.size).toBe(5)
      // Nothing new on the dead-letter topic: it is no second letter.
      expect(world.topics.all(`${TOPIC}.dlq`)).toHaveLength(5)
    },
  )

  test('never puts an old image over newer data: the letter is resolved as overtaken', async () => {
    const world = await redriveWorld([recordOf(1, 1)])
    world.mend()
    await world.deliver([recordOf(1, 9)], 'g2')
    await world.ask()
    await world.pass()
    expect(world.names()).toEqual(new Map([['[1]', 9]]))
    expect(states(await world.letters())).toEqual(['resolved'])
    expect(world.redriveProgress()).toMatchObject({ consumed: 1, accepted: 0 })
  })

  test('of the letters of one key ends at the highest version, in whatever order they were buried', async () => {
    const world = await redriveWorld([recordOf(1, 5), recordOf(1, 2)])
    world.mend()
    await world.ask()
    await world.pass()
    expect(world.names()).toEqual(new Map([['[1]', 5]]))
  })

  test('asked for twice at once does each letter once', async () => {
    const world = await redriveWorld(many(3))
    world.mend()
    await world.ask()
    await world.ask()
    await world.pass()
    expect(world.calls.filter((call) => call.startsWith('write'))).toHaveLength(1)
    expect([await world.job('1'), await world.job('2')]).toMatchObject([{ state: 'done', done: 3 }, { state: 'done', total: 3, done: 0 }]) // prettier-ignore
  })

  test('takes only what its filter names', async () => {
    const world = await redriveWorld(many(3))
    world.mend()
    await world.ask({ ids: ['2'] })
    await world.pass()
    expect(states(await world.letters())).toEqual(['open', 'resolved', 'open'])
  })

  test('of a letter that is older than a column of the definition fails, says so, and holds up no other', async () => {
    const world = await redriveWorld([recordOf(1, 1), recordOf(2, 2)])
    world.mend()
    const [first] = [...world.analytics.letters.entries()]
    if (first === undefined) throw new Error('there is no letter')
    const [at, letter] = first
    world.analytics.letters.set(at, { ...letter, record: { ...letter.record, value: '{"op":"insert","before":null,"after":{"id":1}}' } })
    await world.ask()
    await world.pass()
    expect(await world.letters()).toMatchObject([
      { state: 'open', code: 'column-missing', message: expect.stringContaining('name') as unknown },
      { state: 'resolved' },
    ])
    expect(await world.job()).toMatchObject({ state: 'done', problem: null })
  })

  test('of a letter whose content could not be stored fails, says where it stands, and holds up no other', async () => {
    const world = await redriveWorld(many(2))
    world.mend()
    for (const [at, letter] of [...world.analytics.letters].slice(0, 1))
      world.analytics.letters.set(at, { ...letter, record: { ...letter.record, value: null, headers: {} } })
    await world.ask()
    await world.pass()
    expect(await world.letters()).toMatchObject([
      { state: 'open', attempts: 2, code: 'no-content', table: 'public.people', message: expect.stringContaining('offset 1') as unknown },
      { state: 'resolved' },
    ])
    expect(world.redriveProgress()).toMatchObject({ consumed: 2, dead: 1 })
  })

  test('of a truncate that could not be carried out raises the floor', async () => {
    const world = await redriveWorld([])
    await world.deliver([truncateOf(7, { headers: { ce_sequence: 'x' } })])
    const [entry] = [...world.analytics.letters.entries()]
    if (entry === undefined) throw new Error('there is no letter')
    world.analytics.letters.set(entry[0], { ...entry[1], record: truncateOf(7) })
    await world.ask()
    await world.pass()
    expect([...world.analytics.floors.values()]).toMatchObject([{ version: 7 }])
    expect(states(await world.letters())).toEqual(['resolved'])
  })

  test('of nothing is nothing', async () => {
    const world = await redriveWorld([])
    expect(await world.ask()).toBeUndefined()
    await world.pass()
    expect(world.calls).toEqual([])
  })
})

describe('a redrive that is interrupted', () => {
  const calls = ['take', 'write', 'settle', 'finish'] as const

  test.each(calls)('before %s goes on where it was; nothing is lost, doubled or counted twice', async (at) => {
    let killed = false
    const world = await redriveWorld(many(4), {
      before: (call) => {
        if (killed || !call.startsWith(at)) return
        killed = true
        throw new AfluenteError('fenced', 'epoch', 'killed here')
      },
    })
    world.breakAgain(({ version }) => version === 2)
    await world.ask()
    await world.pass('first')
    expect(await world.job()).toMatchObject({ state: 'running' })
    await world.pass('second')
    expect(world.names().size).toBe(3)
    expect((await world.letters()).map(({ attempts, state }) => `${state} ${attempts}`)).toEqual(['resolved 1', 'open 2', 'resolved 1', 'resolved 1'])
    expect(await world.job()).toMatchObject({ state: 'done', total: 4, done: 4, failed: 1 })
  })

  test('by a successor is refused what it still does: letters and sink are the successor’s', async () => {
    const held = Promise.withResolvers<void>()
    const begun = Promise.withResolvers<void>()
    let paused = false
    const world = await redriveWorld(many(3), {
      before: async (call) => {
        if (paused || !call.startsWith('settle')) return
        paused = true
        begun.resolve()
        await held.promise
      },
    })
    world.breakAgain(({ version }) => version === 1)
    await world.ask()
    const zombie = world.pass('zombie')
    await begun.promise
    world.mend()
    await world.pass('successor')
    held.resolve()
    await zombie
    // The zombie had found letter 1 refused; its answer came too late to count.
    expect(states(await world.letters())).toEqual(['resolved', 'resolved', 'resolved'])
    expect(await world.job()).toMatchObject({ state: 'done', done: 3, failed: 0, problem: null })
  })

  test('by its sink being down is tried some times, then held up with the reason, and done with the next pass', async () => {
    let down = true
    const world = await redriveWorld(many(2), {
      before: (call) => {
        if (down && call.startsWith('write')) throw new AfluenteError('unavailable', 'ECONNREFUSED', 'The sink does not answer.')
      },
    })
    world.mend()
    await world.ask()
    await whileTimePasses(world, world.pass())
    expect(world.calls.filter((call) => call.startsWith('write'))).toHaveLength(5)
    expect(await world.job()).toMatchObject({ state: 'running', done: 0, problem: 'The sink does not answer.' })
    expect(states(await world.letters())).toEqual(['redriven', 'redriven'])
    down = false
    await world.pass()
    expect(await world.job()).toMatchObject({ state: 'done', done: 2, problem: null })
  })

  test('by one job being held up does the other jobs', async () => {
    const world = await redriveWorld(many(2), {
      before: (call) => {
        if (call.startsWith('write 1 ')) throw new AfluenteError('misconfigured', '42P01', 'There is no such table.')
      },
    })
    world.mend()
    await world.ask({ ids: ['1'] })
    await world.ask({ ids: ['2'] })
    await world.pass()
    expect([await world.job('1'), await world.job('2')]).toMatchObject([{ state: 'running', problem: 'There is no such table.' }, { state: 'done' }])
  })
})

describe('the loop beside the stream', () => {
  const loop = (world: Awaited<ReturnType<typeof redriveWorld>>) => {
    const nudge = createNudge(world.clock)
    const stop = new AbortController()
    const read = new AbortController()
    const log = { info: () => {}, error: () => {}, warn: () => {} }
    const running = keepLooking({ name: 'redrive', work: world.redriver(), consumer: 'test', nudge, log }, { signal: stop.signal, until: read.signal })
    return { nudge, stop, read, running }
  }
  const settled = () => new Promise((resolve) => setImmediate(resolve))

  test('does what is asked for when it is rung, and ends when told', async () => {
    const world = await redriveWorld(many(2))
    world.mend()
    const { nudge, running, stop } = loop(world)
    await settled()
    await world.ask()
    nudge.ring()
    await settled()
    expect(await world.job()).toMatchObject({ state: 'done' })
    stop.abort()
    await running
  })

  test('looks each minute by itself', async () => {
    const world = await redriveWorld(many(1))
    world.mend()
    const { read, running } = loop(world)
    await settled()
    await world.ask()
    const began = world.clock.now()
    expect(world.clock.next()).toBe(true)
    await settled()
    expect(await world.job()).toMatchObject({ state: 'done' })
    expect(world.clock.now() - began).toBe(60_000)
    read.abort()
    await running
  })

  test('ends with the job at hand when the stream has read all there was', async () => {
    const world = await redriveWorld(many(1))
    world.mend()
    await world.ask()
    const { read, running } = loop(world)
    read.abort()
    await running
    expect(await world.job()).toMatchObject({ state: 'done' })
  })

  test('goes on when the jobs can’t be read for a while', async () => {
    const world = await redriveWorld(many(1))
    world.mend()
    await world.ask()
    let down = true
    const nudge = createNudge(world.clock)
    const stop = new AbortController()
    const lines: string[] = []
    const log = { info: () => {}, error: () => {}, warn: (event: string) => void lines.push(event) }
    const redrive = async () => {
      if (down) throw new AfluenteError('unavailable', 'ECONNREFUSED', 'no answer')
      await world.pass()
    }
    const running = keepLooking({ name: 'redrive', work: redrive, consumer: 'test', nudge, log }, { signal: stop.signal, until: new AbortController().signal })
    await settled()
    expect(lines).toEqual(['redrive.not-looked'])
    down = false
    nudge.ring()
    await settled()
    expect(await world.job()).toMatchObject({ state: 'done' })
    stop.abort()
    await running
  })
})
