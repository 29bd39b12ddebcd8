import { afterAll, beforeAll, describe, expect, it } from 'vitest'
import { eventually } from '../../support/poll.ts'
import { anonKey, type Cloud, serviceKey, startCloud, token } from './cloud.ts'

let cloud: Cloud
beforeAll(async () => void (cloud = await startCloud()))
afterAll(() => cloud.stop())

const service = () => cloud.client(serviceKey)
const json = async (path: string, init: RequestInit = {}) => {
  const response = await cloud.request(path, init)
  return { status: response.status, body: (await response.json()) as Record<string, unknown> }
}

describe('functions through supabase-js', () => {
  it('takes named arguments from the body and leaves out those with a default', async () => {
    const { data, error } = await service()
      .schema('afluente')
      .rpc('give', { shard: 3, versions: [1, 9007199254740991] })
    expect(error).toBeNull()
    expect(data).toEqual({ shard: 3, count: 2, last: 9007199254740991, note: 'none' })
  })

  it('hands on the very text Postgres wrote: numbers beyond doubles, doubled keys and blanks', async () => {
    const response = await cloud.request('/rest/v1/rpc/exact', { method: 'POST', headers: { 'content-profile': 'afluente' } })
    expect(await response.text()).toBe('{"n": 12345678901234567890.10, "n": 2,  "z":1}')
  })

  it('carries answers of several megabytes unharmed', async () => {
    const response = await cloud.request('/rest/v1/rpc/repeated', {
      method: 'POST',
      headers: { 'content-profile': 'afluente' },
      body: JSON.stringify({ text: 'ação ✓ ', times: 400_000 }),
    })
    expect(await response.text()).toBe(JSON.stringify('ação ✓ '.repeat(400_000)))
  })

  it('answers void with nothing and a scalar with its JSON', async () => {
    expect(await service().rpc('nothing')).toMatchObject({ data: null, error: null, status: 204 })
    expect(await service().rpc('one_number')).toMatchObject({ data: 1.5, error: null })
  })

  it('cuts a set at max_rows without a word', async () => {
    const { data } = await service().rpc('things_from', { first: 1 })
    expect(data).toHaveLength(1000)
  })

  it('filters, orders and limits a set', async () => {
    const { data } = await service().rpc('things_from', { first: 10 }).select('id').lt('id', 20).order('id', { ascending: false }).limit(2)
    expect(data).toEqual([{ id: 19 }, { id: 18 }])
  })

  it('says which function or which arguments it can not find', async () => {
    expect(await service().rpc('no_such')).toMatchObject({ status: 404, error: { code: 'PGRST202' } })
    expect(await service().schema('afluente').rpc('give', { shard: 1, wrong: 2 })).toMatchObject({
      status: 404,
      error: { code: 'PGRST202', message: expect.stringContaining('wrong') },
    })
  })

  it('follows a function whose types change while it runs', async () => {
    const call = () => service().rpc('changing', { value: 7 })
    await cloud.sql(`create function public.changing(value int) returns json language sql as $$ select json_build_array(value) $$`)
    expect(await call()).toMatchObject({ data: [7] })
    await cloud.sql(
      `drop function public.changing(int); create function public.changing(value text) returns json language sql as $$ select json_build_array(value || '!') $$`,
    )
    expect(await call()).toMatchObject({ data: ['7!'] })
    await cloud.sql(`drop function public.changing(text)`)
    expect(await call()).toMatchObject({ status: 404, error: { code: 'PGRST202' } })
  })

  it('looks at functions anew when it is told to reload the schema', async () => {
    await cloud.sql(`create function public.reloaded() returns json language sql as $$ select '1'::json $$`)
    expect(await service().rpc('reloaded')).toMatchObject({ data: 1 })
    await cloud.sql(
      `drop function public.reloaded(); create function public.reloaded() returns setof int language sql as $$ select 1 union all select 2 $$; notify pgrst, 'reload schema'`,
    )
    await eventually('both rows', async () => Array.isArray((await service().rpc('reloaded')).data))
  })
})

