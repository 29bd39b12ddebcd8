/** Where the changes of one key wait, for who asks "where is my row?". */
import { beforeEach, describe, expect, it } from 'vitest'
import { acknowledge, freshSource, held, type Session } from '../../support/source.ts'

const source = freshSource()
let api: Session
beforeEach(async () => {
  await source.run(`create table public.items (id int primary key, name text); select afluente.capture_table('public.items')`)
  api = await source.connect()
  await api.run('set role service_role')
})

async function waiting(key: string, limit = 10, table = 'public.items'): Promise<readonly (readonly [number, string, string, string | null])[]> {
  const answer = await api.value('select afluente.waiting($1, $2, $3)', [table, key, limit])
  return (JSON.parse(answer ?? 'null') as { changes: [number, string, string, string | null][] }).changes
}

describe('the changes of a key that wait', () => {
  it('come newest first, with version, kind, time and trace, and without images', async () => {
    const trace = '00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01'
    await source.run(`begin; set local afluente.traceparent = '${trace}'; insert into public.items values (1, 'secret'), (2, 'other'); commit`)
    await source.run(`update public.items set name = 'secret too' where id = 1`)
    const found = await waiting('[1]')
    const time = expect.stringMatching(/^\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\.\d{6}Z$/) as unknown
    expect(found).toEqual([
      [expect.any(Number), 'update', time, null],
      [expect.any(Number), 'insert', time, trace],
    ])
    expect(found[0]?.[0]).toBeGreaterThan(found[1]?.[0] ?? 0)
    expect(JSON.stringify(found)).not.toContain('secret')
    expect(await waiting('[1]', 1)).toEqual([found[0]])
    expect(await waiting('[1]', 10, 'public.others')).toEqual([])
  })

  it('are gone once they are acknowledged, and not before', async () => {
    await source.run(`insert into public.items values (1, 'a')`)
    const { epoch, rows } = await held(api, 'me')
    expect(await waiting('[1]')).toHaveLength(1)
    await acknowledge(
      api,
      epoch,
      rows.map(([version]) => version),
    )
    expect(await waiting('[1]')).toEqual([])
  })

  it('are found whatever the number of shards', async () => {
    await source.run('select afluente.set_shards(7)')
    await source.run(`insert into public.items select n, 'a' from generate_series(1, 50) n`)
    for (let id = 1; id <= 50; id += 1) expect(await waiting(`[${id}]`), String(id)).toHaveLength(1)
  })
})
