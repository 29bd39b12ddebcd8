import { describe, expect, test, vi } from 'vitest'
import { systemClock } from '../../../shared/adapters/clock.ts'
import { prepareIndices } from '../../../shared/adapters/elasticsearch/prepare.ts'
import { elasticsearchShadows } from '../../../shared/adapters/elasticsearch/shadows.ts'
import { elasticsearchSink } from '../../../shared/adapters/elasticsearch/sink.ts'
import { actionFor, AfluenteError } from '../../../shared/engine/errors.ts'
import type { Event } from '../../../shared/events/envelope.ts'
import { aliasFilterOf } from '../../../shared/mappings/index-mapping.ts'
import type { SourceTable } from '../../../shared/tables/table.ts'
import { batchOf, eventOf } from '../sink/elasticsearch-events.ts'
import { living, pipelineOf, realElasticsearch, tableWithIndex } from '../sink/elasticsearch-server.ts'

const server = realElasticsearch()
const options = { signal: new AbortController().signal }
const FENCE = { consumer: 'elasticsearch', topic: 't', partition: 0, epoch: 1 }
const row = (table: SourceTable, key: string, version: number, name = `n${version}`) =>
  eventOf(table, key, version, `{"id":${JSON.stringify(key)},"name":${JSON.stringify(name)},"score":1}`)

/** The sink of a table, and the shadows as a definition of `version` makes them. */
async function open({
  version = 1,
  floor = 0,
  fields = {},
}: { readonly version?: number; readonly floor?: number; readonly fields?: Record<string, 'text'> } = {}) {
  const client = server.client()
  const { table, indices } = await tableWithIndex(client, { id: 'text', name: 'text', score: 'smallint' })
  const present = { floor, epochIsOver: false }
  const floors = async () => (present.floor === 0 ? [] : [{ table: `public.${table.name}`, version: present.floor, occurredAt: null }])
  const advance = async () => {
    if (present.epochIsOver) throw new AfluenteError('fenced', 'epoch', 'The epoch is over.')
  }
  const control = { advance, floors }
  const side = { client, control, clock: systemClock(), random: () => 0 }
  const sink = elasticsearchSink({ ...side, indices })
  const definition = { [table.name]: { version, fields } }
  const shadows = elasticsearchShadows({ ...side, indices: definition })
  const into = (which: typeof sink, ...events: readonly Event[]) => which.write(batchOf(table, events), options)
  const names = async () => shadows.make(table, options)
  const compare = async (since = '2100-01-01T00:00:00Z') => shadows.compare({ table, names: await names(), since, told: async () => {} }, options)
  const swap = async (from = '-1') => shadows.swap({ table, names: await names(), job: '1', fence: FENCE, from }, options)
  return {
    client,
    table,
    shadows,
    present,
    names,
    compare,
    swap,
    live: (...events: readonly Event[]) => into(sink, ...events),
    shadow: (...events: readonly Event[]) => into(shadows.sink, ...events),
    holder: async () => Object.keys(await client.indices.getAlias({ name: table.name })),
    prepare: async () => {
      const did: string[] = []
      await prepareIndices({ client, floors }, pipelineOf(table, definition), (step) => did.push(step.did), options)
      return did
    },
    versions: async () => new Map((await living(client, table.name)).map(({ id, afluente }) => [id, (afluente as { version: number }).version])),
  }
}

