import { expect, test } from 'vitest'
import { headerCache } from '../../../shared/adapters/kafka/header-cache.ts'

const bytes = Uint8Array.of(1, 2)

test('keeps the bytes of a header that came twice in a row, until its value changes', () => {
  const cache = headerCache({ maxNames: 4, maxLength: 100 })
  cache.wrote('a', '1', () => bytes)
  expect(cache.bytesOf('a', '1')).toBeNull()
  cache.wrote('a', '1', () => bytes)
  expect(cache.bytesOf('a', '1')).toBe(bytes)
  expect(cache.bytesOf('a', '2')).toBeNull()
  cache.wrote('a', '2', () => bytes)
  expect(cache.bytesOf('a', '2')).toBeNull()
})

test('strangers’ headers can’t make it grow', () => {
  const cache = headerCache({ maxNames: 4, maxLength: 100 })
  for (let n = 0; n < 1_000; n += 1) {
    cache.wrote(`x-${n}`, 'v', () => bytes)
    expect(cache.names).toBeLessThanOrEqual(4)
  }
  for (const value of ['x'.repeat(101), 'x'.repeat(1_000_000)]) cache.wrote('long', value, () => bytes)
  cache.wrote('y'.repeat(101), '', () => bytes)
  expect(cache.bytesOf('long', 'x'.repeat(101))).toBeNull()
  expect(cache.names).toBeLessThanOrEqual(4)
})
