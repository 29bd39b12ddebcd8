import { describe, expect, test } from 'vitest'
import { definitionHash } from '../../../shared/engine/etl-definition.ts'
import { pipeline } from '../../../shared/pipeline.ts'
import type { EtlRun } from '../../../shared/ports/etl-control.ts'
import { createWorld } from './world.ts'

const RUNS = '/api/etl/conversations/runs'
const KEY = { 'idempotency-key': 'k-1' }

type World = ReturnType<typeof createWorld>
const start = async (world: World, body: object = {}, headers: Readonly<Record<string, string>> = {}) => {
  const response = await world.call('POST', RUNS, JSON.stringify(body), headers)
  return { response, body: (await response.json()) as Record<string, unknown> & { run: EtlRun & { url: string } } }
}
const end = (world: World, id: string, change: Partial<EtlRun> = {}): void => {
  const run = world.etl.runs.get(id)
  if (run === undefined) throw new Error(`no run ${id}`)
  world.etl.runs.set(id, { ...run, status: 'success', completedAt: new Date(world.clock.now()).toISOString(), durationSeconds: 1, ...change })
}
const jobOf = async (world: World) =>
  ((await (await world.call('GET', '/api/etl')).json()) as { jobs: { ok: boolean; faults: { problem: string; hint: string }[]; schedule: unknown }[] }).jobs[0]

describe('POST …/runs', () => {
  test('begins a run: 202, its address in Location and in the body, and its object is woken', async () => {
    const world = createWorld()
    const { body, response } = await start(world)
    expect(response.status).toBe(202)
    expect(body.run).toMatchObject({
      job: 'conversations',
      status: 'running',
      loadType: 'incremental',
      triggeredBy: 'api',
      dryRun: false,
      codeVersion: '1.2.3',
    })
    expect(response.headers.get('location')).toBe(`${RUNS}/${body.run.id}`)
    expect(body.run.url).toBe(`${RUNS}/${body.run.id}`)
    expect(world.done).toEqual(['hurry conversations'])
    expect(await (await world.call('GET', body.run.url)).json()).toEqual(body.run)
  })

  test.each([
    [{ full: true }, { loadType: 'full', acceptDeletes: false }],
    [
      { full: true, acceptDeletes: true },
      { loadType: 'full', acceptDeletes: true },
    ],
    [
      { reconcile: true, dryRun: true },
      { loadType: 'reconcile', dryRun: true, acceptDeletes: false },
    ],
    [{ from: '2026-11-01T00:00:00Z' }, { loadType: 'backfill', from: '2026-11-01T00:00:00Z', to: null }],
    [
      { to: '2026-11-01T00:00:00-03:00', triggeredBy: 'manual' },
      { loadType: 'backfill', triggeredBy: 'manual' },
    ],
  ])('%j is such a run', async (asked, expected) => {
    expect((await start(createWorld(), asked)).body.run).toMatchObject(expected)
  })

  test.each([
    [{ full: true, from: '2026-11-01T00:00:00Z' }, 'contradiction'],
    [{ full: true, reconcile: true }, 'contradiction'],
    [{ reconcile: true, to: '2026-11-01T00:00:00Z' }, 'contradiction'],
    [{ from: '2026-11-02T00:00:00Z', to: '2026-11-01T00:00:00Z' }, 'invalid-span'],
    [{ from: '2026-11-01T00:00:00.000002Z', to: '2026-11-01T00:00:00.000001Z' }, 'invalid-span'],
    [{ from: 'yesterday' }, 'invalid-request'],
    [{ from: '2026-11-01T00:00:00' }, 'invalid-request'],
    [{ fast: true }, 'invalid-request'],
    [{ full: 'yes' }, 'invalid-request'],
    [{ triggeredBy: 'scheduler' }, 'invalid-request'],
    [[], 'invalid-request'],
  ])('%j is 422, and nothing is begun', async (asked, slug) => {
    const world = createWorld()
    const { body, response } = await start(world, asked)
    expect({ status: response.status, type: body['type'] }).toEqual({ status: 422, type: `urn:afluente:problem:${slug}` })
    expect(response.headers.get('content-type')).toBe('application/problem+json')
    expect({ runs: world.etl.runs.size, done: world.done }).toEqual({ runs: 0, done: [] })
  })

  test('of a job that is not defined is 404, and says which are', async () => {
    for (const name of ['nobody', 'toString']) {
      const response = await createWorld().call('POST', `/api/etl/${name}/runs`)
      expect(response.status).toBe(404)
      expect(await response.json()).toMatchObject({ type: 'urn:afluente:problem:unknown-job', detail: 'There are: conversations.' })
    }
  })

  test('while a run is going is 409 with the address of that run', async () => {
    const world = createWorld()
    const first = await start(world)
    const { body, response } = await start(world, { full: true })
    expect(response.status).toBe(409)
    expect(body).toMatchObject({ type: 'urn:afluente:problem:run-going', url: first.body.run.url, run: first.body.run.id })
    expect(response.headers.get('location')).toBe(first.body.run.url)
    expect(world.etl.runs.size).toBe(1)
  })

  test('asked twice at once begins one run', async () => {
    const world = createWorld()
    const answers = await Promise.all([start(world), start(world)])
    expect(new Set(answers.map(({ response }) => response.status))).toEqual(new Set([202, 409]))
    expect(world.etl.runs.size).toBe(1)
  })

  test('whose object can not be woken stands all the same, and says when it begins', async () => {
    const { body, response } = await start(createWorld({ asleep: true }))
    expect(response.status).toBe(202)
    expect(body['remarks']).toEqual([expect.stringContaining('next minute')])
  })
})

