import { describe, expect, test } from 'vitest'
import { AfluenteError } from '../../../shared/engine/errors.ts'
import { createWorld, recordOf, TOPIC, whileTimePasses } from './world.ts'

const many = (count: number) => Array.from({ length: count }, (_, at) => recordOf(at + 1, at + 1))
const poison = { code: '22P02', message: 'invalid input syntax for type integer' }

describe('a batch that is sound', () => {
  test('is written as one, in offset order, and its progress reaches behind it', async () => {
    const world = createWorld()
    await world.deliver([recordOf(1, 1), recordOf(2, 2), recordOf(1, 3)])
    expect(world.calls).toEqual(['take', 'write 1,2,3 → 4'])
    expect(world.names()).toEqual(new Map([['[1]', 3], ['[2]', 2]])) // prettier-ignore
  })

  test('takes the epoch once a generation, and anew when the group gave the partition anew', async () => {
    const world = createWorld()
    await world.deliver([recordOf(1, 1)], 'g1')
    await world.deliver([recordOf(1, 2)], 'g1')
    await world.deliver([recordOf(1, 3)], 'g2')
    expect(world.calls.filter((call) => call === 'take')).toHaveLength(2)
  })

  test('is refused as fenced once somebody else has taken the partition', async () => {
    const world = createWorld()
    await world.deliver([recordOf(1, 1)])
    await world.control.take({ consumer: 'test', topic: TOPIC, partition: 0, owner: 'other' }, { signal: world.stop.signal })
    await expect(world.deliver([recordOf(1, 2)])).rejects.toMatchObject({ kind: 'fenced' })
    expect(world.names()).toEqual(new Map([['[1]', 1]]))
  })
})

describe('a record that can not be applied', () => {
  test.each(['batch', 'item'] as const)('in a batch of 500 becomes a dead letter and the rest lands (the sink refuses by %s)', async (refusal) => {
    const world = createWorld({ refuses: ({ version }) => (version === 137 ? poison : null), refusal })
    await world.deliver(many(500))
    expect(world.names().size).toBe(499)
    expect(world.names().has('[137]')).toBe(false)
    expect([...world.analytics.letters.values()]).toMatchObject([{ eventId: 'public.people:137', code: '22P02', table: 'public.people', consumer: 'test' }])
    expect(world.analytics.bronze.size).toBe(500)
    expect(world.topics.all(`${TOPIC}.dlq`)).toMatchObject([
      {
        key: '[137]',
        headers: {
          ce_id: 'public.people:137',
          afluente_error_code: '22P02',
          afluente_consumer: 'test',
          afluente_topic: TOPIC,
          afluente_partition: '0',
          afluente_offset: '137',
        },
      },
    ])
    expect(world.progress()).toMatchObject({ nextOffset: '501', consumed: 500, accepted: 499, dead: 1 })
  })

  test('several of them leave the order of each key as it was', async () => {
    const world = createWorld({ refuses: ({ version }) => (version % 7 === 0 ? poison : null) })
    await world.deliver(Array.from({ length: 60 }, (_, at) => recordOf(at % 3, at + 1)))
    const written = world.calls.flatMap((call) => /^write (.*) →/.exec(call)?.[1]?.split(',').map(Number) ?? [])
    const landed = written.filter((version) => version % 7 !== 0)
    expect(world.names()).toEqual(new Map([['[0]', 58], ['[1]', 59], ['[2]', 60]])) // prettier-ignore
    expect(new Set(landed).size).toBe(60 - 8)
    expect(world.analytics.letters.size).toBe(8)
  })

  test('while it is looked for, no progress is told that would reach behind it', async () => {
    const world = createWorld({ refuses: ({ version }) => (version === 2 ? poison : null) })
    await world.deliver(many(4))
    const told = world.calls.filter((call) => /→/.test(call))
    expect(told.slice(1, -1).every((call) => call.endsWith('→ 1'))).toBe(true)
    expect(told.at(-1)).toBe('bury 1 → 5')
  })

  test('is buried in the topic, in bronze and in the control tables, in that order, before the batch counts as handled', async () => {
    const world = createWorld()
    await world.deliver([
      recordOf(1, 1),
      { ...recordOf(2, 2), value: 'no json' },
      { ...recordOf(3, 3), headers: {} },
      recordOf(4, 4, { table: 'public.strangers' }),
    ])
    expect(world.calls).toEqual(['take', 'write 1 → 1', 'publish 3', 'keep 3', 'bury 3 → 5'])
    expect([...world.analytics.letters.values()].map(({ code }) => code)).toEqual(['not-json', 'no-identity', 'unknown-table'])
    expect(world.names()).toEqual(new Map([['[1]', 1]]))
    expect(world.progress()).toMatchObject({ nextOffset: '5', consumed: 4, accepted: 1, dead: 3 })
  })

  test('alone in its batch still moves the progress on', async () => {
    const world = createWorld()
    await world.deliver([{ ...recordOf(1, 1), value: null }])
    expect(world.calls).toEqual(['take', 'publish 1', 'keep 1', 'bury 1 → 2'])
    expect(world.topics.all(`${TOPIC}.dlq`)[0]).toMatchObject({ value: '', headers: { afluente_value_null: 'true' } })
  })

  test('that no one refuses a second time lands after all, and the progress is told by itself', async () => {
    let first = true
    const world = createWorld({
      refuses: () => {
        const refuse = first
        first = false
        return refuse ? poison : null
      },
    })
    await world.deliver(many(2))
    expect(world.calls).toEqual(['take', 'write 1,2 → 3', 'write 1,2 → 1', 'advance → 3'])
    expect(world.analytics.letters.size).toBe(0)
  })

  test('too large for the dead-letter topic goes there with its headers alone', async () => {
    const world = createWorld({ maxMessageBytes: 3_000 })
    await world.deliver([{ ...recordOf(1, 1), value: 'x'.repeat(5_000) }])
    expect(world.topics.all(`${TOPIC}.dlq`)).toMatchObject([{ value: '', headers: { ce_id: 'public.people:1', afluente_error_code: 'not-json' } }])
    expect(world.analytics.letters.size).toBe(1)
  })

  test('that the control tables refuse is stored without its content, beside the others', async () => {
    const world = createWorld({
      before: (call) => {
        if (call.startsWith('bury 2')) throw new AfluenteError('refused', '22021', 'invalid byte sequence')
      },
    })
    let refusals = 0
    const bury = world.control.bury.bind(world.control)
    world.control.bury = async (letters, ...rest) => {
      if (letters.length === 1 && letters[0]?.record.value === 'odd') {
        refusals += 1
        throw new AfluenteError('refused', '22021', 'invalid byte sequence')
      }
      return bury(letters, ...rest)
    }
    await world.deliver([{ ...recordOf(1, 1), value: 'odd' }, { ...recordOf(2, 2), value: 'plain' }]) // prettier-ignore
    expect(refusals).toBe(1)
    expect([...world.analytics.letters.values()].map(({ record }) => record.value)).toEqual([null, 'plain'])
  })
})

