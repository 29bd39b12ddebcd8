import { createExecutionContext, createScheduledController, evictDurableObject, runInDurableObject, waitOnExecutionContext } from 'cloudflare:test'
import { env } from 'cloudflare:workers'
import { beforeAll, describe, expect, test } from 'vitest'
import type { Env } from '../../functions/environment.ts'
import worker from 'afluente-worker'

const TOKEN = 'the-api-token-of-tests'

async function call(
  method: 'GET' | 'POST',
  path: string,
  { environment = env, token = TOKEN }: { readonly environment?: Env; readonly token?: string } = {},
): Promise<Response> {
  const context = createExecutionContext()
  const request = new Request<unknown, IncomingRequestCfProperties>(`https://afluente.test${path}`, { method, headers: { authorization: `Bearer ${token}` } })
  const response = await worker.fetch(request, environment, context)
  await waitOnExecutionContext(context)
  return response
}

const instance = (name: string) => env.DELIVER.get(env.DELIVER.idFromName(name))

/** What an ETL job's object remembers as answered: whatever the clock shows while these tests run, nothing is due, or something is. */
const answered = (ms: number) =>
  runInDurableObject(env.ETL.get(env.ETL.idFromName('conversations')), async (_, state) => {
    for (const kind of ['schedule', 'reconcile']) await state.storage.put(kind, Date.now() + ms)
  })
beforeAll(() => answered(3_600_000))

describe('HTTP', () => {
  test('the Worker lives, and asks for its token', async () => {
    expect(await (await call('GET', '/health')).json()).toEqual({ ok: true })
    expect((await call('GET', '/ready', { token: 'wrong' })).status).toBe(401)
  })

  test('/ready names every part that is away, in little more than the two seconds each is given', async () => {
    const began = Date.now()
    const response = await call('GET', '/ready')
    expect(Date.now() - began).toBeLessThan(6_000)
    expect(response.status).toBe(503)
    const { parts } = await response.json<{ parts: { name: string; ok: boolean; reason: string | null }[] }>()
    expect(parts.filter(({ ok }) => !ok).map(({ name }) => name)).toEqual(expect.arrayContaining(['analytics', 'kafka', 'supabase', 'elasticsearch']))
    expect(JSON.stringify(parts)).not.toContain('secret')
  })

  test('an environment that lacks variables is told in full, by name, with what the definition needs', async () => {
    const response = await call('GET', '/api/status', { environment: { DELIVER: env.DELIVER, ETL: env.ETL } })
    expect(response.status).toBe(503)
    expect(await response.json()).toMatchObject({
      type: 'urn:afluente:problem:misconfigured',
      faults: expect.arrayContaining([
        expect.stringContaining('KAFKA_BROKERS'),
        expect.stringContaining('ELASTICSEARCH_URL'),
        expect.stringContaining('CHATWOOT_DATABASE_URL'),
      ]),
    })
    expect((await call('GET', '/health', { environment: { DELIVER: env.DELIVER, ETL: env.ETL } })).status).toBe(200)
  })
})

describe('a consumer', () => {
  test('is woken over HTTP, says what it waits for, and stops when told; cron leaves it alone, also after its object was evicted', async () => {
    const woken = await call('POST', '/api/consumers/postgres/wake')
    expect(await woken.json()).toMatchObject({ consumer: 'postgres', instances: [{ consumer: 'postgres', instance: 0, state: 'running' }] })
    await expect.poll(async () => (await instance('postgres:0').status()).state, { timeout: 15_000 }).toBe('waiting')
    expect((await instance('postgres:0').status()).reason).toContain('no broker answers')

    expect(await (await call('POST', '/api/consumers/postgres/stop')).json()).toMatchObject({ instances: [{ state: 'stopped' }] })
    await evictDurableObject(instance('postgres:0'))
    await worker.scheduled(createScheduledController({ cron: '* * * * *' }), env)
    expect((await instance('postgres:0').status()).state).toBe('stopped')

    expect(await (await call('POST', '/api/consumers/postgres/resume')).json()).toMatchObject({ instances: [{ state: 'running' }] })
    await instance('postgres:0').stop()
  })

  test('is woken by cron, though the source and all servers are away', async () => {
    await instance('elasticsearch:0').resume()
    await instance('elasticsearch:0').leave()
    expect((await instance('elasticsearch:0').status()).state).toBe('idle')
    await worker.scheduled(createScheduledController({ cron: '* * * * *' }), env)
    expect(['running', 'waiting']).toContain((await instance('elasticsearch:0').status()).state)
    await instance('elasticsearch:0').stop()
  })
})

describe('the object of an ETL job', () => {
  const object = () => env.ETL.get(env.ETL.idFromName('conversations'))
  const alarmAt = () => runInDurableObject(object(), (_, state) => state.storage.getAlarm())

  test('remembers since when its schedule counts, also after it was evicted', async () => {
    const first = await object().status()
    expect(first).toMatchObject({ job: 'conversations', working: false })
    await evictDurableObject(object())
    expect(await object().status()).toEqual(first)
  })

  test('is asked by cron, and begins nothing before a moment has come', async () => {
    await worker.scheduled(createScheduledController({ cron: '* * * * *' }), env)
    expect(await alarmAt()).toBeNull()
  })

  test('whose moment has come has an alarm, which finds the servers away, and sets another for later', async () => {
    await answered(-3_600_000)
    await worker.scheduled(createScheduledController({ cron: '* * * * *' }), env)
    // The second one is set by a step that failed: it lies in the future.
    await expect.poll(async () => ((await alarmAt()) ?? 0) > Date.now(), { timeout: 15_000 }).toBe(true)
    expect(await object().status()).toMatchObject({ job: 'conversations' })
    await runInDurableObject(object(), (_, state) => state.storage.deleteAlarm())
  })
})
