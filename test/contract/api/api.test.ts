import { describe, expect, test } from 'vitest'
import { misconfiguredApi } from '../../../functions/api/misconfigured.ts'
import { workerSettings } from '../../../shared/config.ts'
import { createWorld, TOKEN, verdict } from './world.ts'

async function problemOf(response: Response) {
  expect(response.headers.get('content-type')).toBe('application/problem+json')
  const problem: unknown = await response.json()
  expect(problem).toMatchObject({
    status: response.status,
    type: expect.stringMatching(/^urn:afluente:problem:[a-z-]+$/),
    title: expect.any(String),
    detail: expect.any(String),
  })
  expect(JSON.stringify(problem)).not.toMatch(/\bat .*\.ts:\d+/)
  return problem
}

describe('the token', () => {
  test('is not asked for by /health, and by everything else', async () => {
    const { bare } = createWorld()
    expect((await bare('/health')).status).toBe(200)
    for (const path of ['/ready', '/metrics', '/api/consumers', '/api/status', '/nowhere']) {
      const response = await bare(path)
      expect(response.status, path).toBe(401)
      expect(response.headers.get('www-authenticate')).toBe('Bearer')
      expect(await problemOf(response)).toMatchObject({ type: 'urn:afluente:problem:unauthorized' })
    }
  })

  test.each(['', 'Bearer', 'Bearer ', `Bearer ${TOKEN}x`, `Bearer ${TOKEN.slice(0, -1)}`, `Basic ${TOKEN}`, TOKEN, `Bearer ${TOKEN} more`])(
    'is refused as "%s", and nothing is done',
    async (authorization) => {
      const { bare, done } = createWorld()
      expect((await bare('/api/status', { authorization })).status).toBe(401)
      expect(done).toEqual([])
    },
  )
})

describe('/ready', () => {
  test('tells the verdict of the last reconcile of each table; a wrong copy is no part that is down', async () => {
    const nothing = { missing: 0, different: 0, extra: 0 }
    const well = { ...verdict, table: 'public.well', outcome: { ...verdict.outcome, sinks: [{ sink: 'silver', ...nothing } as const] } }
    const failed = { ...verdict, table: 'public.failed', outcome: null, problem: 'No answer.' }
    const response = await createWorld({ verdicts: [verdict, well, failed] }).call('GET', '/ready')
    expect(response.status).toBe(200)
    expect(await response.json()).toMatchObject({
      ok: true,
      reconciled: [
        { table: 'public.leads', ok: false, verdict: '1 missing, 0 different, 2 extra of 1 000 000, as of 2026-11-22 12:03:11' },
        { table: 'public.well', ok: true, verdict: '0 missing, 0 different, 0 extra of 1 000 000, as of 2026-11-22 12:03:11' },
        { table: 'public.failed', ok: true, verdict: 'the last reconcile failed: No answer.' },
      ],
    })
    expect(await (await createWorld({ down: ['analytics'] }).call('GET', '/ready')).json()).toMatchObject({ reconciled: null })
  })

  test('names every part with its latency, and is 200 when all are there', async () => {
    const response = await createWorld().call('GET', '/ready')
    expect(response.status).toBe(200)
    const ready = (await response.json()) as { parts: { name: string; ok: boolean; latencyMs: number; reason: string | null }[] }
    expect(ready.parts.map(({ name }) => name)).toEqual(['analytics', 'kafka', 'supabase', 'elasticsearch', 'consumer postgres', 'consumer elasticsearch'])
    expect(ready.parts.every(({ ok, latencyMs, reason }) => ok && latencyMs >= 0 && reason === null)).toBe(true)
  })

  test('is 503 when one part is down, with the reason', async () => {
    const response = await createWorld({ down: ['kafka'] }).call('GET', '/ready')
    expect(response.status).toBe(503)
    expect(await response.json()).toMatchObject({
      ok: false,
      parts: expect.arrayContaining([{ name: 'kafka', ok: false, latencyMs: expect.any(Number), reason: 'kafka does not answer.' }]),
    })
  })

  test('waits two seconds for parts that never answer, all at once', async () => {
    const began = performance.now()
    const response = await createWorld({ silent: ['kafka', 'supabase', 'elasticsearch'] }).call('GET', '/ready')
    expect(performance.now() - began).toBeLessThan(4_000)
    expect(response.status).toBe(503)
    expect(await response.json()).toMatchObject({
      parts: expect.arrayContaining([expect.objectContaining({ name: 'kafka', reason: 'No answer within 2000 ms.' })]),
    })
  })

  test('is 503 when capture stands still, with the reason and the way out', async () => {
    const reason = 'this database was restored to a point in time. Run: npx afluente rebase'
    const response = await createWorld({ backlog: { refused: reason } }).call('GET', '/ready')
    expect(response.status).toBe(503)
    expect(await response.json()).toMatchObject({
      parts: expect.arrayContaining([expect.objectContaining({ name: 'supabase', ok: false, reason: `Capture stands still: ${reason}` })]),
    })
  })

  test.each([
    ['keys', 200],
    ['nothing', 503],
  ] as const)('of an outbox that keeps %s of new changes answers %i, and says what that means', async (keeps, status) => {
    const response = await createWorld({ backlog: { keeps } }).call('GET', '/ready')
    expect(response.status).toBe(status)
    expect(await response.json()).toMatchObject({
      parts: expect.arrayContaining([expect.objectContaining({ name: 'supabase', ok: status === 200, reason: expect.stringContaining('above its budget') })]),
    })
  })

  test.each([
    ['halted', 503],
    ['waiting', 503],
    ['stopped', 200],
    ['idle', 200],
  ] as const)('with a consumer that is %s answers %i', async (state, status) => {
    expect((await createWorld({ states: { postgres: state } }).call('GET', '/ready')).status).toBe(status)
  })
})