describe('tables through supabase-js', () => {
  const ids = (rows: unknown) => (rows as { id: number }[]).map(({ id }) => id)

  it.each([
    ['eq', 'id', 'eq.5', [5]],
    ['neq', 'id', 'neq.1', [2, 3]],
    ['gt and lt', 'id', 'gt.1198', [1199, 1200]],
    ['gte', 'id', 'gte.1199', [1199, 1200]],
    ['lt', 'id', 'lt.3', [1, 2]],
    ['lte', 'id', 'lte.2', [1, 2]],
    ['like', 'name', 'like.thing*99', [99, 199]],
    ['ilike', 'name', 'ilike.THING 7', [7]],
    ['is null', 'amount', 'is.null', []],
    ['in', 'id', 'in.(7,9)', [7, 9]],
    ['in with quotes', 'name', 'in.("thing 1","a,\\"b")', [1]],
    ['not', 'id', 'not.in.(1,3)', [2, 4]],
  ])('filters by %s', async (_name, column, filter, expected) => {
    const search = new URLSearchParams({ select: 'id', [column]: filter, order: 'id', limit: '2' })
    const response = await cloud.request(`/rest/v1/things?${search}`)
    expect(ids(await response.json())).toEqual(expected)
  })

  it('selects with an alias and a cast, a range and the exact count', async () => {
    const { data, count, status } = await service().from('things').select('number:id,amount::text', { count: 'exact' }).lte('id', 5).order('id').range(1, 2)
    expect(data).toEqual([
      { number: 2, amount: '2.20' },
      { number: 3, amount: '3.30' },
    ])
    expect({ count, status }).toEqual({ count: 5, status: 206 })
  })

  it('reads the Range header and counts without rows', async () => {
    const ranged = await cloud.request('/rest/v1/things?select=id&order=id', { headers: { range: '10-11' } })
    expect(ids(await ranged.json())).toEqual([11, 12])
    expect(ranged.headers.get('content-range')).toBe('10-11/*')
    expect(await service().from('things').select('*', { count: 'exact', head: true })).toMatchObject({ count: 1200, data: null })
    expect(await json('/rest/v1/things?offset=5000', { headers: { prefer: 'count=exact' } })).toMatchObject({ status: 416, body: { code: 'PGRST103' } })
  })

  it('gives at most max_rows, whatever limit asks for', async () => {
    const { data } = await service().from('things').select('id').limit(5000)
    expect(data).toHaveLength(1000)
  })

  it('gives one row as an object, or says that it was not one', async () => {
    expect(await service().from('things').select('id').eq('id', 4).single()).toMatchObject({ data: { id: 4 } })
    expect(await service().from('things').select('id').in('id', [1, 2]).single()).toMatchObject({ status: 406, error: { code: 'PGRST116' } })
    expect(await service().from('things').select('id').eq('id', 0).maybeSingle()).toMatchObject({ data: null, error: null })
  })

  it('inserts, upserts, updates and deletes, with and without the rows back', async () => {
    const things = () => service().from('things')
    expect(await things().insert({ id: 2001, name: `it's "quoted"`, tags: ['x'], meta: { a: [1] } })).toMatchObject({ status: 201, data: null, error: null })
    expect(
      await things()
        .insert([
          { id: 2002, name: 'two' },
          { id: 2003, name: 'three' },
        ])
        .select('id,name'),
    ).toMatchObject({
      data: [
        { id: 2002, name: 'two' },
        { id: 2003, name: 'three' },
      ],
    })
    expect(await things().insert({ id: 2001, name: 'again' })).toMatchObject({ status: 409, error: { code: '23505' } })
    expect(
      await things()
        .upsert([
          { id: 2001, name: 'merged' },
          { id: 2004, name: 'new' },
        ])
        .select('id,name,tags'),
    ).toMatchObject({ data: [{ name: 'merged', tags: ['x'] }, { name: 'new' }] })
    expect(await things().upsert({ id: 2001, name: 'ignored' }, { ignoreDuplicates: true }).select()).toMatchObject({ data: [] })
    expect(await things().update({ name: 'updated' }).in('id', [2001, 2002])).toMatchObject({ status: 204, error: null })
    expect(await things().delete().gt('id', 2000).select('name')).toMatchObject({
      data: [{ name: 'three' }, { name: 'new' }, { name: 'updated' }, { name: 'updated' }],
    })
  })

  it('refuses to delete or update everything', async () => {
    expect(await service().from('things').delete()).toMatchObject({ status: 400, error: { code: '21000' } })
    expect(await service().from('things').update({ name: 'all' })).toMatchObject({ status: 400, error: { code: '21000' } })
  })

  it('says plainly what it does not serve', async () => {
    expect(await json('/rest/v1/things?or=(id.eq.1,id.eq.2)')).toMatchObject({ status: 400, body: { code: 'PGRST100' } })
    expect(await json('/rest/v1/things?select=id,owners(name)')).toMatchObject({ status: 400, body: { code: 'PGRST100' } })
    expect(await json('/rest/v1/things?id=fts.x')).toMatchObject({ status: 400, body: { code: 'PGRST100' } })
  })
})

