import { expect, test } from 'vitest'
import { newTraceparent } from '../../../shared/engine/trace.ts'

test('a trace context as W3C writes it, another one each time', () => {
  const seen = new Set(Array.from({ length: 100 }, () => newTraceparent(Math.random)))
  expect(seen.size).toBe(100)
  for (const traceparent of seen) expect(traceparent).toMatch(/^00-[0-9a-f]{32}-[0-9a-f]{16}-01$/)
})

test('ids of nothing but zeros are invalid, and never given', () => {
  expect(newTraceparent(() => 0)).toBe(`00-${'0'.repeat(31)}1-${'0'.repeat(15)}1-01`)
})
