import { expect, test } from 'vitest'
import { spareStorage } from '../../../shared/adapters/kafka/spare-storage.ts'

test('what was given back is taken again, once, where it is large enough', () => {
  const storage = spareStorage(1_000)
  const first = storage.take(100)
  storage.give(first)
  expect(storage.take(101)).not.toBe(first)
  expect(storage.take(100)).toBe(first)
  expect(storage.take(100)).not.toBe(first)
})

test('the larger one is kept, and none beyond the most', () => {
  const storage = spareStorage(1_000)
  const [small, large, huge] = [storage.take(10), storage.take(1_000), storage.take(1_001)]
  for (const each of [large, small, huge]) storage.give(each)
  expect(storage.take(10)).toBe(large)
})