describe('the same Idempotency-Key', () => {
  test('answers with the same run, while it is going and when it has ended', async () => {
    const world = createWorld()
    const first = await start(world, { from: '2026-11-01T00:00:00Z' }, KEY)
    const second = await start(world, { from: '2026-10-31T21:00:00.000000-03:00' }, KEY)
    expect([second.response.status, second.body.run.id, second.body['repeated']]).toEqual([202, first.body.run.id, true])
    end(world, first.body.run.id)
    const third = await start(world, { from: '2026-11-01T00:00:00Z' }, KEY)
    expect([third.response.status, third.body.run.id, third.body.run.status]).toEqual([202, first.body.run.id, 'success'])
    expect(world.etl.runs.size).toBe(1)
  })

  test('answers with the first run of a job as well, which becomes a full one', async () => {
    const world = createWorld()
    const first = await start(world, {}, KEY)
    end(world, first.body.run.id, { loadType: 'full' })
    expect((await start(world, {}, KEY)).body.run.id).toBe(first.body.run.id)
  })

  test('under another request is 422, and nothing is begun', async () => {
    const world = createWorld()
    const first = await start(world, {}, KEY)
    end(world, first.body.run.id)
    for (const other of [{ full: true }, { dryRun: true }, { acceptDeletes: true }, { from: '2026-11-01T00:00:00Z' }]) {
      const { body, response } = await start(world, other, KEY)
      expect([response.status, body['type']]).toEqual([422, 'urn:afluente:problem:key-reused'])
    }
    expect(world.etl.runs.size).toBe(1)
  })

  test('that met a run in its way begins its own once that has ended', async () => {
    const world = createWorld()
    const other = await start(world)
    expect((await start(world, { full: true }, KEY)).response.status).toBe(409)
    end(world, other.body.run.id)
    expect((await start(world, { full: true }, KEY)).body.run.loadType).toBe('full')
  })

  test('that no header could carry well is 422', async () => {
    for (const key of ['', 'a b', 'x'.repeat(256)]) {
      const { response } = await start(createWorld(), {}, { 'idempotency-key': key })
      expect(response.status).toBe(422)
    }
  })
})

describe('runs', () => {
  test('are listed the latest first, page by page, each once', async () => {
    const world = createWorld()
    const ids: string[] = []
    for (let at = 0; at < 5; at += 1) {
      const { body } = await start(world)
      end(world, body.run.id)
      ids.unshift(body.run.id)
      world.clock.advance(1_000)
    }
    const seen: string[] = []
    for (let cursor: string | null = '', pages = 0; cursor !== null; pages += 1) {
      expect(pages).toBeLessThan(4)
      const response = await world.call('GET', `${RUNS}?limit=2${cursor === '' ? '' : `&cursor=${cursor}`}`)
      const page = (await response.json()) as { runs: { id: string }[]; next: string | null }
      seen.push(...page.runs.map(({ id }) => id))
      cursor = page.next
    }
    expect(seen).toEqual(ids)
  })

  test.each(['?limit=0', '?limit=201', '?limit=x', '?cursor=x', '?colour=red'])('%s is 422', async (query) => {
    expect((await createWorld().call('GET', `${RUNS}${query}`)).status).toBe(422)
  })

  test('that are not there, or not of this job, are 404', async () => {
    for (const id of ['x', '10000000-0000-8000-a000-000000000001'])
      expect(await (await createWorld().call('GET', `${RUNS}/${id}`)).json()).toMatchObject({ status: 404, type: 'urn:afluente:problem:unknown-run' })
  })

  test('that are going are cancelled: asked, audited, and its object woken; ended ones are 409', async () => {
    const world = createWorld()
    const { body } = await start(world)
    const response = await world.call('POST', `${body.run.url}/cancel`)
    expect(response.status).toBe(202)
    expect(await response.json()).toMatchObject({ run: { status: 'running', cancelAsked: true } })
    expect(world.etl.audit).toEqual([expect.objectContaining({ actor: 'operator', action: 'etl.cancel' })])
    expect(world.done).toEqual(['hurry conversations', 'hurry conversations'])
    end(world, body.run.id, { status: 'cancelled' })
    expect((await world.call('POST', `${body.run.url}/cancel`)).status).toBe(409)
  })
})

