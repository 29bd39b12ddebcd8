/** What a large TRUNCATE leaves of an index: its documents, hidden by the alias's filter from whoever searches. */
import type { Client } from '@elastic/elasticsearch'
import { describe, expect, test } from 'vitest'
import { systemClock } from '../../../shared/adapters/clock.ts'
import { prepareIndices } from '../../../shared/adapters/elasticsearch/prepare.ts'
import { elasticsearchSink } from '../../../shared/adapters/elasticsearch/sink.ts'
import { memoryAnalytics } from '../../../shared/adapters/memory/analytics.ts'
import { memoryControl } from '../../../shared/adapters/memory/control.ts'
import { aliasFilterOf, floorOfFilter } from '../../../shared/mappings/index-mapping.ts'
import type { Control, Floor } from '../../../shared/ports/control.ts'
import { qualifiedName } from '../../../shared/tables/table.ts'
import { batchOf, eventOf, truncateEventOf } from './elasticsearch-events.ts'
import { living, pipelineOf, realElasticsearch, tableWithIndex } from './elasticsearch-server.ts'

const server = realElasticsearch()
const options = { signal: new AbortController().signal }

/** A table with its index, and what an owner of its partition does there. */
async function open() {
  const client = server.client()
  const { table, indices, index } = await tableWithIndex(client, { id: 'text', name: 'text' })
  const control = memoryControl({ analytics: memoryAnalytics(), clock: systemClock() })
  const { fence } = batchOf(table, [])
  await control.take({ ...fence, owner: 'me' }, options)
  const sinkOn = (on: Client, by: Pick<Control, 'advance' | 'floors'> = control) =>
    elasticsearchSink({ client: on, control: by, clock: systemClock(), random: () => 0, indices })
  const raise = (version: number) => control.raiseFloor({ table: qualifiedName(table), version, occurredAt: '2026-11-22T18:00:00.000001Z' }, fence, options)
  return {
    client,
    table,
    index,
    control,
    sinkOn,
    raise,
    write: (...versions: readonly number[]) =>
      sinkOn(client).write(batchOf(table, versions.map((version) => eventOf(table, `k${version}`, version, `{"id":"k${version}","name":"n${version}"}`))), options), // prettier-ignore
    sweep: async (floor: Floor, sink = sinkOn(client)) => sink.sweepBelow({ table, floor, fence, from: null }, options),
    prepare: async (floors: Control['floors'], version = 1, by = client) => {
      const steps: string[] = []
      await prepareIndices({ client: by, floors }, pipelineOf(table, { [table.name]: { version } }), ({ did }) => steps.push(did), options)
      return steps
    },
    seen: async () => (await living(client, table.name)).map((row) => String(row['name'])).toSorted(),
    filters: async () => Object.fromEntries(Object.entries(await client.indices.getAlias({ name: table.name })).map(([on, { aliases }]) => [on, aliases[table.name]?.filter])), // prettier-ignore
  }
}

/** A client whose next change of aliases is overtaken by something. */
function overtaken(client: Client, by: () => Promise<unknown>): Client {
  let first = true
  const updateAliases = async (...call: Parameters<Client['indices']['updateAliases']>) => {
    if (first) {
      first = false
      await by()
    }
    return client.indices.updateAliases(...call)
  }
  const indices = new Proxy(client.indices, { get: (target, name) => (name === 'updateAliases' ? updateAliases : (Reflect.get(target, name) as unknown)) })
  return new Proxy(client, { get: (target, name) => (name === 'indices' ? indices : (Reflect.get(target, name) as unknown)) })
}

