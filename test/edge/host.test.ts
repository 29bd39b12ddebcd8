/** The edge host keeps the cloud's rules for isolates. */
import assert from 'node:assert/strict'
import { eventually, isAlive, withHost } from './host-process.ts'

Deno.test('a request reaches the function with its body and headers, and the answer comes back', () =>
  withHost({}, async (host) => {
    const answer = await host.call('/echo/deeper?x=1', { method: 'POST', body: 'ação', headers: { 'content-type': 'text/x-own' } })
    assert.equal(await answer.text(), 'ação')
    assert.equal(answer.headers.get('x-method'), 'POST')
    assert.equal(answer.headers.get('content-type'), 'text/x-own')
    assert.equal((await host.json('/_health')).ok, true)
    const unknown = await host.call('/unknown')
    assert.equal(unknown.status, 404)
    await unknown.body?.cancel()
  }))

Deno.test('one isolate serves many requests until it has used half of its CPU; then a fresh one does', () =>
  withHost({ EDGE_CPU_MS: '800' }, async (host) => {
    const first = (await host.json('/echo/who')).me
    assert.equal((await host.json('/echo/who')).me, first)
    await (await host.call('/echo/spin?ms=500')).body?.cancel()
    assert.notEqual((await host.json('/echo/who')).me, first)
    const stats = await eventually('the first one is dropped', async () => {
      const seen = await host.json('/_stats')
      return seen.dropped === 1 ? seen : null
    })
    assert.equal(stats.killedForCpu, 0)
    assert.equal(stats.isolates, 2)
  }))

Deno.test('a function that calls itself near the end of its budget gets a fresh isolate, and the old one finishes', () =>
  withHost({ EDGE_CPU_MS: '1000' }, async (host) => {
    const { me, next } = await host.json(`/echo/hand-over?ms=600&self=${host.url}`)
    assert.notEqual(next.me, me)
    const stats = await host.json('/_stats')
    assert.equal(stats.handOvers, 1)
    assert.equal(stats.killedForCpu, 0)
  }))

Deno.test('a busy loop is ended at the CPU limit, and the caller hears of it', () =>
  withHost({ EDGE_CPU_MS: '500' }, async (host) => {
    const answer = await host.call('/echo/spin?ms=60000')
    assert.equal(answer.status, 546)
    assert.equal((await answer.json()).code, 'WORKER_LIMIT')
    const stats = await host.json('/_stats')
    assert.equal(stats.killedForCpu, 1)
    assert.ok(stats.cpuMs[0] >= 500 && stats.cpuMs[0] < 1000, `used ${stats.cpuMs[0]} ms`)
    assert.equal((await host.call('/echo/spin?ms=1')).status, 200)
  }))

Deno.test('waiting costs no CPU', () =>
  withHost({ EDGE_CPU_MS: '500' }, async (host) => {
    assert.equal((await host.call('/echo/wait?ms=1500')).status, 200)
    assert.equal((await host.json('/_stats')).killedForCpu, 0)
  }))

Deno.test('work handed to waitUntil goes on after the answer, is warned near the limit and ended at it', () =>
  withHost({ EDGE_CPU_MS: '600' }, async (host) => {
    const answer = await host.call('/echo/spin-in-steps?ms=60000')
    assert.equal(answer.status, 202)
    await answer.body?.cancel()
    await eventually('the end', async () => (await host.json('/_stats')).killedForCpu === 1)
    assert.match(host.output(), /warned: cpu/)
  }))

Deno.test('an isolate is warned and ended when its wall clock is up', () =>
  withHost({ EDGE_WALL_MS: '1000' }, async (host) => {
    assert.equal((await host.call('/echo/wait?ms=60000')).status, 546)
    assert.equal((await host.json('/_stats')).killedForWall, 1)
    assert.match(host.output(), /warned: wall_clock/)
  }))

Deno.test('an isolate that fills its memory is ended', () =>
  withHost({ EDGE_MEMORY_MB: '96' }, async (host) => {
    const answer = await host.call('/echo/fill')
    assert.ok(answer.status >= 500)
    await answer.body?.cancel()
    assert.equal((await host.json('/_stats')).killedForMemory, 1)
  }))

Deno.test('an idle isolate is dropped; one with a promise in waitUntil is not idle', () =>
  withHost({ EDGE_IDLE_MS: '300' }, async (host) => {
    const { me } = await host.json('/echo/later?ms=1200')
    const startedAt = Date.now()
    await eventually('it is dropped', async () => (await host.json('/_stats')).running === 0)
    assert.ok(Date.now() - startedAt >= 1200)
    assert.notEqual((await host.json('/echo/who')).me, me)
  }))

Deno.test('a handler that throws answers 500 and keeps its isolate; one that crashes costs the isolate, never the host', () =>
  withHost({}, async (host) => {
    const { me } = await host.json('/echo/who')
    const thrown = await host.call('/echo/throw')
    assert.equal(thrown.status, 500)
    assert.equal((await thrown.json()).code, 'WORKER_ERROR')
    assert.equal((await host.json('/echo/who')).me, me)
    const ended = await host.call('/echo/exit')
    assert.equal(ended.status, 500)
    await ended.body?.cancel()
    assert.notEqual((await host.json('/echo/who')).me, me)
    await (await host.call('/echo/reject')).body?.cancel()
    await eventually('both crashes are counted', async () => (await host.json('/_stats')).crashed === 2)
    assert.match(host.output(), /nobody handles this/)
  }))

Deno.test('an isolate can be killed in the midst of its work, like a crash', () =>
  withHost({}, async (host) => {
    const { me } = await host.json('/echo/who')
    const open = host.call('/echo/wait?ms=60000')
    const streaming = await host.call('/echo/stream')
    await eventually('the request is open', async () => (await host.json('/_stats')).requests === 3)
    assert.equal((await host.json('/_kill', { method: 'POST' })).killed, true)
    assert.equal((await open).status, 500)
    await assert.rejects(streaming.text())
    assert.notEqual((await host.json('/echo/who')).me, me)
  }))

Deno.test('no isolate outlives its host, however that ends', async () => {
  for (const end of ['SIGKILL', 'SIGTERM'] as const) {
    let pid = 0
    await withHost({}, async (host) => {
      pid = (await host.json('/echo/who')).pid
      assert.ok(isAlive(pid))
      if (end === 'SIGKILL') host.kill()
    })
    await eventually('the isolate is gone', () => !isAlive(pid))
  }
})

Deno.test('supabase-js and kafkajs load inside an isolate', () =>
  withHost({ SUPABASE_URL: 'http://127.0.0.1:9', SUPABASE_SERVICE_ROLE_KEY: 'none' }, async (host) => {
    const rpc = await host.json('/echo/rpc?name=x', { method: 'POST', body: '{}' })
    assert.match(rpc.error.message, /fetch failed/i)
    assert.match((await host.json('/echo/kafka?broker=127.0.0.1:9')).error, /KafkaJS/)
  }))

Deno.test('every fault of the environment is listed at once', async () => {
  const main = new URL('../../infra/local/edge/main.ts', import.meta.url).href
  const { code, stderr } = await new Deno.Command(Deno.execPath(), {
    args: ['run', '--allow-all', main],
    env: { PORT: 'x', EDGE_CPU_MS: '-1', SUPABASE_CONFIG: '/nowhere/config.toml' },
  }).output()
  assert.equal(code, 1)
  assert.match(new TextDecoder().decode(stderr), /PORT: must be[\s\S]*EDGE_CPU_MS: must be[\s\S]*config\.toml/)
})