describe('a watermark', () => {
  const at = '/api/etl/conversations/watermark'
  const put = (world: World, to: unknown) => world.call('PUT', at, JSON.stringify({ to }))

  test('is told, set and audited', async () => {
    const world = createWorld()
    expect(await (await world.call('GET', at)).json()).toEqual({ job: 'conversations', watermark: null, provenUntil: null })
    expect(await (await put(world, '2026-11-20T00:00:00-03:00')).json()).toEqual({ job: 'conversations', before: null, after: '2026-11-20T03:00:00.000000Z' })
    expect(await (await world.call('GET', at)).json()).toMatchObject({ watermark: '2026-11-20T03:00:00.000000Z' })
    expect(world.etl.audit).toEqual([expect.objectContaining({ actor: 'operator', action: 'etl.watermark' })])
  })

  test.each(['2026-11-30T00:00:00Z', '2026-11-20', 'now', '', 7])('of %j is 422, and nothing is changed', async (to) => {
    const world = createWorld()
    const response = await put(world, to)
    expect(response.status).toBe(422)
    expect(((await response.json()) as { detail: string }).detail).not.toBe('')
    expect(world.etl.audit).toEqual([])
  })

  test('is left alone while a run is going', async () => {
    const world = createWorld()
    await start(world)
    expect((await put(world, '2026-11-20T00:00:00Z')).status).toBe(409)
  })
})

