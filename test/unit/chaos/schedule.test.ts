import { describe, expect, test } from 'vitest'
import { randomOf } from '../../../infra/simulate/random.ts'
import { readOptions } from '../../chaos/options.ts'
import { killable, scheduleOf, targetOf, wordsOf } from '../../chaos/schedule.ts'

describe('the schedule of a chaos run', () => {
  test('is the same for the same seed, and another for another', () => {
    expect(scheduleOf(randomOf(7), 60)).toEqual(scheduleOf(randomOf(7), 60))
    expect(scheduleOf(randomOf(7), 60)).not.toEqual(scheduleOf(randomOf(8), 60))
  })

  test.for([1, 2, 3, 4, 5])('kills every part within two minutes, and has every kind of fault (seed %i)', (seed) => {
    const schedule = scheduleOf(randomOf(seed), 120)
    expect(new Set(schedule.flatMap((fault) => (fault.kind === 'kill' ? [fault.part] : [])))).toEqual(new Set(killable))
    expect(new Set(schedule.map(({ kind }) => kind)).size).toBe(13)
    for (const fault of schedule) expect(wordsOf(fault)).toMatch(/^\S.+/)
  })

  test('is over at the end, and leaves each target alone between two faults of its own', () => {
    for (let seed = 0; seed < 50; seed += 1) {
      const free = new Map<string, number>()
      for (const fault of scheduleOf(randomOf(seed), 90)) {
        expect(fault.atMs + fault.forMs).toBeLessThanOrEqual(90_000)
        expect(fault.atMs).toBeGreaterThanOrEqual(free.get(targetOf(fault)) ?? 0)
        free.set(targetOf(fault), fault.atMs + fault.forMs + 1)
      }
    }
  })
})

test('options out of their bounds are wrong use', () => {
  expect(readOptions(['--seconds', '30', '--seed', '4'])).toMatchObject({ seconds: 30, seed: 4, json: false, prove: false })
  expect(() => readOptions(['--seconds', '0'])).toThrow(/--seconds/)
  expect(() => readOptions(['--seed', 'x'])).toThrow(/--seed/)
  expect(() => readOptions(['--colour'])).toThrow(/colour/)
})
