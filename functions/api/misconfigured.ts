/** What a Worker answers whose environment or definition is wrong: that it lives, and everything that is wrong, by name. */
import { Hono } from 'hono'
import { isAfluenteError } from '../../shared/engine/errors.ts'
import { problemResponse } from '../../shared/engine/problem.ts'

export function misconfiguredApi(error: unknown): Hono {
  const message = isAfluenteError(error) ? error.message : 'The Worker could not read its settings.'
  const faults = message.split('\n').flatMap((line) => (line.startsWith('  - ') ? [line.slice(4)] : []))
  const api = new Hono()
  api.get('/health', (c) => c.json({ ok: true }))
  api.all('*', () => problemResponse({ status: 503, slug: 'misconfigured', title: 'The Worker is not configured', detail: message, more: { faults } }))
  return api
}
