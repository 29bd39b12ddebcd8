import fc from 'fast-check'
import { expect, test } from 'vitest'
import { milliseconds } from '../../../shared/engine/duration.ts'

test('a duration is its number times its unit, in milliseconds', () => {
  expect(['250ms', '10s', '1.5m', '2h', '7d'].map(milliseconds)).toEqual([250, 10_000, 90_000, 7_200_000, 604_800_000])
})

test('what is no duration is refused with the forms that are', () => {
  for (const wrong of ['', '10', 's', '10 s', '-1s', '1w', '1e3s', '.5s', '10ss', '10S', '0x1s', 'Infinitys', 'toString']) {
    expect(() => milliseconds(wrong), wrong).toThrow(RangeError)
    expect(() => milliseconds(wrong), wrong).toThrow("'10s'")
  }
})

test('any text is either a finite length of at least zero or a RangeError', () => {
  fc.assert(
    fc.property(
      fc.oneof(
        fc.string(),
        fc.tuple(fc.double(), fc.constantFrom('ms', 's', 'm', 'h', 'd')).map(([n, unit]) => `${n}${unit}`),
      ),
      (text) => {
        try {
          expect(milliseconds(text)).toBeGreaterThanOrEqual(0)
        } catch (error) {
          expect(error).toBeInstanceOf(RangeError)
        }
      },
    ),
  )
})
