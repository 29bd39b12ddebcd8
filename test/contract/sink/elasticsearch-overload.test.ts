/** What the sink does when Elasticsearch is overloaded, down or not Elasticsearch: a server that answers as told. */
import { createServer, type Server } from 'node:http'
import { type AddressInfo } from 'node:net'
import { afterEach, describe, expect, test } from 'vitest'
import { elasticsearchClient } from '../../../shared/adapters/elasticsearch/client.ts'
import { elasticsearchSink } from '../../../shared/adapters/elasticsearch/sink.ts'
import type { FaultKind } from '../../../shared/engine/errors.ts'
import { leads } from '../../../shared/tables/leads.ts'
import { batchOf, eventOf } from './elasticsearch-events.ts'

interface Reply {
  readonly status: number
  readonly body: object
  readonly product?: string
}
type Item = { readonly status: number; readonly error?: { readonly type: string; readonly reason: string } }

const created: Item = { status: 201 }
const busy: Item = { status: 429, error: { type: 'es_rejected_execution_exception', reason: 'full' } }
const bulkReply = (...items: readonly Item[]): Reply => ({
  status: 200,
  body: { errors: items.some((item) => item.status >= 300), items: items.map((item) => ({ index: item })) },
})

let server: Server | undefined
afterEach(() => {
  server?.closeAllConnections()
  server?.close()
})

async function sinkOn(answer: (ids: readonly string[], call: number) => Reply, timeoutMs = 5_000) {
  const calls: string[][] = []
  const headers: Record<string, unknown>[] = []
  server = createServer((request, response) => {
    let text = ''
    request.on('data', (chunk: Buffer) => (text += chunk.toString()))
    request.on('end', () => {
      const ids = text.split('\n').flatMap((line) => (line.startsWith('{"index"') ? [(JSON.parse(line) as { index: { _id: string } }).index._id] : []))
      calls.push(ids)
      headers.push(request.headers)
      const { status, body, product = 'Elasticsearch' } = answer(ids, calls.length)
      if (status === 0) return
      response.writeHead(status, { 'content-type': 'application/json', 'x-elastic-product': product }).end(JSON.stringify(body))
    })
  })
  await new Promise<void>((resolve) => server?.listen(0, '127.0.0.1', resolve))
  const { port } = server.address() as AddressInfo
  const pauses: number[] = []
  const clock = { now: () => Date.now(), sleep: async (ms: number) => void pauses.push(ms) }
  const advanced: string[] = []
  const control = { advance: async (_fence: unknown, nextOffset: string) => void advanced.push(nextOffset), floors: async () => [] }
  const client = elasticsearchClient({ url: `http://127.0.0.1:${port}/behind/a/path`, apiKey: 'a-key', requestTimeoutMs: timeoutMs })
  const sink = elasticsearchSink({ client, control, clock, random: () => 0.5, indices: { leads: { version: 1 } } })
  return { sink, calls, pauses, advanced, headers }
}

const batch = batchOf(
  leads,
  ['a', 'b', 'c'].map((id, at) => eventOf(leads, id, at + 1, `{"id":"${id}"}`)),
)
const options = { signal: new AbortController().signal }

describe('an overloaded cluster', () => {
  test('gets again only what it turned away, after a pause that grows', async () => {
    const { sink, calls, pauses, advanced } = await sinkOn((ids, call) => bulkReply(...ids.map((id) => (call < 3 && id === '["b"]' ? busy : created))))
    expect(await sink.write(batch, options)).toEqual({ accepted: 3, duplicate: 0, late: 0, rejected: [] })
    expect(calls).toEqual([['["a"]', '["b"]', '["c"]'], ['["b"]'], ['["b"]']])
    expect(pauses).toEqual([100, 200])
    expect(advanced).toEqual(['3'])
  })

  test('that stays so is unavailable, and no progress is recorded', async () => {
    const { sink, calls, advanced } = await sinkOn((ids) => bulkReply(...ids.map(() => busy)))
    await expect(sink.write(batch, options)).rejects.toMatchObject({ kind: 'unavailable' })
    expect(calls).toHaveLength(4)
    expect(advanced).toEqual([])
  })

  test('may turn away the whole request', async () => {
    const { sink } = await sinkOn((ids, call) => (call === 1 ? { status: 429, body: {} } : bulkReply(...ids.map(() => created))))
    expect(await sink.write(batch, options)).toMatchObject({ accepted: 3 })
  })
})

