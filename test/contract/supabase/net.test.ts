import { afterAll, beforeAll, beforeEach, describe, expect, it } from 'vitest'
import { eventually } from '../../support/poll.ts'
import { arrived, type Cloud, pauseMs, serviceKey, startCloud, startStandIn } from './cloud.ts'

let cloud: Cloud
beforeAll(async () => void (cloud = await startCloud()))
afterAll(() => cloud.stop())

/** Until the worker waits for a wake-up again: then the next doorbell finds it idle. */
beforeEach(async () => {
  cloud.edge.answer = () => ({ status: 200, body: '{}' })
  cloud.edge.arrivals.length = 0
  await quiet()
})

const quiet = () => eventually('a quiet worker', async () => ((await (await cloud.request('/_net')).json()) as { idle: boolean }).idle)
const ring = (name = 'open') => cloud.sql(`select net.http_post($1, '{"ring": true}')::text id`, [`${cloud.standIn.url}/functions/v1/${name}`])
const control = (action: string) => cloud.request(`/_net/${action}`, { method: 'POST' })
const response = (id: unknown) => eventually('a response', async () => (await cloud.sql('select * from net._http_response where id = $1', [id]))[0])

describe('a webhook', () => {
  it('reaches the function through the gateway, at once when it was quiet, and its answer is kept', async () => {
    const rungAt = performance.now()
    const [row] = await ring()
    const [arrival] = await arrived(cloud.edge, 'open', 1)
    expect(arrival?.body).toBe('{"ring": true}')
    expect((arrival?.atMs ?? 0) - rungAt).toBeLessThan(pauseMs)
    expect(await response(row?.['id'])).toMatchObject({ status_code: 200, content: '{}', timed_out: false, error_msg: null })
  })

  it('is not sent when its transaction is rolled back', async () => {
    await cloud.sql(`begin; select net.http_post('${cloud.standIn.url}/functions/v1/open'); rollback`)
    await ring()
    await arrived(cloud.edge, 'open', 1)
    await quiet()
    expect(cloud.edge.arrivals).toHaveLength(1)
  })

  it('is tried once: an error and a refused connection are written down and that is all', async () => {
    cloud.edge.answer = () => ({ status: 500, body: '{"no":1}' })
    const [failed] = await ring()
    const [refused] = await cloud.sql(`select net.http_post('http://127.0.0.1:9/')::text id`)
    expect(await response(failed?.['id'])).toMatchObject({ status_code: 500, content: '{"no":1}' })
    expect(await response(refused?.['id'])).toMatchObject({ status_code: null, timed_out: false, error_msg: expect.stringContaining("Couldn't connect") })
    await quiet()
    expect(cloud.edge.arrivals).toHaveLength(1)
  })

  it('gives up after its timeout', async () => {
    cloud.edge.answer = () => new Promise(() => undefined)
    const [row] = await cloud.sql(`select net.http_post('${cloud.standIn.url}/functions/v1/open', timeout_milliseconds => 100)::text id`)
    expect(await response(row?.['id'])).toMatchObject({ status_code: null, timed_out: true, error_msg: expect.stringContaining('100 ms') })
  })
})

describe("pg_net's pace", () => {
  it('ends a pause for the first doorbell, and lets the next one wait it out', async () => {
    await ring()
    await arrived(cloud.edge, 'open', 1)
    await ring()
    await arrived(cloud.edge, 'open', 2)
    await ring()
    const [first, second, third] = await arrived(cloud.edge, 'open', 3)
    expect((second?.atMs ?? 0) - (first?.atMs ?? 0)).toBeLessThan(pauseMs)
    expect((third?.atMs ?? 0) - (second?.atMs ?? 0)).toBeGreaterThan(pauseMs * 0.7)
  })

  it('sends 200 at a time with a pause between', async () => {
    await cloud.sql(`select net.http_post('${cloud.standIn.url}/functions/v1/open') from generate_series(1, 450)`)
    const times = (await arrived(cloud.edge, 'open', 450)).map(({ atMs }) => atMs)
    expect((times[200] ?? 0) - (times[199] ?? 0)).toBeGreaterThan(pauseMs * 0.7)
    expect((times[400] ?? 0) - (times[399] ?? 0)).toBeGreaterThan(pauseMs * 0.7)
  })
})

