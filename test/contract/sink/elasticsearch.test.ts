import type { Client } from '@elastic/elasticsearch'
import { describe, expect, test } from 'vitest'
import { systemClock } from '../../../shared/adapters/clock.ts'
import { prepareIndices } from '../../../shared/adapters/elasticsearch/prepare.ts'
import { elasticsearchSink } from '../../../shared/adapters/elasticsearch/sink.ts'
import { memoryAnalytics } from '../../../shared/adapters/memory/analytics.ts'
import { memoryControl } from '../../../shared/adapters/memory/control.ts'
import { isAfluenteError } from '../../../shared/engine/errors.ts'
import { indexNameOf, templateOf } from '../../../shared/mappings/index-mapping.ts'
import type { WriteReport } from '../../../shared/ports/sink.ts'
import { leads } from '../../../shared/tables/leads.ts'
import { eventually } from '../../support/poll.ts'
import { batchOf, eventOf } from './elasticsearch-events.ts'
import { living, pipelineOf, realElasticsearch, tableWithIndex } from './elasticsearch-server.ts'
import { sinkContract } from './suite.ts'

const server = realElasticsearch()
const options = { signal: new AbortController().signal }

const sinkOn = (client: Client, indices: Record<string, { readonly version: number }>) => {
  const advanced: { nextOffset: string; consumed: number; report: WriteReport }[] = []
  const control = {
    advance: async (_fence: unknown, nextOffset: string, consumed: number, report: WriteReport) => void advanced.push({ nextOffset, consumed, report }),
    floors: async () => [],
  }
  return { sink: elasticsearchSink({ client, control, clock: systemClock(), random: () => 0, indices }), advanced }
}

const people = async () => {
  const made = await tableWithIndex(server.client(), { id: 'text', name: 'text', score: 'smallint' })
  return { ...made, ...sinkOn(server.client(), made.indices) }
}

sinkContract('Elasticsearch', {
  runs: 15,
  fences: false,
  floors: false,
  make: async () => {
    const client = server.client()
    const version = 1_000 + Math.floor(Math.random() * 8_999)
    const index = indexNameOf(leads, version)
    await client.indices.create({ index, ...templateOf(leads, { version }).template })
    const control = memoryControl({ analytics: memoryAnalytics(), clock: systemClock() })
    return {
      subject: {
        sink: elasticsearchSink({ client, control, clock: systemClock(), random: () => 0, indices: { leads: { version } }, target: () => index }),
        control,
        refusal: 'item',
        poison: { email: { a: 1 } },
        row: async (key) => {
          const found = await client.get<{ readonly name?: string; readonly afluente: { readonly deleted: boolean } }>({ index, id: key }, { ignore: [404] })
          if (found._source === undefined || found._version === undefined) return undefined
          return { version: found._version, deleted: found._source.afluente.deleted, name: found._source.name ?? null }
        },
      },
      close: async () => void (await client.indices.delete({ index })),
    }
  },
})

test('an epoch that has moved on is noticed, and newer versions stand', async () => {
  const { table, indices } = await people()
  const control = memoryControl({ analytics: memoryAnalytics(), clock: systemClock() })
  const sink = elasticsearchSink({ client: server.client(), control, clock: systemClock(), random: () => 0, indices })
  const batch = (version: number, epoch: number) => batchOf(table, [eventOf(table, 'a', version, `{"id":"a","score":${version}}`)], epoch)
  const place = { consumer: 'elasticsearch', topic: batch(1, 1).fence.topic, partition: 0, owner: 'a' }
  const old = await control.take(place, options)
  const present = await control.take({ ...place, owner: 'b' }, options)
  await sink.write(batch(2, present), options)
  await expect(sink.write(batch(1, old), options)).rejects.toMatchObject({ kind: 'fenced' })
  expect(await living(server.client(), table.name)).toMatchObject([{ score: 2 }])
})

