import { beforeEach, describe, expect, test } from 'vitest'
import { createCaptureHandler, HANDOVER_HEADER } from '../../../functions/capture/handler.ts'

const SECRET = 'a-secret-of-enough-length'
const URL = 'https://x.supabase.co/functions/v1/capture'

const seen: string[] = []
const work: Promise<unknown>[] = []
let kafkaDown = false
beforeEach(() => {
  seen.length = 0
  work.length = 0
  kafkaDown = false
})

const handle = createCaptureHandler({
  secret: SECRET,
  shards: 2,
  tables: ['public.leads', 'public.chat_sessions'],
  maxBodyBytes: 1_048_576,
  connect: async () => {
    seen.push('connect')
    if (kafkaDown) throw new Error('no broker')
  },
  ringer: {
    ring: async (shard) => void seen.push(`ring ${shard}`),
    takeOver: async (shard) => void seen.push(`take over ${shard}`),
  },
})
const call = (init: RequestInit & { readonly duplex?: 'half' } = {}, query = '') =>
  handle(new Request(`${URL}${query}`, { method: 'POST', headers: { authorization: `Bearer ${SECRET}` }, ...init }), {
    waitUntil: (promise) => void work.push(promise),
  })
const post = (body: string | ReadableStream, query = '') => call({ body, duplex: 'half' }, query)
const problem = async (response: Response) => {
  expect(response.headers.get('content-type')).toBe('application/problem+json')
  return (await response.json()) as { readonly type: string; readonly detail: string; readonly status: number; readonly rung?: boolean }
}

describe('a rightly signed call rings', () => {
  test.for([
    '',
    '{}',
    '[]',
    'null',
    '{"anything":1}',
    JSON.stringify({ type: 'INSERT', table: 'leads', schema: 'public', record: { id: 1 }, old_record: null, user_id: null }),
  ])('with the body %j', async (body) => {
    const response = await post(body)
    expect(response.status).toBe(202)
    expect(await response.json()).toEqual({ status: 'ringing' })
    expect(seen).toEqual(['ring 0', 'ring 1'])
    expect(work).toHaveLength(2)
  })

  test('signed by the header of its own as well', async () => {
    expect((await call({ headers: { 'x-afluente-secret': SECRET } })).status).toBe(202)
    expect((await call({ headers: { 'x-afluente-secret': SECRET, authorization: 'Bearer something-else-altogether' } })).status).toBe(202)
  })

  test('for one shard', async () => {
    expect((await post('{}', '?shard=1')).status).toBe(202)
    expect(seen).toEqual(['ring 1'])
  })
})

describe('a call that is not rightly signed does nothing', () => {
  const wrong: readonly (readonly [string, Record<string, string>])[] = [
    ['nothing', {}],
    ['another secret', { authorization: 'Bearer another-secret-of-enough-length' }],
    ['a part of the secret', { authorization: `Bearer ${SECRET.slice(0, -1)}` }],
    ['more than the secret', { authorization: `Bearer ${SECRET}x` }],
    ['an empty one', { authorization: 'Bearer ' }],
    ['another scheme', { authorization: `Basic ${SECRET}` }],
    ['the secret in capitals', { 'x-afluente-secret': SECRET.toUpperCase() }],
    ['a hand-over', { [HANDOVER_HEADER]: '1' }],
  ]
  test.for(wrong)('%s', async ([, headers]) => {
    const response = await call({ headers, body: '{' })
    expect(response.status).toBe(401)
    expect((await problem(response)).type).toBe('urn:afluente:problem:wrong-secret')
    expect(seen).toEqual([])
  })

  test.for(['GET', 'PUT', 'DELETE', 'OPTIONS'])('%s, signed or not', async (method) => {
    const response = await call({ method })
    expect(response.status).toBe(405)
    expect(response.headers.get('allow')).toBe('POST')
    expect(seen).toEqual([])
  })
})

describe('what is wrong with a body is said, and the bell is rung all the same', () => {
  const expectRung = async (response: Response, status: number, slug: string) => {
    expect(response.status).toBe(status)
    const body = await problem(response)
    expect(body).toMatchObject({ type: `urn:afluente:problem:${slug}`, status, rung: true })
    expect(body.detail).toMatch(/rung/)
    expect(seen).toEqual(['ring 0', 'ring 1'])
    return body
  }

  test('more than a megabyte, announced', async () => {
    await expectRung(await post('x'.repeat(1_048_577)), 413, 'body-too-large')
  })

  test('more than a megabyte, not announced: the rest is not read', async () => {
    let chunks = 0
    const endless = new ReadableStream({
      pull: (controller) => {
        chunks += 1
        controller.enqueue(new Uint8Array(100_000))
      },
    })
    await expectRung(await post(endless), 413, 'body-too-large')
    expect(chunks).toBeLessThan(15)
  })

  test('a megabyte to the byte is not too much', async () => {
    expect((await post(JSON.stringify('x'.repeat(1_048_574)))).status).toBe(202)
  })

  test.for(['{', 'ring!', '{"a":}', '\u0000'])('malformed JSON: %j', async (body) => {
    await expectRung(await post(body), 422, 'malformed-json')
  })

  test('JSON in another encoding than UTF-8', async () => {
    const body = new Uint8Array([0x22, 0xff, 0xfe, 0x22])
    await expectRung(await call({ body }), 422, 'malformed-json')
  })

  test('a webhook of a table that is not captured: which call captures it', async () => {
    const { detail } = await expectRung(
      await post(JSON.stringify({ type: 'UPDATE', table: 'orders', schema: 'shop', record: { card: '4111' }, old_record: null })),
      422,
      'unknown-table',
    )
    expect(detail).toContain("select afluente.capture_table('shop.orders')")
    expect(detail).toContain('shared/pipeline.ts')
    expect(detail).not.toContain('4111')
  })

  test('a table with a quote in its name makes no other SQL', async () => {
    const { detail } = await expectRung(await post(JSON.stringify({ type: 'INSERT', table: "x'); drop table y; --", schema: 'public' })), 422, 'unknown-table')
    expect(detail).toContain("capture_table('public.x''); drop table y; --')")
  })

  test.for(['?shard=2', '?shard=-1', '?shard=one', '?shard=0&shard=7'])('a shard that is not there: %s', async (query) => {
    await expectRung(await post('{}', query), 422, 'unknown-shard')
  })
})

describe('a hand-over', () => {
  const handOver = (query: string) => call({ headers: { authorization: `Bearer ${SECRET}`, [HANDOVER_HEADER]: '1' }, body: '{}' }, query)

  test('connects to Kafka first, then takes the shard over and says so', async () => {
    const response = await handOver('?shard=1')
    expect(response.status).toBe(202)
    expect(await response.json()).toEqual({ status: 'ready' })
    expect(seen).toEqual(['connect', 'take over 1'])
    expect(work).toHaveLength(1)
  })

  test('without Kafka it takes nothing over', async () => {
    kafkaDown = true
    const response = await handOver('?shard=1')
    expect(response.status).toBe(503)
    expect((await problem(response)).type).toBe('urn:afluente:problem:kafka-unavailable')
    expect(seen).toEqual(['connect'])
  })

  test.for(['?shard=2', '?shard=one'])('of a shard that is not there is refused: its holder has to go on: %s', async (query) => {
    const response = await handOver(query)
    expect(response.status).toBe(422)
    expect(await problem(response)).toMatchObject({ type: 'urn:afluente:problem:unknown-shard', rung: false })
    expect(seen).toEqual([])
  })
})
