import { describe, expect, test } from 'vitest'
import { buryLetter } from '../../../shared/adapters/memory/letters.ts'
import { APPLICATION_TOPIC } from '../../../shared/events/application-event.ts'
import { letterAt } from '../letters/suite.ts'
import { createWorld } from './world.ts'

interface Problem {
  readonly type: string
  readonly title: string
  readonly detail: string
}

const secret = 'Maria da Conceição'
const rowValue = `{"op":"insert","before":null,"after":{"id":"a-1","name":"${secret}","score":12,"tags":["x"],"email":null}}`
const event = (over: object = {}) =>
  JSON.stringify({ id: 'e1', tipo: 'compra', valor: 10, usuario: null, ocorrido_em: '2026-11-22T18:00:00Z', payload: { total: 10 }, ...over })

/** Letters 1 to 3 of the consumer postgres, 4 of elasticsearch, 5 an application event's, 6 of a consumer that is gone. */
function letterWorld(options: Parameters<typeof createWorld>[0] = {}) {
  const world = createWorld(options)
  for (const offset of [1, 2, 3])
    buryLetter(world.analytics, 'postgres', letterAt(offset, { value: rowValue, message: offset === 3 ? 'odd' : 'refused' }), offset)
  buryLetter(world.analytics, 'elasticsearch', letterAt(1, { value: rowValue }), 4)
  const application = letterAt(9, { topic: APPLICATION_TOPIC, key: 'e1', value: event({ valor: 'ten' }), headers: { ce_id: 'e1', stranger: secret } })
  buryLetter(world.analytics, 'postgres', { ...application, eventId: 'e1', table: null }, 5)
  buryLetter(world.analytics, 'gone', letterAt(1), 6)
  const get = async (path: string) => {
    const response = await world.call('GET', `/api/dead-letters${path}`)
    return { status: response.status, body: (await response.json()) as Record<string, unknown> & { letters: Record<string, unknown>[] } & Problem }
  }
  const post = async (path: string, body: unknown) => {
    const response = await world.call('POST', `/api/dead-letters${path}`, JSON.stringify(body))
    return { status: response.status, body: (await response.json()) as Record<string, unknown> & Problem }
  }
  const states = async () => (await get('')).body.letters.toReversed().map((letter) => letter['state'])
  return { ...world, get, post, states }
}

const allOpen = ['open', 'open', 'open', 'open', 'open', 'open']

describe('GET /api/dead-letters', () => {
  test('lists the newest first, page by page, without a word of what the events say', async () => {
    const { get } = letterWorld()
    const { status, body } = await get('?limit=2')
    expect(status).toBe(200)
    expect(body.letters.map((letter) => letter['id'])).toEqual(['6', '5'])
    expect(body['next']).toBe('5')
    expect((await get(`?limit=2&cursor=5`)).body.letters.map((letter) => letter['id'])).toEqual(['4', '3'])
    expect(JSON.stringify(body)).not.toMatch(/Maria|payload|headers/)
  })

  test.each([
    ['?consumer=elasticsearch', '4'],
    ['?table=leads', '6,4,3,2,1'],
    ['?table=public.leads&consumer=postgres', '3,2,1'],
    ['?ids=2,03', '3,2'],
    ['?state=discarded', ''],
    ['?since=1970-01-01T00:00:00.003Z&until=1970-01-01T00:00:00.005Z', '4,3'],
  ])('finds by %s', async (query, ids) => {
    expect((await letterWorld().get(query)).body.letters.map((letter) => letter['id']).join()).toBe(ids)
  })

  test.each([
    ['?colour=red', 422, 'unknown-filter'],
    ['?table=public.nobody', 404, 'unknown-table'],
    ['?consumer=nobody', 404, 'unknown-consumer'],
    ['?consumer=toString', 404, 'unknown-consumer'],
    ['?fingerprint=0000', 404, 'unknown-fingerprint'],
    ['?ids=99', 404, 'unknown-letter'],
    ['?ids=x', 422, 'invalid-request'],
    ['?since=yesterday', 422, 'invalid-request'],
    ['?state=lost', 422, 'invalid-request'],
    ['?limit=0', 422, 'invalid-request'],
    ['?cursor=x', 422, 'invalid-request'],
    ['/99', 404, 'unknown-letter'],
    ['/x', 404, 'unknown-letter'],
    ['/jobs/99', 404, 'unknown-job'],
    ['/1?show=all', 422, 'unknown-filter'],
  ])('%s is answered with %i %s', async (path, status, slug) => {
    const answer = await letterWorld().get(path)
    expect({ status: answer.status, type: answer.body.type }).toEqual({ status, type: `urn:afluente:problem:${slug}` })
    expect(answer.body.detail).not.toBe('')
  })

  test('puts together what fails alike', async () => {
    const { body } = await letterWorld().get('/groups?consumer=postgres&table=leads')
    expect(body['groups']).toMatchObject([{ letters: 2, message: 'refused' }, { letters: 1, message: 'odd' }]) // prettier-ignore
  })

  test('is a 503 while the analytics database does not answer', async () => {
    expect(await letterWorld({ down: ['analytics'] }).get('')).toMatchObject({ status: 503, body: { type: 'urn:afluente:problem:unavailable' } })
  })
})