describe('versions', () => {
  test('a late event changes nothing and is counted; the same event again is a duplicate', async () => {
    const { sink, table, advanced } = await people()
    await sink.write(batchOf(table, [eventOf(table, 'a', 20, '{"id":"a","name":"new"}')]), options)
    const report = await sink.write(
      batchOf(table, [eventOf(table, 'a', 10, '{"id":"a","name":"old"}'), eventOf(table, 'a', 20, '{"id":"a","name":"new"}')]),
      options,
    )
    expect(report).toEqual({ accepted: 0, duplicate: 1, late: 1, rejected: [] })
    expect(await living(server.client(), table.name)).toMatchObject([{ name: 'new' }])
    expect(advanced.at(-1)).toEqual({ nextOffset: '2', consumed: 2, report })
  })

  test('of several versions of a key in a batch the highest stays, and all are counted', async () => {
    const { sink, table } = await people()
    const events = [1, 3, 2, 3].map((version) => eventOf(table, 'a', version, `{"id":"a","score":${version}}`))
    expect(await sink.write(batchOf(table, events), options)).toEqual({ accepted: 2, duplicate: 1, late: 1, rejected: [] })
    expect(await living(server.client(), table.name)).toMatchObject([{ score: 3, afluente: { version: 3 } }])
  })

  test('a late insert after a delete stays hidden, even when Elasticsearch would have forgotten the delete', async () => {
    const { sink, table, index } = await people()
    await server.client().indices.putSettings({ index, settings: { 'index.gc_deletes': '0s' } })
    await sink.write(batchOf(table, [eventOf(table, 'a', 1, '{"id":"a","name":"x"}'), eventOf(table, 'a', 5, null)]), options)
    await server.client().indices.refresh({ index })
    await server.client().indices.forcemerge({ index, max_num_segments: 1 })
    expect(await sink.write(batchOf(table, [eventOf(table, 'a', 4, '{"id":"a","name":"back"}')]), options)).toMatchObject({ late: 1 })
    expect(await living(server.client(), table.name)).toEqual([])
    expect(await living(server.client(), index)).toMatchObject([{ afluente: { deleted: true, version: 5, key: '["a"]' } }])
    expect(Object.keys((await living(server.client(), index))[0] ?? {})).toEqual(['afluente'])
  })

  test('this rests on external versions: without them the old event wins', async () => {
    const { table, indices } = await people()
    const careless = withoutVersions(server.client())
    const { sink } = sinkOn(careless, indices)
    await sink.write(batchOf(table, [eventOf(table, 'a', 20, '{"id":"a","name":"new"}')]), options)
    await sink.write(batchOf(table, [eventOf(table, 'a', 10, '{"id":"a","name":"old"}')]), options)
    expect(await living(server.client(), table.name)).toMatchObject([{ name: 'old' }])
  })

  test('a key longer than an id may be is found under its hash, with the key beside it', async () => {
    const { sink, table } = await people()
    const key = 'k'.repeat(600)
    await sink.write(batchOf(table, [eventOf(table, key, 1, '{"id":"a","name":"first"}')]), options)
    await sink.write(batchOf(table, [eventOf(table, key, 2, '{"id":"a","name":"second"}')]), options)
    await server.client().indices.refresh({ index: table.name })
    const { hits } = await server.client().search({ index: table.name, query: { term: { 'afluente.key': JSON.stringify([key]) } } })
    expect(hits.hits).toMatchObject([{ _id: expect.stringMatching(/^sha256:[0-9a-f]{64}$/) as unknown, _source: { name: 'second' } }])
  })
})

