import { expect, test } from 'vitest'
import { problemResponse } from '../../../shared/engine/problem.ts'

test('a problem is RFC 9457: its own media type, a stable type, its status in both places', async () => {
  const response = problemResponse({
    status: 413,
    slug: 'body-too-large',
    title: 'Too large',
    detail: 'Send less.',
    more: { limit: 5, status: 'not this' },
    headers: { 'retry-after': '5' },
  })
  expect(response.status).toBe(413)
  expect(response.headers.get('content-type')).toBe('application/problem+json')
  expect(response.headers.get('retry-after')).toBe('5')
  expect(await response.json()).toEqual({ type: 'urn:afluente:problem:body-too-large', title: 'Too large', status: 413, detail: 'Send less.', limit: 5 })
})
