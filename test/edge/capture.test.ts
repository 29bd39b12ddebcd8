/** Capture inside the edge host: its wiring, its environment, its answers. The engine has its tests elsewhere. */
import assert from 'node:assert/strict'
import { fileURLToPath } from 'node:url'
import { eventually, type HostProcess, withHost } from './host-process.ts'
import { supabaseStub, write } from './supabase-stub.ts'

const SUPABASE_CONFIG = fileURLToPath(new URL('../../supabase/config.toml', import.meta.url))
const SECRET = 'the-webhooks-own-secret'
const KEY = 'the-service-roles-own-key'
const NO_BROKER = '127.0.0.1:1'

const environment = (more: Readonly<Record<string, string>> = {}) => ({
  SUPABASE_CONFIG,
  SUPABASE_URL: 'http://127.0.0.1:1',
  SUPABASE_SERVICE_ROLE_KEY: KEY,
  AFLUENTE_WEBHOOK_SECRET: SECRET,
  KAFKA_BROKERS: NO_BROKER,
  ...more,
})
const ring = (host: HostProcess, init: RequestInit = {}) =>
  host.call('/capture', { method: 'POST', headers: { authorization: `Bearer ${SECRET}` }, body: '{}', ...init })

Deno.test('a wrong environment: 503 without a value, and every fault by name in the log', () =>
  withHost(
    {
      SUPABASE_CONFIG,
      SUPABASE_URL: 'ftp://wrong',
      SUPABASE_SERVICE_ROLE_KEY: '',
      AFLUENTE_WEBHOOK_SECRET: 'short-and-secret',
      KAFKA_BROKERS: 'no-port',
      KAFKA_USERNAME: 'alone',
    },
    async (host) => {
      const answer = await ring(host)
      assert.equal(answer.status, 503)
      assert.equal(answer.headers.get('content-type'), 'application/problem+json')
      const body = await answer.text()
      assert.match(body, /urn:afluente:problem:misconfigured/)
      for (const name of ['SUPABASE_URL', 'SUPABASE_SERVICE_ROLE_KEY', 'KAFKA_BROKERS', 'KAFKA_PASSWORD', 'KAFKA_SASL_MECHANISM'])
        assert.match(host.output(), new RegExp(`${name}: `))
      for (const value of ['ftp://wrong', 'no-port', 'alone']) assert.ok(!`${body}${host.output()}`.includes(value), `${value} is shown`)
    },
  ))

Deno.test('the answers: 401, 405, 413, 422 and 202', () =>
  withHost(environment(), async (host) => {
    const status = async (init: RequestInit) => {
      const answer = await ring(host, init)
      await answer.body?.cancel()
      return answer.status
    }
    assert.equal(await status({ headers: {} }), 401)
    assert.equal(await status({ headers: { authorization: 'Bearer wrong' } }), 401)
    assert.ok(!host.output().includes('capture.'), 'an unsigned call has started something')
    assert.equal(await status({ method: 'GET', body: null }), 405)
    assert.equal(await status({ body: 'x'.repeat(1_100_000) }), 413)
    assert.equal(await status({ body: '{' }), 422)
    assert.equal(await status({ body: JSON.stringify({ type: 'INSERT', schema: 'public', table: 'orders', record: {} }) }), 422)
    assert.equal(await status({ body: JSON.stringify({ type: 'INSERT', schema: 'public', table: 'leads', record: {} }) }), 202)
    assert.equal(await status({ headers: { 'x-afluente-secret': SECRET } }), 202)
  }))

Deno.test('a ring claims as the service role; without Kafka the rows stay and the shard is let go', async () => {
  const supabase = supabaseStub()
  try {
    await withHost(environment({ SUPABASE_URL: supabase.url }), async (host) => {
      write(supabase.source, 'a', '{"n":1}')
      assert.equal(await (await ring(host)).text(), '{"status":"ringing"}')
      const ended = await eventually('the run has ended', () => /"event":"capture.ended".*"ending":"(\w+)"/.exec(host.output())?.[1])
      assert.equal(ended, 'failed')
      const [first] = supabase.calls
      assert.equal(first?.name, 'claim')
      assert.equal(first?.headers.get('apikey'), KEY)
      assert.equal(first?.headers.get('authorization'), `Bearer ${KEY}`)
      assert.equal(first?.headers.get('content-profile'), 'afluente')
      assert.equal(supabase.source.waiting.length, 1)
      assert.equal((await supabase.source.outbox.backlog({ signal: AbortSignal.timeout(1_000) })).leased, false)
      assert.ok(!host.output().includes(KEY) && !host.output().includes(SECRET), 'a secret is in the log')
    })
  } finally {
    await supabase.close()
  }
})

Deno.test('a hand-over without Kafka is refused', () =>
  withHost(environment(), async (host) => {
    const answer = await ring(host, { headers: { authorization: `Bearer ${SECRET}`, 'x-afluente-handover': '1' } })
    assert.equal(answer.status, 503)
    assert.match(await answer.text(), /kafka-unavailable/)
  }))