describe('one letter', () => {
  test('shows its values by kind and size; nobody’s name is in it', async () => {
    const { get, done } = letterWorld()
    const { body } = await get('/1')
    expect(body['value']).toEqual({
      op: 'insert',
      before: null,
      after: { id: 'text of 3', name: `text of ${secret.length}`, score: 'number', tags: 'list of 1', email: null },
    })
    expect(body['headers']).toEqual({ ce_id: 'public.leads:1', odd: 'text of 3' })
    expect(JSON.stringify([body, (await get('/5')).body])).not.toContain('Maria')
    expect(done).toEqual([])
  })

  test('shows them as they came when asked, which stands in the audit', async () => {
    const { get, done } = letterWorld()
    expect((await get('/1?reveal=true')).body).toMatchObject({ revealed: true, value: rowValue, headers: { odd: 'ä"\\' } })
    expect(done).toEqual(['audit operator dead-letter.reveal 1'])
  })

  test('shows nothing that can’t be audited', async () => {
    const { get } = letterWorld({ down: ['analytics'] })
    for (const path of ['/1?reveal=true', '/export?reveal=true']) {
      const { status, body } = await get(path)
      expect(status).toBe(503)
      expect(JSON.stringify(body)).not.toContain('Maria')
    }
  })

  test('is exported with the others, masked unless that is asked for', async () => {
    const { get, done } = letterWorld()
    const masked = (await get('/export?consumer=postgres&table=leads')).body
    expect(masked.letters).toHaveLength(3)
    expect(JSON.stringify(masked)).not.toContain('Maria')
    expect(done).toEqual([])
    expect((await get('/export?consumer=postgres&table=leads&reveal=true')).body.letters[0]).toMatchObject({ value: rowValue })
    expect(done).toEqual(['audit operator dead-letter.export revealed'])
  })
})