describe('a side that is down', () => {
  test('is waited for with heartbeats, longer each time; the batch then lands once', async () => {
    let failures = 0
    const world = createWorld({
      before: (call) => {
        if (call.startsWith('write') && failures < 12) {
          failures += 1
          throw new AfluenteError('unavailable', 'ECONNREFUSED', 'The analytics database does not answer.')
        }
      },
    })
    const states = new Set<string>()
    const began = world.clock.now()
    await whileTimePasses(world, world.deliver(many(3)), () => states.add(`${world.conditions.present().state}: ${world.conditions.present().reason}`))
    expect([...states]).toContain('waiting: The analytics database does not answer.')
    expect(world.names().size).toBe(3)
    expect(world.conditions.present().state).toBe('running')
    expect(world.heartbeats()).toBeGreaterThan(10)
    const waited = world.clock.now() - began
    expect(waited).toBeGreaterThan(15_000)
    expect(waited).toBeLessThan(45_000)
    expect(world.lines.filter(({ event }) => event === 'consumer.waiting')).toHaveLength(1)
  })

  test('at a burial is waited for as well, and nothing is buried twice in the same place by the waiting', async () => {
    let failures = 0
    const world = createWorld({
      before: (call) => {
        if (call.startsWith('bury') && failures++ < 3) throw new AfluenteError('unavailable', '57P01', 'The analytics database restarts.')
      },
    })
    await whileTimePasses(world, world.deliver([{ ...recordOf(1, 1), value: null }]))
    expect(world.calls.filter((call) => call.startsWith('publish'))).toHaveLength(1)
    expect(world.calls.filter((call) => call.startsWith('bury'))).toHaveLength(4)
    expect(world.analytics.letters.size).toBe(1)
  })

  test('is given up when the run ends, with what it said', async () => {
    const world = createWorld({
      before: (call) => {
        if (call.startsWith('write')) throw new AfluenteError('unavailable', 'down', 'It does not answer.')
      },
    })
    const work = whileTimePasses(world, world.deliver(many(1)), () => {
      if (world.heartbeats() > 3) world.stop.abort()
    })
    await expect(work).rejects.toThrow('It does not answer.')
    expect(world.conditions.present().state).toBe('running')
  })
})

describe('a table that no longer has a defined column', () => {
  const renamed = recordOf(9, 9, { after: '{"id":9,"full_name":"x"}' })

  test('halts with both lists, writes nothing, looks again each minute, and at once when woken', async () => {
    const world = createWorld()
    const work = world.deliver([recordOf(8, 8), renamed])
    await new Promise((resolve) => setImmediate(resolve))
    expect(world.conditions.present()).toMatchObject({ state: 'halted' })
    expect(world.conditions.present().reason).toContain('Defined: id, name. Found: id, full_name.')
    expect(world.calls).toEqual(['take'])
    const halts = () => world.lines.filter(({ event }) => event === 'consumer.halted').length
    expect(halts()).toBe(1)
    world.clock.advance(30_000)
    await new Promise((resolve) => setImmediate(resolve))
    expect(halts()).toBe(1)
    world.nudge.ring()
    await new Promise((resolve) => setImmediate(resolve))
    expect(halts()).toBe(2)
    world.stop.abort()
    await expect(whileTimePasses(world, work)).rejects.toMatchObject({ kind: 'misconfigured' })
  })
})
