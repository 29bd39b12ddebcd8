import { afterAll, beforeAll, describe, expect, it } from 'vitest'
import { eventually } from '../../support/poll.ts'
import { anonKey, type Cloud, serviceKey, startCloud, startStandIn, token } from './cloud.ts'

let cloud: Cloud
beforeAll(async () => void (cloud = await startCloud()))
afterAll(() => cloud.stop())

const service = () => cloud.client(serviceKey)
const json = async (path: string, init: RequestInit = {}) => {
  const response = await cloud.request(path, init)
  return { status: response.status, body: (await response.json()) as Record<string, unknown> }
}

describe('errors and limits', () => {
  it('gives the status PostgREST gives', async () => {
    const refuse = async (code: string) => (await service().rpc('refuse', { code })).status
    expect(await refuse('PT402')).toBe(402)
    expect(await refuse('P0001')).toBe(400)
    expect(await refuse('23503')).toBe(409)
    expect(await refuse('40001')).toBe(500)
    expect(await service().rpc('refuse', { code: 'P0001' })).toMatchObject({ error: { code: 'P0001', message: 'refused', hint: 'ask otherwise' } })
    expect(await json('/rest/v1/rpc/nothing', { method: 'POST', body: '{' })).toMatchObject({ status: 400, body: { code: 'PGRST102' } })
    expect(await json('/rest/v1/no_such_table')).toMatchObject({ status: 404, body: { code: 'PGRST205' } })
    expect(await json('/rest/v1/things?nope=eq.1')).toMatchObject({ status: 400, body: { code: '42703' } })
  })

  it('ends a statement at the limit of its role', async () => {
    await cloud.sql(`alter role authenticated set statement_timeout = '200ms'; grant execute on function public.sleep to authenticated`)
    // Connections made before keep what they were given: this wants new ones.
    const user = token({ role: 'authenticated', sub: 'zoe', exp: 4_000_000_000 })
    const standIn = await startStandIn(cloud.environment)
    try {
      const response = await fetch(`${standIn.url}/rest/v1/rpc/sleep`, {
        method: 'POST',
        headers: { apikey: anonKey, authorization: `Bearer ${user}` },
        body: '{"seconds":30}',
      })
      expect({ status: response.status, body: await response.json() }).toMatchObject({ status: 500, body: { code: '57014' } })
    } finally {
      await standIn.stop()
      await cloud.sql(`alter role authenticated reset statement_timeout`)
    }
  })

  it('stops within three seconds though a statement is still running', async () => {
    const standIn = await startStandIn(cloud.environment)
    const call = fetch(`${standIn.url}/rest/v1/rpc/sleep`, { method: 'POST', headers: { apikey: serviceKey }, body: '{"seconds":6}' }).catch(() => 'cut')
    await eventually(
      'the statement runs',
      async () => (await cloud.sql(`select 1 from pg_stat_activity where state = 'active' and query like '%"sleep"%' and pid <> pg_backend_pid()`)).length > 0,
    )
    expect(await standIn.stop()).toBeLessThan(3000)
    await call
  })

  it('lists every fault of its environment at once, by name', async () => {
    const broken = startStandIn({
      SOURCE_DATABASE_URL: 'mysql://x',
      SUPABASE_JWT_SECRET: 'a secret for tests that is long enough',
      SUPABASE_ANON_KEY: serviceKey,
    })
    await expect(broken).rejects.toThrow(
      /ended with 1[\s\S]*SOURCE_DATABASE_URL[\s\S]*EDGE_URL: missing[\s\S]*SUPABASE_ANON_KEY[\s\S]*SUPABASE_SERVICE_ROLE_KEY: missing/,
    )
  })

  it('answers 503 while the database is away and works again when it is back', async () => {
    await cloud.postgres.stop()
    expect(await service().rpc('one_number')).toMatchObject({ status: 503 })
    await cloud.postgres.start()
    await eventually('an answer', async () => (await service().rpc('one_number')).data === 1.5)
  })
})
