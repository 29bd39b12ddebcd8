import { describe, expect, test } from 'vitest'
import { encode } from '../../../shared/events/envelope.ts'
import { createWorld } from './world.ts'

const LEAD = '7d4f3a52-0000-4000-8000-000000000001'
const signal = new AbortController().signal

/** A world whose bronze has one event of a lead; `after` replaces its image. */
function withEvent(after = `{"id":"${LEAD}","name":"Ana"}`, options: Parameters<typeof createWorld>[0] = {}) {
  const world = createWorld(options)
  const change = { version: 1_795_370_400_000_001, table: 'public.leads', topic: 'afluente.public.leads', key: `["${LEAD}"]`, op: 'insert' as const, before: null, after, occurredAt: '2026-11-22T18:00:00.000001Z', traceparent: null } // prettier-ignore
  const message = encode(change, { ref: 'test', claimedAt: '2026-11-22T18:00:00.000Z', traceparent: '' })
  const record = { topic: message.topic, partition: 0, offset: '1', timestampMs: 0, key: message.key, value: message.value, headers: message.headers }
  world.analytics.bronze.set('public.leads:1795370400000001', { eventId: 'public.leads:1795370400000001', record })
  const post = async (path: string, body: object) => {
    const response = await world.call('POST', path, JSON.stringify(body))
    return { status: response.status, body: (await response.json()) as Record<string, unknown> }
  }
  const get = async (path: string) => {
    const response = await world.call('GET', path)
    return { status: response.status, body: (await response.json()) as Record<string, unknown> }
  }
  return { ...world, post, get }
}

describe('POST /api/replays', () => {
  test('begins a job for each table of the consumer, wakes it, and it stands in the audit', async () => {
    const { analytics, done, get, post } = withEvent()
    const { body, status } = await post('/api/replays', { into: 'postgres', since: '2026-11-22T00:00:00Z' })
    expect(status).toBe(202)
    expect(body).toMatchObject({ dryRun: false, jobs: [{ id: '1', table: 'public.leads', total: 1, kind: 'replay' }, { id: '2', table: 'public.chat_sessions', total: 0 }] }) // prettier-ignore
    expect(done).toEqual(['wake postgres'])
    expect(analytics.audit.map(({ action, subject }) => `${action} ${subject}`)).toEqual(['replay.start postgres', 'replay.start postgres'])
    expect((await get('/api/replays/1')).body).toMatchObject({ id: '1', state: 'running' })
    expect((await get('/api/replays?limit=1')).body).toMatchObject({ jobs: [{ id: '2' }] })
  })

  test('counts and does nothing with dryRun', async () => {
    const { analytics, done, post } = withEvent()
    const { body } = await post('/api/replays', { into: 'elasticsearch', table: 'leads', key: LEAD.toUpperCase(), dryRun: true })
    expect(body).toEqual({ dryRun: true, tables: [{ table: 'public.leads', events: 1 }] })
    expect({ jobs: analytics.replays.size, done }).toEqual({ jobs: 0, done: [] })
  })

  test.each([
    ['an unknown consumer', { into: 'nobody' }, 404, 'unknown-consumer', 'postgres, elasticsearch'],
    ['an unknown table', { into: 'postgres', table: 'nothing' }, 404, 'unknown-table', 'public.leads, public.chat_sessions'],
    ['a time that is none', { into: 'postgres', since: 'yesterday' }, 422, 'invalid-request', 'since: a time is ISO 8601'],
    ['an end before the beginning', { into: 'postgres', since: '2026-11-22T18:00:00Z', until: '2026-11-22T17:00:00Z' }, 422, 'empty-range', 'not before'],
    ['a key of no table', { into: 'postgres', key: 'a' }, 422, 'no-table', 'Name one'],
    ['a key that is none', { into: 'postgres', table: 'leads', key: 'a' }, 422, 'no-key', 'the value of id (uuid)'],
    ['a shadow of one key', { into: 'postgres', table: 'leads', key: LEAD, shadow: true }, 422, 'one-key', 'whole table'],
    ['what nobody knows', { into: 'postgres', colour: 'red' }, 422, 'invalid-request', 'colour'],
    ['no consumer', {}, 422, 'invalid-request', 'into'],
  ])('%s: a clear line, nothing done', async (_, question, status, slug, words) => {
    const { analytics, done, post } = withEvent()
    const answer = await post('/api/replays', question)
    expect(answer.status).toBe(status)
    expect(answer.body).toMatchObject({ type: `urn:afluente:problem:${slug}` })
    expect(JSON.stringify(answer.body)).toContain(words)
    expect({ jobs: analytics.replays.size, audit: analytics.audit.length, done }).toEqual({ jobs: 0, audit: 0, done: [] })
  })

  test('into a consumer with another key than the events have is refused', async () => {
    const { analytics, post } = withEvent('{"id":"another","name":"Ana"}')
    for (const shadow of [false, true]) {
      const answer = await post('/api/replays', { into: 'postgres', table: 'leads', shadow })
      expect(answer).toMatchObject({
        status: 422,
        body: { type: 'urn:afluente:problem:other-key', detail: expect.stringContaining('keyed otherwise than by id') as unknown },
      })
    }
    expect(analytics.replays.size).toBe(0)
  })

  test('for a stopped consumer says that it waits', async () => {
    const { post } = withEvent(undefined, { states: { postgres: 'stopped' } })
    const { body } = await post('/api/replays', { into: 'postgres', table: 'leads' })
    expect(body).toMatchObject({ remarks: [expect.stringContaining('The consumer postgres is stopped') as unknown] })
  })

  test('that runs can be cancelled, once', async () => {
    const { post } = withEvent()
    await post('/api/replays', { into: 'postgres', table: 'leads' })
    expect(await post('/api/replays/1/cancel', {})).toMatchObject({ status: 200, body: { state: 'cancelled' } })
    expect(await post('/api/replays/1/cancel', {})).toMatchObject({ status: 409, body: { type: 'urn:afluente:problem:job-ended' } })
    expect(await post('/api/replays/9/cancel', {})).toMatchObject({ status: 404, body: { type: 'urn:afluente:problem:unknown-job' } })
  })
})