describe('after a truncate', () => {
  test('what is above the floor is seen; what stood below it, and what comes late from there, is indexed and hidden', async () => {
    const { client, index, write, raise, sweep, seen, filters } = await open()
    const floor = 1_795_370_400_000_005
    await write(floor - 2, floor + 2)
    expect(await sweep(await raise(floor))).toEqual({ rows: 0, next: null })
    expect(await seen()).toEqual([`n${floor + 2}`])
    expect(await write(floor - 1, floor + 1)).toMatchObject({ accepted: 2 })
    expect(await seen()).toEqual([`n${floor + 1}`, `n${floor + 2}`])
    expect(await living(client, index)).toHaveLength(4)
    expect(await filters()).toEqual({ [index]: aliasFilterOf(floor) })
  })

  test('this rests on the floor in the filter: without it the dead are seen', async () => {
    const { client, table, index, write, raise, sweep, seen } = await open()
    await write(1, 3)
    await sweep(await raise(2))
    await client.indices.putAlias({ index, name: table.name, filter: aliasFilterOf(0) })
    expect(await seen()).toEqual(['n1', 'n3'])
  })

  test('the event itself is counted among its batch and makes no document; a rejected neighbour keeps its place', async () => {
    const { client, table, index, sinkOn } = await open()
    const events = [eventOf(table, 'a', 1, '{"id":"a"}'), truncateEventOf(table, 2), eventOf(table, 'b', 3, '{"id":"b","name":{"x":1}}')]
    expect(await sinkOn(client).write(batchOf(table, events), options)).toMatchObject({ accepted: 2, duplicate: 0, late: 0, rejected: [{ index: 2 }] })
    expect(await sinkOn(client).write(batchOf(table, [truncateEventOf(table, 4)]), options)).toMatchObject({ accepted: 1 })
    expect(await living(client, index)).toHaveLength(1)
  })
})

describe('two owners at once', () => {
  test('leave the higher floor, whoever comes last', async () => {
    const { client, sinkOn, raise, sweep, filters, index } = await open()
    const lower = await raise(5)
    await sweep(lower, sinkOn(overtaken(client, async () => sweep(await raise(8)))))
    expect(await filters()).toEqual({ [index]: aliasFilterOf(8) })
  })

  test('this rests on looking again: an owner who does not leaves the lower one', async () => {
    const { client, control, sinkOn, raise, sweep, filters, index } = await open()
    const lower = await raise(5)
    const sure = { advance: control.advance, floors: async () => [lower] }
    await sweep(
      lower,
      sinkOn(
        overtaken(client, async () => sweep(await raise(8))),
        sure,
      ),
    )
    expect(await filters()).toEqual({ [index]: aliasFilterOf(5) })
  })

  test('of which one has moved the alias to another index leave it there alone, with the floor', async () => {
    const { client, table, index, sinkOn, raise, sweep, filters } = await open()
    const second = `${table.name}-v2`
    await client.indices.create({ index: second })
    const moves = () =>
      client.indices.updateAliases({ actions: [{ remove: { index, alias: table.name } }, { add: { index: second, alias: table.name, filter: aliasFilterOf(0) } }] }) // prettier-ignore
    await sweep(await raise(5), sinkOn(overtaken(client, moves)))
    expect(await filters()).toEqual({ [second]: aliasFilterOf(5) })
  })
})

describe('preparing the indices', () => {
  test('gives the alias the floors that are known, and again changes nothing', async () => {
    const { control, raise, prepare, filters, index, write, seen } = await open()
    await write(1, 9)
    await raise(5)
    expect(await prepare(control.floors)).toEqual(['found', 'alias-moved'])
    expect(await filters()).toEqual({ [index]: aliasFilterOf(5) })
    expect(await prepare(control.floors)).toEqual(['found'])
    expect(await seen()).toEqual(['n9'])
  })

  test('keeps a floor that nobody else knows of any more', async () => {
    const { raise, sweep, prepare, filters, index } = await open()
    await sweep(await raise(5))
    expect(await prepare(async () => [])).toEqual(['found'])
    expect(await filters()).toEqual({ [index]: aliasFilterOf(5) })
  })

  test('carries the floor over to a new index, and waits for none of the dead of before it', async () => {
    const { control, raise, sweep, prepare, filters, table, write } = await open()
    await write(1, 2, 3)
    await sweep(await raise(5))
    expect(await prepare(control.floors, 2)).toEqual(['made', 'alias-moved'])
    expect(await filters()).toEqual({ [`${table.name}-v2`]: aliasFilterOf(5) })
  })

  test('beside an owner who raises the floor meanwhile leaves the higher one', async () => {
    const { client, control, raise, sweep, prepare, filters } = await open()
    await raise(5)
    await prepare(
      control.floors,
      1,
      overtaken(client, async () => sweep(await raise(8))),
    )
    expect(Object.values(await filters()).map(floorOfFilter)).toEqual([8])
  })
})