describe('good rows are taken, whatever they hold', () => {
  const megabyte = 'x'.repeat(1_000_000)
  const rows: Record<string, string> = {
    'infinity in dates': '{"id":"1","at":"infinity","day":"-infinity","times":["infinity",null]}',
    'years that Elasticsearch has no room for': '{"id":"1","at":"12026-11-22T18:00:00+00:00","day":"0044-03-15 BC"}',
    'NaN and Infinity': '{"id":"1","n":"NaN","d":"-Infinity","ns":["NaN",1]}',
    'a text of 1 MB': `{"id":"1","t":"${megabyte}","full":"${megabyte}","j":"${megabyte}"}`,
    'a keyword of 40 KB': `{"id":"1","t":"${'é'.repeat(20_000)}","tags":["${'€'.repeat(8_191)}"]}`,
    'a numeric of 30 digits, a bigint beyond 2^53': '{"id":"1","n":123456789012345.678901234567890,"b":9223372036854775807}',
    'a numeric of 400 digits': `{"id":"1","n":${'9'.repeat(400)}}`,
    'a numeric of 2 000 digits': `{"id":"1","n":${'9'.repeat(2_000)}}`,
    'jsonb arrays and scalars': '{"id":"1","j":[1,[2,{"a":null}],"x"],"raw":5}',
    'line breaks in a json column': '{"id":"1","raw":{"a":\n1,\r\n"b":2}}',
    'json with a key twice': '{"id":"1","raw":{"a":1,"a":2}}',
    'json nested 2 000 deep': `{"id":"1","raw":${'['.repeat(2_000)}${']'.repeat(2_000)}}`,
    'empty arrays and objects': '{"id":"1","tags":[],"ns":[],"j":{},"raw":[]}',
    'arrays of arrays': '{"id":"1","tags":[["a","b"],["c",null]]}',
    NULLs: '{"id":"1","t":null,"full":null,"n":null,"at":null,"j":null,"tags":null}',
    'control characters and lone surrogates': String.raw`{"id":"1","t":"a\u0000b","raw":{"x":"\u0000\ud800"}}`,
    'a flattened column that holds an array': '{"id":"1","flat":[1,"x"]}',
    'an object column of two shapes': '{"id":"1","obj":[{"a":{"b":1}},5]}',
    'columns that were added upstream': '{"id":"1","added":{"a":{"b":1}},"added.too":[1]}',
  }

  test.each(Object.entries(rows))('%s', async (name, row) => {
    const { table, indices, index } = await everything()
    const { sink } = sinkOn(server.client(), indices)
    expect(await sink.write(batchOf(table, [eventOf(table, name, 1, row)]), options)).toEqual({ accepted: 1, duplicate: 0, late: 0, rejected: [] })
    const stored = await (await fetch(`${server.url()}/${index}/_source/${encodeURIComponent(JSON.stringify([name]))}`)).text()
    expect(JSON.parse(stored)).toMatchObject({ id: '1', afluente: { version: 1 } })
    for (const [digits] of row.slice(0, 3_000).matchAll(/\d{9,}(\.\d+)?/g)) expect(stored).toContain(digits)
  })

  let shared: ReturnType<typeof tableWithIndex> | undefined
  const everything = () => {
    shared ??= tableWithIndex(
      server.client(),
      {
        id: 'text',
        t: 'text',
        full: 'text',
        n: 'numeric',
        b: 'bigint',
        d: 'double precision',
        at: 'timestamptz',
        day: 'date',
        times: 'timestamptz[]',
        ns: 'numeric[]',
        tags: 'text[]',
        j: 'jsonb',
        raw: 'json',
        flat: 'jsonb',
        obj: 'jsonb',
      },
      { full: 'text', flat: 'flattened', obj: 'object' },
    )
    return shared
  }
})

describe('a document that can’t be taken', () => {
  test('is rejected alone, without a value of the row; the rest of the batch lands', async () => {
    const { sink, table, advanced } = await people()
    const events = [
      eventOf(table, 'a', 1, '{"id":"a","score":1}'),
      eventOf(table, 'b', 2, '{"id":"b","name":{"secret":"hunter2"}}'),
      eventOf(table, 'c', 3, '{"id":"c","score":3}'),
    ]
    const report = await sink.write(batchOf(table, events), options)
    expect(report).toMatchObject({ accepted: 2, duplicate: 0, late: 0, rejected: [{ index: 1, code: 'document_parsing_exception' }] })
    expect(report.rejected[0]?.message).toContain(`The index ${table.name} refused the document for its column name`)
    expect(JSON.stringify(report)).not.toMatch(/hunter2|secret/)
    expect(await living(server.client(), table.name)).toHaveLength(2)
    expect(advanced).toMatchObject([{ consumed: 2 }])
  })

  test('leaves its key to the next older version of the batch', async () => {
    const { sink, table } = await people()
    const events = [eventOf(table, 'a', 1, '{"id":"a","name":"good"}'), eventOf(table, 'a', 2, '{"id":"a","name":{}}')]
    expect(await sink.write(batchOf(table, events), options)).toMatchObject({ accepted: 1, rejected: [{ index: 1 }] })
    expect(await living(server.client(), table.name)).toMatchObject([{ name: 'good' }])
  })

  test('can’t smuggle in another line', async () => {
    const { sink, table } = await people()
    const event = { ...eventOf(table, 'a', 1, '{"id":"a"}'), after: '{"id":"a"}\n{"delete":{"_id":"x"}}' }
    expect(await sink.write(batchOf(table, [event, eventOf(table, 'b', 1, '{"id":"b"}')]), options)).toMatchObject({ accepted: 1, rejected: [{ index: 0 }] })
  })
})

describe('visibility', () => {
  test('a single change is seen as soon as it is written', async () => {
    const { sink, table } = await people()
    await sink.write(batchOf(table, [eventOf(table, 'a', 1, '{"id":"a"}')]), options)
    expect((await server.client().count({ index: table.name })).count).toBe(1)
  })

  test('the last of a burst is seen without another write', async () => {
    const { sink, table } = await people()
    for (let version = 1; version <= 20; version += 1) await sink.write(batchOf(table, [eventOf(table, `k${version}`, version, '{"id":"a"}')]), options)
    await eventually('all are seen', async () => (await server.client().count({ index: table.name })).count === 20, 3_000)
  })
})