describe('what goes wrong in the cloud', () => {
  it('sends a batch again when the worker dies before its commit', async () => {
    const standIn = await startStandIn(cloud.environment)
    await control('pause')
    cloud.edge.answer = () => new Promise(() => undefined)
    await ring()
    await arrived(cloud.edge, 'open', 1)
    standIn.process.kill('SIGKILL')
    cloud.edge.answer = () => ({ status: 200, body: '{}' })
    await control('resume')
    await arrived(cloud.edge, 'open', 2)
    await eventually('an empty queue', async () => (await cloud.sql('select 1 from net.http_request_queue')).length === 0)
  })

  it('loses, doubles and holds back doorbells on demand', async () => {
    await control('drop?count=1')
    await ring('open?lost')
    await eventually('an empty queue', async () => (await cloud.sql('select 1 from net.http_request_queue')).length === 0)
    await control('double')
    await ring('open?twice')
    await arrived(cloud.edge, 'open?twice', 2)
    await control('pause')
    await ring('open?late')
    await ring('open?late')
    expect(await cloud.sql('select 1 from net.http_request_queue')).toHaveLength(2)
    await control('resume')
    await arrived(cloud.edge, 'open?late', 2)
    expect(cloud.edge.arrivals.filter(({ path }) => path === '/open?lost')).toHaveLength(0)
  })

  it('takes such demands from the service role alone', async () => {
    for (const headers of [{}, { authorization: 'Bearer nonsense' }]) {
      expect((await fetch(`${cloud.standIn.url}/_net/drop`, { method: 'POST', headers })).status).toBe(401)
    }
    expect((await cloud.request('/_net/nonsense', { method: 'POST' })).status).toBe(404)
  })

  it('forgets its queue when the server crashes, and goes on afterwards', async () => {
    await control('pause')
    await ring()
    await cloud.postgres.kill()
    await cloud.postgres.start()
    expect(await cloud.sql('select 1 from net.http_request_queue')).toHaveLength(0)
    await control('resume')
    await ring('open?after')
    await arrived(cloud.edge, 'open?after', 1)
    expect(cloud.edge.arrivals).toHaveLength(1)
  })
})

describe("the functions' gateway", () => {
  it('checks the JWT unless config.toml says otherwise, and knows only its functions', async () => {
    const status = async (name: string, headers: Record<string, string> = {}) =>
      (await fetch(`${cloud.standIn.url}/functions/v1/${name}`, { method: 'POST', headers, body: '{}' })).status
    expect(await status('open')).toBe(200)
    expect(await status('locked')).toBe(401)
    expect(await status('locked', { authorization: 'Bearer nonsense' })).toBe(401)
    expect(await status('locked', { authorization: `Bearer ${serviceKey}` })).toBe(200)
    expect(await status('unknown')).toBe(404)
    expect(await status('constructor')).toBe(404)
  })

  it('hands on path, query, headers, body and answer', async () => {
    cloud.edge.answer = ({ body }) => ({ status: 422, body })
    const answer = await fetch(`${cloud.standIn.url}/functions/v1/open/deeper?x=1`, {
      method: 'POST',
      headers: { 'x-own': 'yes' },
      body: 'ação'.repeat(500_000),
    })
    expect({ status: answer.status, body: await answer.text() }).toEqual({ status: 422, body: 'ação'.repeat(500_000) })
    expect(cloud.edge.arrivals[0]).toMatchObject({ path: '/open/deeper?x=1', headers: { 'x-own': 'yes' } })
  })

  it('answers 503 when the edge host is away', async () => {
    const standIn = await startStandIn({ ...cloud.environment, EDGE_URL: 'http://127.0.0.1:9' })
    try {
      expect((await fetch(`${standIn.url}/functions/v1/open`, { method: 'POST', body: 'x' })).status).toBe(503)
    } finally {
      await standIn.stop()
    }
  })
})
