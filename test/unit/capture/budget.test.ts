import { expect, test } from 'vitest'
import { memoryClock } from '../../../shared/adapters/memory/clock.ts'
import { createBudget } from '../../../shared/engine/budget.ts'

const make = () => {
  const clock = memoryClock()
  const limits = { softWallMs: 100, hardWallMs: 200, softCpuMs: 50, hardCpuMs: 80 }
  return { clock, budget: createBudget({ clock, limits, cost: { start: 10, call: 1, row: 0.5, kibibyte: 2 } }) }
}

test('CPU is modelled from calls, rows and bytes, and what starting costs', () => {
  const { budget } = make()
  expect(budget.cpuMs).toBe(10)
  budget.charge({ calls: 3, rows: 4, bytes: 2_048 })
  expect(budget.cpuMs).toBe(19)
})

test('the soft limit, then the hard one, of CPU', () => {
  const { budget } = make()
  budget.charge({ calls: 39 })
  expect(budget.spent()).toBe('little')
  budget.charge({ calls: 1 })
  expect(budget.spent()).toBe('soft')
  budget.charge({ calls: 30 })
  expect(budget.spent()).toBe('hard')
})

test('the soft limit, then the hard one, of wall time', () => {
  const { budget, clock } = make()
  clock.advance(99)
  expect(budget.spent()).toBe('little')
  clock.advance(1)
  expect(budget.spent()).toBe('soft')
  clock.advance(100)
  expect(budget.spent()).toBe('hard')
})

test('a word from the runtime counts as the soft limit', () => {
  const { budget } = make()
  budget.endNear()
  expect(budget.spent()).toBe('soft')
})

test('a spent budget is renewed by half when the runtime still sends requests; one that is not spent goes on', () => {
  const { budget, clock } = make()
  budget.charge({ calls: 20 })
  budget.renew()
  expect(budget.cpuMs).toBe(30)
  budget.charge({ calls: 60 })
  budget.endNear()
  clock.advance(300)
  budget.renew()
  expect([budget.spent(), budget.cpuMs]).toEqual(['little', 25])
})
