import { expect, test } from 'vitest'
import { actionFor, AfluenteError, isAfluenteError, policy } from '../../../shared/engine/errors.ts'

test('each kind of fault has one action, and an error that nobody classified is retried', () => {
  expect(policy).toEqual({ unavailable: 'retry', refused: 'split', fenced: 'stop', misconfigured: 'halt' })
  for (const [kind, action] of [
    ['unavailable', 'retry'],
    ['refused', 'split'],
    ['fenced', 'stop'],
    ['misconfigured', 'halt'],
  ] as const) {
    expect(actionFor(new AfluenteError(kind, 'x', 'y'))).toBe(action)
  }
  for (const stranger of [new Error('boom'), new TypeError('x'), 'text', null, undefined, { kind: 'fenced', code: 'x' }])
    expect(actionFor(stranger)).toBe('retry')
})

test("the project's own errors are known by name, also from another bundle, and keep what caused them", () => {
  const cause = new Error('driver')
  expect(new AfluenteError('refused', '23514', 'm', { cause }).cause).toBe(cause)
  const fromElsewhere = Object.assign(new Error('m'), { name: 'AfluenteError', kind: 'fenced', code: 'epoch' })
  expect(isAfluenteError(fromElsewhere)).toBe(true)
  expect(actionFor(fromElsewhere)).toBe('stop')
  expect(isAfluenteError(new Error('m'))).toBe(false)
})