describe('indices', () => {
  test('one that was removed is not made by a write, and the error says what to do', async () => {
    const { sink, table, index } = await people()
    await server.client().indices.delete({ index })
    const error: unknown = await sink.write(batchOf(table, [eventOf(table, 'a', 1, '{"id":"a"}')]), options).catch((caught: unknown) => caught)
    expect(isAfluenteError(error) && { kind: error.kind, message: error.message }).toMatchObject({
      kind: 'misconfigured',
      message: expect.stringContaining('backfill') as unknown,
    })
    expect(await server.client().indices.exists({ index })).toBe(false)
  })

  test('an alias that leads to two of them is nobody’s row’s fault: nothing becomes a dead letter', async () => {
    const { sink, table, index } = await people()
    const write = (text: string) => sink.write(batchOf(table, [eventOf(table, 'a', 1, text)]), options)
    const second = `${table.name}-v2`
    await server.client().indices.create({ index: second })
    await server.client().indices.putAlias({ index: second, name: table.name })
    await expect(write('{"id":"a"}')).rejects.toMatchObject({ kind: 'misconfigured', message: expect.stringContaining(`${index}, ${second}`) as unknown })
    await server.client().indices.delete({ index: second })
    expect(await write('{"id":"a"}')).toMatchObject({ accepted: 1 })
  })

  test('preparing again finds everything as it is; a new column is added in place; a changed type asks for a new version', async () => {
    const { table, indices, index } = await people()
    const steps: string[] = []
    const prepare = async (columns: Record<string, 'text' | 'smallint' | 'date'>, version = 1) => {
      steps.length = 0
      await prepareIndices(
        { client: server.client(), floors: async () => [] },
        pipelineOf({ ...table, columns }, { [table.name]: { ...indices[table.name], version } }),
        ({ did }) => steps.push(did),
        options,
      )
      return steps
    }
    expect(await prepare({ id: 'text', name: 'text', score: 'smallint' })).toEqual(['found'])
    expect(await prepare({ id: 'text', name: 'text', score: 'smallint', born: 'date' })).toEqual(['fields-added'])
    await expect(prepare({ id: 'text', name: 'text', score: 'text' })).rejects.toThrow(`${index} exists with another mapping of score`)
    expect(await prepare({ id: 'text', name: 'text', score: 'text' }, 2)).toEqual(['made', 'alias-moved'])
  })

  test('after a raised version the alias and its writes stay where documents are, however many the new index has', async () => {
    const { sink, table, index } = await people()
    await sink.write(batchOf(table, [eventOf(table, 'a', 1, '{"id":"a"}')]), options)
    const second = { [table.name]: { version: 2 } }
    const steps: string[] = []
    const prepare = () => prepareIndices({ client: server.client(), floors: async () => [] }, pipelineOf(table, second), ({ did }) => steps.push(did), options)
    await prepare()
    await server.client().index({ index: `${table.name}-v2`, id: 'x', document: { afluente: { deleted: false, version: 1 } }, refresh: true })
    await prepare()
    expect(steps).toEqual(['made', 'alias-waits', 'found', 'alias-waits'])
    await sinkOn(server.client(), second).sink.write(batchOf(table, [eventOf(table, 'b', 2, '{"id":"b"}')]), options)
    expect(Object.keys(await server.client().indices.getAlias({ name: table.name }))).toEqual([index])
    expect(await server.client().exists({ index, id: '["b"]' })).toBe(true)
  })

  test('an index that is not defined is misconfigured, by name', async () => {
    const { table } = await people()
    await expect(sinkOn(server.client(), {}).sink.write(batchOf(table, [eventOf(table, 'a', 1, '{"id":"a"}')]), options)).rejects.toThrow(
      `there is no index for public.${table.name}`,
    )
  })
})

/** The mutant: writes as if versions did not matter. */
function withoutVersions(client: Client): Client {
  const careless = ({ operations, ...request }: { readonly index: string; readonly operations: readonly string[] }) =>
    client.bulk({ ...request, operations: operations.map((line) => line.replace(/,"version":\d+,"version_type":"external"/, '')) })
  return new Proxy(client, { get: (target, name) => (name === 'bulk' ? careless : (Reflect.get(target, name) as unknown)) })
}