test('progress stays where the batch begins while a rejected document is not buried yet', async () => {
  const bad: Item = { status: 400, error: { type: 'document_parsing_exception', reason: 'no' } }
  const { sink, advanced } = await sinkOn((ids) => bulkReply(...ids.map((id) => (id === '["b"]' ? bad : created))))
  expect(await sink.write(batch, options)).toMatchObject({ accepted: 2, rejected: [{ index: 1 }] })
  expect(advanced).toEqual([batch.events[0]?.record.offset])
})

test('a request that is too long is halved down to the document that is', async () => {
  const { sink, calls } = await sinkOn((ids) => (ids.includes('["b"]') ? { status: 413, body: {} } : bulkReply(...ids.map(() => created))))
  expect(await sink.write(batch, options)).toMatchObject({ accepted: 2, rejected: [{ index: 1, code: 'content_too_long' }] })
  expect(calls).toEqual([['["a"]', '["b"]', '["c"]'], ['["a"]'], ['["b"]', '["c"]'], ['["b"]'], ['["c"]']])
})

test('the API key goes along, and the path before the address of the cluster is kept', async () => {
  const { sink, headers } = await sinkOn((ids) => bulkReply(...ids.map(() => created)))
  await sink.write(batch, options)
  expect(headers[0]).toMatchObject({ authorization: 'ApiKey a-key' })
})

describe('what goes wrong says what to do', () => {
  const itemFault = (status: number, type: string): Reply => bulkReply(created, { status, error: { type, reason: 'hunter2' } }, created)
  test.each<[string, Reply, FaultKind, string]>([
    ['a wrong key', { status: 401, body: {} }, 'misconfigured', 'ELASTICSEARCH_API_KEY'],
    ['a wrong address', { status: 404, body: {} }, 'misconfigured', 'ELASTICSEARCH_URL'],
    ['another product', { status: 200, body: { items: [] }, product: 'OpenSearch' }, 'misconfigured', 'Elasticsearch 8 or 9'],
    ['a cluster in trouble', { status: 503, body: {} }, 'unavailable', 'cluster is up'],
    ['an answer that lacks items', bulkReply(created), 'unavailable', 'no good answer'],
    ['a block on writes', itemFault(403, 'cluster_block_exception'), 'unavailable', 'flood-stage'],
    ['an index that is closed', itemFault(400, 'index_closed_exception'), 'misconfigured', 'Open it'],
    ['a key without the right', itemFault(403, 'security_exception'), 'misconfigured', 'privilege'],
    ['a request that is malformed', { status: 400, body: { error: { type: 'x_content_parse_exception' } } }, 'refused', 'x_content_parse_exception'],
    ['a proxy that refuses what it is sent', { status: 400, body: {} }, 'misconfigured', 'proxy'],
    ['a proxy that lets nobody write', { status: 405, body: {} }, 'misconfigured', 'proxy'],
    ['a proxy that knows another reason', { status: 422, body: { error: { type: 'policy_violation' } } }, 'misconfigured', 'proxy'],
  ])('%s', async (_name, reply, kind, words) => {
    const { sink, advanced } = await sinkOn(() => reply)
    await expect(sink.write(batch, options)).rejects.toMatchObject({ kind, message: expect.stringContaining(words) as unknown })
    await expect(sink.write(batch, options)).rejects.not.toMatchObject({ message: expect.stringContaining('hunter2') as unknown })
    expect(advanced).toEqual([])
  })

  test('a server that does not answer is unavailable after the timeout', async () => {
    const { sink } = await sinkOn(() => ({ status: 0, body: {} }), 50)
    await expect(sink.write(batch, options)).rejects.toMatchObject({ kind: 'unavailable', code: 'TimeoutError' })
  })

  test('a server that is gone is unavailable', async () => {
    const { sink } = await sinkOn(() => bulkReply())
    await new Promise((resolve) => server?.close(resolve))
    await expect(sink.write(batch, options)).rejects.toMatchObject({ kind: 'unavailable', code: 'ConnectionError' })
  })

  test('an abort ends a write that waits', async () => {
    const abort = new AbortController()
    const { sink } = await sinkOn(() => {
      abort.abort(new Error('budget spent'))
      return { status: 0, body: {} }
    })
    await expect(sink.write(batch, { signal: abort.signal })).rejects.toThrow('budget spent')
  })
})