describe('/api/consumers', () => {
  test('tells state, counters and lag of each', async () => {
    const response = await createWorld({ states: { elasticsearch: 'halted' } }).call('GET', '/api/consumers')
    expect(await response.json()).toMatchObject({
      consumers: [
        // 100 − 90, 100 − 10; the other topic has nothing beyond its earliest record.
        { name: 'postgres', state: 'running', lag: 100, counters: { consumed: 100, accepted: 90, duplicate: 5, late: 3, dead: 2 } },
        // Partition 1 has no progress: all that is still there counts, from the earliest record on.
        { name: 'elasticsearch', state: 'halted', reason: 'A column is missing.', lag: 95 },
      ],
      faults: [],
    })
  })

  test.each(['wake', 'stop', 'resume'])('/:name/%s does it, and writes it into the audit first', async (action) => {
    const { call, done } = createWorld()
    const response = await call('POST', `/api/consumers/postgres/${action}`)
    expect(response.status).toBe(200)
    expect(await response.json()).toMatchObject({ consumer: 'postgres', instances: [{ instance: 0, state: 'running' }] })
    expect(done).toEqual([`audit operator consumer.${action} postgres`, `${action} postgres`])
  })

  test('can be stopped while the analytics database is down; the log then says that the audit is missing', async () => {
    const { call, done, lines } = createWorld({ down: ['analytics'] })
    expect((await call('POST', '/api/consumers/postgres/stop')).status).toBe(200)
    expect(done).toEqual(['stop postgres'])
    expect(lines).toContainEqual({ event: 'api.command', fields: { action: 'consumer.stop', subject: 'postgres', audited: false } })
  })

  test.each(['nobody', '__proto__', 'toString'])('an unknown consumer (%s) is 404 and names the ones there are', async (name) => {
    const { call, done } = createWorld()
    const response = await call('POST', `/api/consumers/${name}/wake`)
    expect(response.status).toBe(404)
    expect(await problemOf(response)).toMatchObject({ detail: 'There are: postgres, elasticsearch.' })
    expect(done).toEqual([])
  })
})

describe('/api/status', () => {
  test('is all that the command line shows', async () => {
    expect(await (await createWorld().call('GET', '/api/status')).json()).toMatchObject({
      at: expect.any(String),
      version: '1.2.3',
      consumers: [{ name: 'postgres' }, { name: 'elasticsearch' }],
      outbox: { rows: 7, oldestMs: 1_500, leased: true, failures: 2 },
      deadLetters: [{ consumer: 'postgres', state: 'open', letters: 2 }],
      latency: { windowMs: 60_000, p50Ms: 12.3, p99Ms: 45.6, events: 9 },
      faults: [],
    })
  })

  test('tells what it knows when parts are down, and who did not answer', async () => {
    const response = await createWorld({ down: ['analytics', 'supabase'] }).call('GET', '/api/status')
    expect(response.status).toBe(200)
    expect(await response.json()).toMatchObject({
      consumers: [{ name: 'postgres', state: 'running', lag: null, counters: null }, { name: 'elasticsearch' }],
      outbox: null,
      latency: null,
      faults: expect.arrayContaining([
        { part: 'analytics', reason: 'analytics does not answer.' },
        { part: 'supabase', reason: 'supabase does not answer.' },
      ]),
    })
  })
})

describe('bad input', () => {
  test('a body over 1 MB is 413, and nothing is done', async () => {
    const { call, done } = createWorld()
    const response = await call('POST', '/api/consumers/postgres/wake', `"${'x'.repeat(1024 * 1024)}"`)
    expect(response.status).toBe(413)
    await problemOf(response)
    expect(done).toEqual([])
  })

  test('a body that is not JSON is 422; none at all is fine', async () => {
    const { call, done } = createWorld()
    const response = await call('POST', '/api/consumers/postgres/wake', '{"half": ')
    expect(response.status).toBe(422)
    await problemOf(response)
    expect(done).toEqual([])
    expect((await call('POST', '/api/consumers/postgres/wake', '{}')).status).toBe(200)
  })

  test('an unknown route is 404, also with the wrong method', async () => {
    const { call } = createWorld()
    for (const [method, path] of [
      ['GET', '/api/nothing'],
      ['GET', '/api/consumers/postgres/wake'],
      ['DELETE', '/api/status'],
    ] as const) {
      const response = await call(method, path)
      expect(response.status, `${method} ${path}`).toBe(404)
      await problemOf(response)
    }
  })
})

test('POST /api/capture/ring is written into the audit and rings capture; when the source is away it is 503 with the reason', async () => {
  const { call, done } = createWorld()
  expect((await call('POST', '/api/capture/ring')).status).toBe(202)
  expect(done).toEqual(['audit operator capture.ring capture', 'ring'])
  const response = await createWorld({ down: ['supabase'] }).call('POST', '/api/capture/ring')
  expect(response.status).toBe(503)
  expect(await problemOf(response)).toMatchObject({ detail: 'supabase does not answer.' })
})

test('a Worker that is not configured lives, and answers all else with every fault by name', async () => {
  const failure = (() => {
    try {
      workerSettings({ AFLUENTE_API_TOKEN: 'short-secret' })
      return null
    } catch (error) {
      return error
    }
  })()
  const api = misconfiguredApi(failure)
  expect((await api.request('/health')).status).toBe(200)
  const response = await api.request('/api/status')
  expect(response.status).toBe(503)
  const text = JSON.stringify(await problemOf(response))
  for (const name of ['KAFKA_BROKERS', 'SUPABASE_URL', 'AFLUENTE_API_TOKEN', 'ANALYTICS_DATABASE_URL']) expect(text).toContain(name)
  expect(text).not.toContain('short-secret')
})
