import fc from 'fast-check'
import { describe, expect, test } from 'vitest'
import { rolesOf } from '../../../shared/mappings/silver-batch.ts'

const of = (...events: readonly (readonly [string, number])[]) => rolesOf(events.map(([key, version]) => ({ key, version }))).join('')

describe('the roles of a batch', () => {
  test('each key alone is the newest of its kind', () => {
    expect(of(['a', 1], ['b', 1], ['c', 2])).toBe('nnn')
  })

  test('a later version supersedes the earlier ones of its key', () => {
    expect(of(['a', 1], ['b', 5], ['a', 2], ['a', 3])).toBe('snsn')
  })

  test('an older version behind a newer one is overtaken', () => {
    expect(of(['a', 3], ['a', 1], ['a', 2], ['a', 4])).toBe('soon')
  })

  test('an event that stands in the batch before is repeated, whatever came between', () => {
    expect(of(['a', 1], ['a', 1], ['a', 2], ['a', 1], ['a', 2])).toBe('srnrr')
  })

  test('there is one newest a key, it has the highest version, and each event counts as new, old or repeated once', () => {
    const events = fc.array(fc.record({ key: fc.constantFrom('a', 'b', 'c'), version: fc.integer({ min: 1, max: 6 }) }), { minLength: 1, maxLength: 20 })
    fc.assert(
      fc.property(events, (batch) => {
        const roles = rolesOf(batch)
        const newest = batch.filter((_, at) => roles[at] === 'n')
        expect(newest.map(({ key }) => key).toSorted()).toEqual([...new Set(batch.map(({ key }) => key))].toSorted())
        for (const { key, version } of newest) expect(version).toBe(Math.max(...batch.filter((event) => event.key === key).map((event) => event.version)))
        for (const [at, { key, version }] of batch.entries()) {
          const earlier = batch.slice(0, at).filter((event) => event.key === key)
          expect(roles[at] === 'r').toBe(earlier.some((event) => event.version === version))
          if (roles[at] !== 'r') expect(roles[at] === 'o').toBe(earlier.some((event) => event.version > version))
        }
      }),
    )
  })
})