describe('/api/shadows', () => {
  const filled = async () => {
    const world = withEvent()
    await world.post('/api/replays', { into: 'postgres', table: 'leads', shadow: true })
    const finish = async () => {
      const job = await world.replays.find('1', { signal })
      if (job === null) throw new Error('there is no job')
      await world.replays.made({ consumer: 'postgres', table: 'public.leads', live: 'silver.leads', shadow: 'silver.leads__shadow' }, { signal })
      await world.replays.finish({ job, report: {} }, { signal })
    }
    return { ...world, finish }
  }

  test('lists each with its last job', async () => {
    const { finish, get } = await filled()
    await finish()
    expect((await get('/api/shadows')).body).toMatchObject({ shadows: [{ table: 'public.leads', state: 'ready', lastJob: { id: '1', state: 'done' } }] })
  })

  test('a second one of the same table is refused while it stands', async () => {
    const { analytics, post } = await filled()
    expect(await post('/api/replays', { into: 'postgres', shadow: true })).toMatchObject({ status: 409, body: { type: 'urn:afluente:problem:shadow-there' } })
    expect(analytics.replays.size).toBe(1)
  })

  test('is swapped and dropped only when nothing works on it', async () => {
    const { analytics, finish, post } = await filled()
    for (const action of ['swap', 'drop'])
      expect(await post(`/api/shadows/${action}`, {})).toMatchObject({ status: 409, body: { type: 'urn:afluente:problem:shadow-busy' } })
    await finish()
    expect(await post('/api/shadows/swap', { table: 'leads' })).toMatchObject({ status: 202, body: { job: { id: '2', kind: 'swap', phase: 'following' } } })
    expect(await post('/api/shadows/drop', { table: 'leads' })).toMatchObject({ status: 409 })
    await post('/api/replays/2/cancel', {})
    expect(await post('/api/shadows/drop', { table: 'public.leads', consumer: 'postgres' })).toMatchObject({
      status: 200,
      body: { dropped: { table: 'public.leads' } },
    })
    expect(analytics.shadows.size).toBe(0)
    expect(analytics.audit.map(({ action }) => action)).toEqual(['shadow.make', 'shadow.swap', 'replay.cancel', 'shadow.drop'])
  })

  test('that is not there, or is one of several, is not guessed', async () => {
    const { post } = await filled()
    expect(await post('/api/shadows/swap', { table: 'chat_sessions' })).toMatchObject({ status: 404, body: { type: 'urn:afluente:problem:unknown-shadow' } })
    await post('/api/replays', { into: 'elasticsearch', table: 'leads', shadow: true })
    expect(await post('/api/shadows/swap', { table: 'leads' })).toMatchObject({ status: 422, body: { type: 'urn:afluente:problem:which-shadow' } })
  })
})
