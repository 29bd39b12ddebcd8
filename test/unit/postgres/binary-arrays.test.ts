import fc from 'fast-check'
import { describe, expect, test } from 'vitest'
import { bigintArray, textArray } from '../../../shared/adapters/postgres/binary-arrays.ts'

describe('arrays in binary form', () => {
  test('text is written as UTF-8 with its length, NULL as -1', () => {
    const parts = ['00000001', '00000001', '00000019', '00000002', '00000001', '00000002', 'c3a9', 'ffffffff']
    expect(textArray(['é', null]).toString('hex')).toBe(parts.join(''))
  })

  test('numbers are written in 64 bits, exactly', () => {
    expect(bigintArray(['9223372036854775807', -1]).subarray(20).toString('hex')).toBe('000000087fffffffffffffff00000008ffffffffffffffff')
  })

  test('an unpaired surrogate becomes the replacement character, and the lengths still fit', () => {
    expect(textArray(['\ud800']).subarray(20).toString('hex')).toBe('00000003efbfbd')
  })

  test('each text is the UTF-8 that Node makes of it, short or long, whatever letters it has and wherever', () => {
    // About 64 units another way is taken, and at the first letter that is not ASCII.
    const length = { minLength: 55, maxLength: 70 }
    const letters = [fc.constantFrom('a', '\u0080'), 'binary', 'grapheme-ascii'] as const
    const texts = fc.array(fc.option(fc.oneof(...letters.map((unit) => fc.string({ unit, ...length })))), { maxLength: 6 })
    fc.assert(
      fc.property(texts, (values) => {
        expect(textsOf(textArray(values))).toEqual(values.map((value) => (value === null ? null : Buffer.from(value).toString())))
      }),
    )
  })
})

/** Read back by the lengths that stand before them. */
function textsOf(array: Buffer): readonly (string | null)[] {
  const found: (string | null)[] = []
  for (let at = 20; at < array.length;) {
    const length = array.readInt32BE(at)
    at += 4
    found.push(length < 0 ? null : array.toString('utf8', at, at + length))
    at += Math.max(0, length)
  }
  return found
}