describe('a shadow of an index', () => {
  test('is the neighbour of the live one, or the next version where that was raised; with the mapping as it is defined now', async () => {
    const same = await open()
    expect(await same.names()).toEqual({ live: `${same.table.name}-v1`, shadow: `${same.table.name}-v1__shadow` })
    const next = await open({ version: 2, fields: { name: 'text' } })
    expect(await next.names()).toEqual({ live: `${next.table.name}-v1`, shadow: `${next.table.name}-v2` })
    const mapping = await next.client.indices.getMapping({ index: `${next.table.name}-v2` })
    expect(mapping[`${next.table.name}-v2`]?.mappings.properties?.['name']).toMatchObject({ type: 'text' })
    expect(mapping[`${next.table.name}-v2`]?.mappings.dynamic).toBe('false')
  })

  test('is written beside the live one, under the same guards', async () => {
    const { live, names, shadow, table, versions } = await open()
    await names()
    await live(row(table, 'a', 1))
    expect(await shadow(row(table, 'a', 9), row(table, 'b', 8))).toMatchObject({ accepted: 2 })
    expect(await shadow(row(table, 'a', 5))).toMatchObject({ late: 1 })
    expect(await versions()).toEqual(new Map([['a', 1]]))
  })

  test('is compared row by row: what only one has, what differs and in which columns, by kind alone', async () => {
    const { compare, live, names, shadow, table } = await open()
    await names()
    await live(row(table, 'same', 1), row(table, 'here', 2), row(table, 'dead', 3), row(table, 'body', 4, 'one'), row(table, 'old', 5))
    await live(eventOf(table, 'dead', 13, null))
    await shadow(row(table, 'same', 1), row(table, 'there', 6), row(table, 'body', 4, 'other'), row(table, 'old', 15))
    expect(await compare()).toEqual({
      live: 4,
      shadow: 4,
      onlyLive: 1,
      onlyShadow: 1,
      different: 2,
      newer: 0,
      samples: {
        onlyLive: [{ key: '["here"]', liveVersion: 2, shadowVersion: null, columns: {} }],
        onlyShadow: [{ key: '["there"]', liveVersion: null, shadowVersion: 6, columns: {} }],
        different: expect.arrayContaining([
          { key: '["body"]', liveVersion: 4, shadowVersion: 4, columns: { name: { live: 'text of 3', shadow: 'text of 5' } } },
          { key: '["old"]', liveVersion: 5, shadowVersion: 15, columns: { name: { live: 'text of 2', shadow: 'text of 3' } } },
        ]) as unknown,
      },
    })
  })

  test('tells what came since the replay began as newer, not as different; and what is below the floor not at all', async () => {
    const { compare, live, names, present, shadow, table } = await open()
    await names()
    await live(row(table, 'a', 10), row(table, 'b', 11), row(table, 'floored', 3))
    await shadow(row(table, 'a', 9))
    present.floor = 5
    expect(await compare(new Date().toISOString())).toMatchObject({ live: 2, shadow: 1, onlyLive: 0, different: 0, newer: 2 })
    expect(await compare()).toMatchObject({ onlyLive: 1, different: 1, newer: 0 })
  })

  test('follows the live one step by step, and copies only what that has newer', async () => {
    const { live, names, shadow, shadows, table } = await open()
    const pair = await names()
    await live(row(table, 'a', 10), row(table, 'b', 11), row(table, 'c', 12))
    await shadow(row(table, 'a', 10), row(table, 'b', 99))
    const follow = (from: string | null) => shadows.follow({ table, names: pair, from }, options)
    const first = await follow(null)
    expect(first).toEqual({ copied: 1, ended: true, next: '2' })
    expect(await follow(first.next)).toEqual({ copied: 0, ended: true, next: '2' })
    await live(eventOf(table, 'a', 20, '{"id":"a","name":"é\\u0000","score":12345678901234567890.123456789012345678}'), eventOf(table, 'c', 21, null))
    expect(await follow(first.next)).toEqual({ copied: 2, ended: true, next: '4' })
    // Beyond what a double holds, and as it was printed.
    const stored = await (await fetch(`${server.url()}/${pair.shadow}/_source/${encodeURIComponent('["a"]')}`)).text()
    expect(stored).toContain('"name":"é\\u0000","score":12345678901234567890.123456789012345678')
  })

  test('takes the alias over with readers and writers, and takes along what came meanwhile; done again it changes nothing', async () => {
    const { client, holder, live, names, shadow, shadows, table, versions, prepare } = await open({ version: 2 })
    const pair = await names()
    await live(row(table, 'a', 1), row(table, 'b', 2), row(table, 'd', 4))
    await shadow(row(table, 'a', 1))
    await live(row(table, 'a', 7), eventOf(table, 'd', 8, null))
    expect(await prepare()).toEqual(['found', 'alias-waits'])
    expect(await shadows.swap({ table, names: pair, job: '1', fence: FENCE, from: '-1' }, options)).toEqual({ status: 'swapped', copied: 3 })
    expect(await holder()).toEqual([pair.shadow])
    expect(await versions()).toEqual(new Map([['a', 7], ['b', 2]])) // prettier-ignore
    await live(row(table, 'c', 9))
    expect((await versions()).get('c')).toBe(9)
    expect(await client.exists({ index: pair.live, id: '["c"]' })).toBe(false)
    expect(await shadows.swap({ table, names: pair, job: '1', fence: FENCE, from: '-1' }, options)).toEqual({ status: 'swapped', copied: 0 })
    expect(await holder()).toEqual([pair.shadow])
    expect(await prepare()).toEqual(['found'])
    // And back, as the former one's.
    const back = { live: pair.shadow, shadow: pair.live }
    expect((await shadows.follow({ table, names: back, from: null }, options)).copied).toBe(1)
    expect(await shadows.swap({ table, names: back, job: '2', fence: FENCE, from: '-1' }, options)).toMatchObject({ status: 'swapped' })
    expect((await versions()).get('c')).toBe(9)
  })

  test('takes along what was written into the former one until a run that was given up had moved the alias', async () => {
    const { client, live, names, shadows, table, versions } = await open()
    const pair = await names()
    await live(row(table, 'a', 1))
    const { next } = await shadows.follow({ table, names: pair, from: null }, options)
    await live(row(table, 'b', 2))
    const alias = table.name
    await client.indices.updateAliases({ actions: [{ remove: { index: pair.live, alias } }, { add: { index: pair.shadow, alias, filter: aliasFilterOf(0) } }] })
    expect(await shadows.swap({ table, names: pair, job: '1', fence: FENCE, from: next }, options)).toEqual({ status: 'swapped', copied: 1 })
    expect(await versions()).toEqual(new Map([['a', 1], ['b', 2]])) // prettier-ignore
  })

  test('takes along what was written where such a run had opened the live one again', async () => {
    const { client, live, names, swap, table, versions } = await open()
    const pair = await names()
    await live(row(table, 'a', 1))
    const move = client.indices.updateAliases.bind(client.indices)
    vi.spyOn(client.indices, 'updateAliases').mockImplementationOnce(async (...of: unknown[]) => {
      await expect(live(row(table, 'b', 2))).rejects.toMatchObject({ kind: 'unavailable' })
      await client.indices.putSettings({ index: pair.live, settings: { 'index.blocks.write': null } })
      await live(row(table, 'b', 2))
      return await Reflect.apply(move, client.indices, of)
    })
    expect(await swap()).toEqual({ status: 'swapped', copied: 2 })
    expect(await versions()).toEqual(new Map([['a', 1], ['b', 2]])) // prettier-ignore
  })

  test('is not swapped under an old epoch, and what the successor blocks stays blocked', async () => {
    const { client, holder, live, names, present, swap, table } = await open()
    const pair = await names()
    await live(row(table, 'a', 1))
    present.epochIsOver = true
    await expect(swap()).rejects.toMatchObject({ kind: 'fenced' })
    expect(await holder()).toEqual([pair.live])
    const settings = await client.indices.getSettings({ index: pair.live, flat_settings: true })
    expect(settings[pair.live]?.settings).toMatchObject({ 'index.blocks.write': 'true' })
  })

  test('a deploy after a swap leaves the alias where it is, and makes no empty index', async () => {
    const { client, holder, live, names, prepare, shadows, swap, table } = await open()
    const pair = await names()
    await live(row(table, 'a', 1))
    await swap()
    await shadows.drop({ table, names: { live: pair.shadow, shadow: pair.live } }, options)
    expect(await prepare()).toEqual(['found'])
    expect(await holder()).toEqual([pair.shadow])
    expect(await client.indices.exists({ index: pair.live })).toBe(false)
    expect(await names()).toEqual({ live: pair.shadow, shadow: pair.live })
  })

  test('a deploy that finds no alias gives it to the only one there is, and never to one of two by chance', async () => {
    const { client, holder, live, names, prepare, shadows, swap, table } = await open()
    const pair = await names()
    await live(row(table, 'a', 1))
    await swap()
    await client.indices.deleteAlias({ index: pair.shadow, name: table.name })
    await expect(prepare()).rejects.toMatchObject({ kind: 'misconfigured', message: expect.stringContaining(`${pair.live} and ${pair.shadow}`) as unknown })
    await shadows.drop({ table, names: { live: pair.shadow, shadow: pair.live } }, options)
    expect(await prepare()).toEqual(['found', 'alias-moved'])
    expect(await holder()).toEqual([pair.shadow])
  })

  test('gives the alias the floor with it', async () => {
    const { client, live, names, present, swap, table, versions } = await open()
    await names()
    await live(row(table, 'a', 1), row(table, 'b', 20))
    present.floor = 10
    await swap()
    expect(await versions()).toEqual(new Map([['b', 20]]))
    const held = Object.values(await client.indices.getAlias({ name: table.name }))
    expect(held.map(({ aliases }) => aliases[table.name]?.filter)).toEqual([aliasFilterOf(10)])
  })

  test('gives the alias a floor that nobody else knows of any more', async () => {
    const { client, live, names, swap, table, versions } = await open()
    const pair = await names()
    await live(row(table, 'a', 1), row(table, 'b', 20))
    await client.indices.putAlias({ index: pair.live, name: table.name, filter: aliasFilterOf(10) })
    await swap()
    expect(await versions()).toEqual(new Map([['b', 20]]))
  })

  test('whose mapping refuses a document of the live one is not swapped; the live one is written on', async () => {
    const { client, holder, live, names, swap, table } = await open()
    const { shadow } = await names()
    await client.indices.delete({ index: shadow })
    await client.indices.create({ index: shadow, mappings: { dynamic: 'strict', properties: { id: { type: 'keyword' } } } })
    await live(row(table, 'a', 1))
    await expect(swap()).rejects.toMatchObject({ kind: 'refused', message: expect.stringContaining(`${shadow} did not take 1 document`) as unknown })
    expect(await holder()).toEqual([`${table.name}-v1`])
    expect(await live(row(table, 'b', 2))).toMatchObject({ accepted: 1 })
  })

  test('is tried again where writers could not be let in again', async () => {
    const { client, live, names, swap, table } = await open()
    await names()
    await live(row(table, 'a', 1))
    const away = async () => Promise.reject(new Error('away'))
    vi.spyOn(client.indices, 'updateAliases').mockImplementationOnce(away)
    vi.spyOn(client.indices, 'putSettings').mockImplementationOnce(away)
    await expect(swap()).rejects.toMatchObject({ kind: 'unavailable', code: 'still-blocked' })
  })

  test('while a swap holds the live one, writers wait and go on; after one that was killed there, following opens it again', async () => {
    const { client, live, names, shadows, table } = await open()
    const pair = await names()
    await client.indices.addBlock({ index: pair.live, block: 'write' })
    const error: unknown = await live(row(table, 'a', 1)).catch((caught: unknown) => caught)
    expect(actionFor(error)).toBe('retry')
    await shadows.follow({ table, names: pair, from: null }, options)
    expect(await live(row(table, 'a', 1))).toMatchObject({ accepted: 1 })
  })

  test('is swapped while somebody writes without a pause, and no write is lost', async () => {
    const { live, names, shadows, table, versions } = await open()
    let pair = await names()
    const written = new Map<string, number>()
    let over = false
    const writing = (async () => {
      for (let version = 1; !over; version += 1) {
        const key = `k${version % 20}`
        for (;;) {
          try {
            await live(row(table, key, version))
            break
          } catch (error) {
            if (actionFor(error) !== 'retry') throw error
          }
        }
        written.set(key, version)
      }
    })()
    for (let round = 0; round < 4; round += 1) {
      const { next } = await shadows.follow({ table, names: pair, from: null }, options)
      await shadows.swap({ table, names: pair, job: String(round), fence: FENCE, from: next }, options)
      pair = { live: pair.shadow, shadow: pair.live }
    }
    over = true
    await writing
    const stands = await versions()
    expect([...written].filter(([key, version]) => stands.get(key) !== version)).toEqual([])
  })

  test('is removed, but never while readers are led to it', async () => {
    const { client, names, shadows, table } = await open()
    const pair = await names()
    await expect(shadows.drop({ table, names: { live: pair.shadow, shadow: pair.live } }, options)).rejects.toMatchObject({ kind: 'refused', code: 'live' })
    await shadows.drop({ table, names: pair }, options)
    await shadows.drop({ table, names: pair }, options)
    expect(await client.indices.exists({ index: pair.shadow })).toBe(false)
  })
})