describe('POST …/redrive', () => {
  test('makes a job a consumer and wakes it; the job can be watched and cancelled', async () => {
    const { post, get, done, analytics } = letterWorld()
    const { status, body } = await post('/redrive', { table: 'leads' })
    expect(status).toBe(202)
    expect(body).toMatchObject({ dryRun: false, jobs: [{ id: '1', consumer: 'elasticsearch', total: 1 }, { id: '2', consumer: 'postgres', total: 3 }], remarks: [] }) // prettier-ignore
    expect(done).toEqual(['wake elasticsearch', 'wake postgres'])
    expect(analytics.audit.map(({ action }) => action)).toEqual(['dead-letter.redrive', 'dead-letter.redrive'])
    expect((await get('/jobs/2')).body).toMatchObject({ id: '2', state: 'running', done: 0 })
    expect((await get('/jobs')).body['jobs']).toHaveLength(2)
    expect((await post('/jobs/2/cancel', {})).body).toMatchObject({ state: 'cancelled' })
    expect(await post('/jobs/2/cancel', {})).toMatchObject({ status: 409, body: { type: 'urn:afluente:problem:job-ended' } })
    expect((await post('/jobs/9/cancel', {})).status).toBe(404)
  })

  test('without a body is every letter that waits, of every consumer that is defined', async () => {
    const { call } = letterWorld()
    const response = await call('POST', '/api/dead-letters/redrive')
    expect(await response.json()).toMatchObject({ jobs: [{ consumer: 'elasticsearch', total: 1 }, { consumer: 'postgres', total: 4 }] }) // prettier-ignore
  })

  test('as a dry run counts, and does nothing', async () => {
    const { post, done, analytics } = letterWorld()
    expect(await post('/redrive', { table: 'leads', dryRun: true })).toMatchObject({
      status: 200,
      body: { dryRun: true, letters: 4, consumers: [{ consumer: 'elasticsearch', letters: 1 }, { consumer: 'postgres', letters: 3 }] }, // prettier-ignore
    })
    expect([done, analytics.audit, [...analytics.redrives]]).toEqual([[], [], []])
  })

  test('of a consumer that an operator stopped waits, and says so', async () => {
    const { post } = letterWorld({ states: { postgres: 'stopped' } })
    expect((await post('/redrive', { ids: ['1'] })).body['remarks']).toEqual([expect.stringContaining('POST /api/consumers/postgres/resume')])
  })

  test.each([
    [{ ids: ['1', '99'] }, 404, 'unknown-letter'],
    [{ table: 'nobody' }, 404, 'unknown-table'],
    [{ colour: 'red' }, 422, 'unknown-filter'],
    [{ ids: [] }, 422, 'invalid-request'],
    [{ ids: [1] }, 422, 'invalid-request'],
    [{ state: 'resolved' }, 422, 'wrong-state'],
    [{ consumer: 'gone' }, 409, 'consumer-gone'],
    [{ ids: ['1', '6'] }, 409, 'consumer-gone'],
    [[], 422, 'invalid-request'],
  ])('of %j does nothing: %i %s', async (body, status, slug) => {
    const { post, states, done } = letterWorld()
    expect(await post('/redrive', body)).toMatchObject({ status, body: { type: `urn:afluente:problem:${slug}` } })
    expect(await states()).toEqual(allOpen)
    expect(done).toEqual([])
  })
})

test('a row that an ETL job rejected is mended in its source: asked to redrive it, the answer says so', async () => {
  const { analytics, post } = letterWorld()
  buryLetter(analytics, 'etl.conversations', letterAt(1), 7)
  for (const asked of [{ ids: ['1', '7'] }, { consumer: 'etl.conversations' }])
    expect(await post('/redrive', asked)).toMatchObject({
      status: 409,
      body: { type: 'urn:afluente:problem:row-of-a-job', detail: expect.stringContaining('npx afluente etl reconcile conversations') as unknown },
    })
  expect([...analytics.redrives]).toEqual([])
})