describe('who may do what', () => {
  it('refuses calls without a key, with a wrong one, with an expired one and with one signed by somebody else', async () => {
    const status = async (headers: Record<string, string>) => (await fetch(`${cloud.standIn.url}/rest/v1/things?limit=1`, { headers })).status
    expect(await status({})).toBe(401)
    expect(await status({ apikey: `${serviceKey.slice(0, -4)}AAAA` })).toBe(401)
    expect(await status({ apikey: serviceKey, authorization: `Bearer ${token({ role: 'service_role', exp: 1 })}` })).toBe(401)
    expect(await status({ apikey: serviceKey, authorization: `Bearer ${token({ role: 'service_role' }, 'another secret')}` })).toBe(401)
    const unsigned = `${Buffer.from('{"alg":"none"}').toString('base64url')}.${Buffer.from('{"role":"service_role"}').toString('base64url')}.`
    expect(await status({ apikey: serviceKey, authorization: `Bearer ${unsigned}` })).toBe(401)
    expect(await status({ apikey: serviceKey, authorization: `Bearer ${token({ role: 'service_role' }, undefined, 'HS512')}` })).toBe(401)
    expect(await status({ apikey: 'nonsense', authorization: `Bearer ${serviceKey}` })).toBe(401)
    expect(await status({ apikey: serviceKey })).toBe(200)
  })

  it('acts as the role of the token, with its claims and eight seconds a statement', async () => {
    const { data } = await service().rpc('who')
    expect(data).toMatchObject({ role: 'service_role', timeout: '8s', claims: { role: 'service_role' } })
    expect((await cloud.client(anonKey).rpc('who')).data).toMatchObject({ role: 'anon' })
  })

  it('hands the trace of a request to the database, and to no other request', async () => {
    const trace = async (headers: Record<string, string>) => (await cloud.request('/rest/v1/rpc/trace', { method: 'POST', headers })).text()
    expect(await trace({ traceparent: '00-a"b' })).toBe('"00-a\\"b"')
    expect(await trace({})).toBe('null')
  })

  it('keeps what a role may not have: 401 for nobody in particular, 403 for somebody', async () => {
    expect(await cloud.client(anonKey).schema('afluente').rpc('exact')).toMatchObject({ status: 401, error: { code: '42501' } })
    const user = token({ role: 'authenticated', sub: 'ana', exp: 4_000_000_000 })
    expect(await json('/rest/v1/rpc/exact', { method: 'POST', headers: { authorization: `Bearer ${user}`, 'content-profile': 'afluente' } })).toMatchObject({
      status: 403,
    })
    expect(await json('/rest/v1/rpc/who', { method: 'POST', headers: { authorization: `Bearer ${token({ role: 'postgres' })}` } })).toMatchObject({
      status: 403,
      body: { code: '42501' },
    })
  })

  it('shows each user the rows of its own policy, on the same connections one after the other', async () => {
    for (const [sub, id] of [
      ['ana', 1],
      ['rui', 2],
      ['ana', 1],
    ] as const) {
      const user = token({ role: 'authenticated', sub, exp: 4_000_000_000 })
      expect((await json('/rest/v1/private', { headers: { authorization: `Bearer ${user}` } })).body).toEqual([{ id, owner: sub }])
    }
  })

  it('serves only the schemas of config.toml', async () => {
    expect(await service().schema('hidden').rpc('secret')).toMatchObject({ status: 406, error: { code: 'PGRST106' } })
    expect(await json('/rest/v1/job', { headers: { 'accept-profile': 'cron' } })).toMatchObject({ status: 406, body: { code: 'PGRST106' } })
  })

  it('takes names and values for what they are, never for SQL', async () => {
    const evil = `x"; drop table things; --`
    await service().from(evil).select()
    await service().from('things').select(evil)
    await service().from('things').select().order(evil)
    await service().from('things').select(`id::int); drop table things; --`)
    await service()
      .from('things')
      .insert({ [evil]: 1 })
    await service().from('things').upsert({ id: 1, name: 'x' }, { onConflict: evil })
    await service().rpc(evil, { [evil]: 1 })
    expect(await service().from('things').select('id" as "hacked')).toMatchObject({ status: 400, error: { code: '42703' } })
    expect(await service().from('things').select(`id::text||'x'`)).toMatchObject({ status: 400, error: { code: 'PGRST100' } })
    expect(await service().from('things').select('id').eq('name', `x' or '1'='1`)).toMatchObject({ data: [] })
    expect(await service().from('things').select('id').in('name', [`a","b'}`, '\\'])).toMatchObject({ data: [] })
    expect(await service().from('things').select('*', { count: 'exact', head: true })).toMatchObject({ count: 1200 })
  })
})

describe('a database that dies', () => {
  it('takes the calls under way with it and nothing else: the next call after its start is answered', async () => {
    const slow = service().rpc('sleep', { seconds: 30 })
    await Promise.all([slow.then(({ status }) => expect(status).toBeGreaterThanOrEqual(500)), kill()])
    expect(cloud.standIn.process.exitCode).toBeNull()
    await cloud.postgres.start()
    await eventually('calls are answered again', async () => (await service().rpc('one_number')).data === 1.5)
  })

  async function kill(): Promise<void> {
    await eventually(
      'the call is under way',
      async () => (await cloud.sql(`select 1 from pg_stat_activity where state = 'active' and query ilike '%sleep%' and pid <> pg_backend_pid()`)).length > 0,
    )
    await cloud.postgres.kill()
  }
})