describe('the judgement of a job', () => {
  test('is well while nothing was to be done yet, and shows the next three moments', async () => {
    const job = await jobOf(createWorld())
    expect(job).toMatchObject({ job: 'conversations', ok: true, faults: [], into: 'silver.conversas_analytics' })
    expect(job?.schedule).toMatchObject({ next: ['2026-11-29T12:05:00.000Z', '2026-11-29T12:10:00.000Z', '2026-11-29T12:15:00.000Z'] })
  })

  test('is overdue when two moments have passed without a run that ended well, also when none ever did', async () => {
    const world = createWorld()
    world.clock.advance(6 * 60_000)
    expect((await jobOf(world))?.ok).toBe(true)
    world.clock.advance(90_000)
    expect(await jobOf(world)).toMatchObject({ ok: false, faults: [{ problem: expect.stringContaining('overdue: no run has ended well yet') }] })

    const { body } = await start(world)
    expect((await jobOf(world))?.ok).toBe(true)
    end(world, body.run.id)
    expect((await jobOf(world))?.ok).toBe(true)
    world.clock.advance(12 * 60_000)
    expect((await jobOf(world))?.faults[0]).toMatchObject({
      problem: expect.stringContaining(`since the one that began at ${body.run.startedAt}`),
      hint: expect.stringContaining('npx afluente etl run conversations'),
    })
  })

  test('is overdue all the same when the runs of late were dry, or cancelled', async () => {
    const world = createWorld()
    world.clock.advance(15 * 60_000)
    for (const change of [{ dryRun: true }, { status: 'cancelled' }] as const) {
      const { body } = await start(world)
      end(world, body.run.id, change)
      expect((await jobOf(world))?.faults[0]?.problem).toContain('overdue: no run has ended well yet')
    }
  })

  test('tells the last failure with its reason and a way on, and a later success ends it', async () => {
    const world = createWorld()
    const first = await start(world)
    end(world, first.body.run.id, { status: 'failed', error: 'unavailable connection: The database of CHATWOOT_DATABASE_URL does not answer.' })
    expect(await jobOf(world)).toMatchObject({
      ok: false,
      faults: [{ problem: expect.stringContaining('CHATWOOT_DATABASE_URL does not answer'), hint: expect.stringContaining(first.body.run.id) }],
    })
    // A load that failed is told; the Worker is as ready as before.
    const ready = await world.call('GET', '/ready')
    expect(ready.status).toBe(200)
    expect(await ready.json()).toMatchObject({ ok: true, etl: [{ job: 'conversations', ok: false, reason: expect.stringContaining('failed') }] })
    const second = await start(world)
    end(world, second.body.run.id)
    expect((await jobOf(world))?.ok).toBe(true)
  })

  test('tells a reconcile that failed until another has ended well, whatever loads end well after it', async () => {
    const world = createWorld()
    end(world, (await start(world, { reconcile: true })).body.run.id, { status: 'failed', error: 'misconfigured would-empty: most would go' })
    world.clock.advance(1_000)
    end(world, (await start(world)).body.run.id)
    expect((await jobOf(world))?.faults).toEqual([
      { problem: expect.stringContaining('its last reconcile failed'), hint: expect.stringContaining('npx afluente etl reconcile conversations') },
    ])
    world.clock.advance(1_000)
    end(world, (await start(world, { reconcile: true })).body.run.id)
    expect((await jobOf(world))?.faults).toEqual([])
  })

  test('tells a run that meets a fault while it is going, and one that nobody works on', async () => {
    const world = createWorld()
    const { body } = await start(world)
    world.clock.advance(151_000)
    expect((await jobOf(world))?.faults).toEqual([expect.objectContaining({ problem: expect.stringContaining('nobody has worked on it since') })])
    const run = world.etl.runs.get(body.run.id)
    if (run !== undefined) world.etl.runs.set(run.id, { ...run, error: 'unavailable: no answer', retryAt: '2026-11-29T12:03:00.000000Z' })
    expect((await jobOf(world))?.faults).toEqual([expect.objectContaining({ problem: expect.stringContaining('tries again at 2026-11-29T12:03') })])
  })

  test('offers a full load once the definition is another one than filled the table', async () => {
    const world = createWorld()
    const known = { watermarkSet: null, leasedUntil: null, provenUntil: null }
    const job = pipeline.etl?.['conversations']
    if (job === undefined) throw new Error('there is no such job')
    world.etl.jobs.set('conversations', { ...known, definitionHash: await definitionHash(job) })
    expect((await jobOf(world))?.ok).toBe(true)
    world.etl.jobs.set('conversations', { ...known, definitionHash: 'another' })
    expect((await jobOf(world))?.faults).toEqual([expect.objectContaining({ hint: expect.stringContaining('etl run conversations --full') })])
  })

  test('of one job is the same, and 503 while the control tables do not answer', async () => {
    const world = createWorld()
    expect(await (await world.call('GET', '/api/etl/conversations')).json()).toMatchObject({ job: 'conversations', ok: true })
    expect((await world.call('GET', '/api/etl/nobody')).status).toBe(404)
    expect((await createWorld({ down: ['analytics'] }).call('GET', '/api/etl')).status).toBe(503)
  })
})

test('metrics and status tell jobs: well or not, going, how the last run ended, how far behind', async () => {
  const world = createWorld()
  const { body } = await start(world)
  world.clock.advance(2_000)
  end(world, body.run.id, { inserted: 5, caughtByOverlap: 2, watermarkEnd: '2026-11-29T12:00:00.000000Z' })
  world.clock.advance(10_000)
  const lines = (await (await world.call('GET', '/metrics')).text()).split('\n')
  for (const line of [
    'afluente_etl_ok{job="conversations"} 1',
    'afluente_etl_running{job="conversations"} 0',
    'afluente_etl_last_run{job="conversations",status="success"} 1',
    'afluente_etl_last_run{job="conversations",status="failed"} 0',
    'afluente_etl_since_success_seconds{job="conversations"} 10',
    'afluente_etl_lag_seconds{job="conversations"} 12',
    'afluente_etl_last_rows{job="conversations",outcome="inserted"} 5',
    'afluente_etl_last_rows{job="conversations",outcome="caughtByOverlap"} 2',
  ])
    expect(lines).toContain(line)
  expect(await (await world.call('GET', '/api/status')).json()).toMatchObject({ etl: [{ job: 'conversations', ok: true }] })
})