describe('POST …/discard', () => {
  test('ends letters for a reason, at once', async () => {
    const { post, states, analytics } = letterWorld()
    expect(await post('/discard', { ids: ['1', '6'], reason: 'a test' })).toMatchObject({ status: 200, body: { discarded: 2, left: 0 } })
    expect(await states()).toEqual(['discarded', 'open', 'open', 'open', 'open', 'discarded'])
    expect(analytics.audit).toMatchObject([{ action: 'dead-letter.discard', details: { reason: 'a test', letters: 2 } }])
    expect(await post('/discard', { ids: ['1', '2'], reason: 'again' })).toMatchObject({
      status: 409,
      body: { detail: expect.stringContaining('1 is discarded') as unknown },
    })
    expect(await post('/redrive', { ids: ['1', '2'] })).toMatchObject({ status: 409 })
  })

  test('as a dry run counts, and does nothing', async () => {
    const { post, states } = letterWorld()
    expect((await post('/discard', { table: 'leads', reason: 'a test', dryRun: true })).body).toMatchObject({ dryRun: true, letters: 5 })
    expect(await states()).toEqual(allOpen)
  })

  test.each([
    [{ ids: ['1'] }, 'invalid-request'],
    [{ ids: ['1'], reason: '  ' }, 'invalid-request'],
    [{ reason: 'everything' }, 'no-filter'],
    [{ ids: ['99'], reason: 'x' }, 'unknown-letter'],
  ])('of %j does nothing: %s', async (body, slug) => {
    const { post, states } = letterWorld()
    expect((await post('/discard', body)).body.type).toBe(`urn:afluente:problem:${slug}`)
    expect(await states()).toEqual(allOpen)
  })
})

describe('POST …/:id/edit', () => {
  test('sends an application event anew under its own id, naming the old one; the letter is resolved, the difference shown', async () => {
    const { post, get, sent, analytics } = letterWorld()
    const answer = await post('/5/edit', { value: event() })
    expect(answer).toMatchObject({ status: 200, body: { dryRun: false, replaces: 'e1', differences: [{ path: 'valor', before: '"ten"', after: '10' }] } })
    const id = String(answer.body['eventId'])
    expect(id).not.toBe('e1')
    expect(sent).toMatchObject([{ topic: APPLICATION_TOPIC, key: 'e1', value: event(), headers: { ce_id: id, afluente_replaces: 'e1' } }])
    expect((await get('/5')).body).toMatchObject({ state: 'resolved', replacedBy: id })
    expect(analytics.audit).toMatchObject([{ action: 'dead-letter.edit', details: { event: 'e1', replaced_by: id } }])
    expect(await post('/5/edit', { value: event({ valor: 11 }) })).toMatchObject({ status: 409 })
  })

  test('interrupted after the sending and done again sends the same event: its effect is one', async () => {
    const [first, second] = [letterWorld(), letterWorld()]
    await first.post('/5/edit', { value: event() })
    await second.post('/5/edit', { value: event() })
    expect(first.sent).toEqual(second.sent)
  })

  test('as a dry run shows the difference, which the audit has, and sends nothing', async () => {
    const { done, post, sent, states } = letterWorld()
    expect((await post('/5/edit', { value: event(), dryRun: true })).body).toMatchObject({ dryRun: true, differences: [{ path: 'valor' }] })
    expect([sent, await states()]).toEqual([[], allOpen])
    expect(done).toEqual(['audit operator dead-letter.reveal 5'])
  })

  test.each([
    ['1', event(), 422, 'row-event', 'truth is in the source'],
    ['5', event({ tipo: '' }), 422, 'invalid-event', 'tipo'],
    ['5', event({ ocorrido_em: 'yesterday' }), 422, 'invalid-event', 'ocorrido_em'],
    ['5', '[1]', 422, 'invalid-event', 'the event'],
    ['5', 'no json', 422, 'invalid-event', 'no JSON'],
    ['5', event({ valor: 'ten' }), 422, 'invalid-event', 'valor'],
    ['99', event(), 404, 'unknown-letter', ''],
  ])('of letter %s with %s: %i %s, the letter as it was', async (id, value, status, slug, words) => {
    const { post, sent, states } = letterWorld()
    const answer = await post(`/${id}/edit`, { value })
    expect(answer).toMatchObject({ status, body: { type: `urn:afluente:problem:${slug}`, detail: expect.stringContaining(words) as unknown } })
    expect([sent, await states()]).toEqual([[], allOpen])
  })

  test('that Kafka does not take leaves the letter as it was', async () => {
    const { post, states } = letterWorld({ down: ['kafka'] })
    expect((await post('/5/edit', { value: event() })).status).toBe(503)
    expect(await states()).toEqual(allOpen)
  })
})
