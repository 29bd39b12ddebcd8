import { describe, expect, test } from 'vitest'
import { type AnyConsumer, type AnyPipeline, shardsOf } from '../../../shared/engine/define.ts'
import { assertSound, faultsOf } from '../../../shared/engine/definition-faults.ts'
import { pipeline } from '../../../shared/pipeline.ts'
import { plainTypes, type SourceTable } from '../../../shared/tables/table.ts'

const orders: SourceTable = { schema: 'public', name: 'orders', key: ['id'], columns: { id: 'bigint', total: 'numeric(14,2)' } }
const toPostgres: AnyConsumer = { reads: ['afluente.public.orders'], sink: { kind: 'postgres', bronze: true, silver: true }, mode: 'continuous', instances: 1 }
const toIndex: AnyConsumer = { ...toPostgres, sink: { kind: 'elasticsearch', indices: { orders: { version: 1 } } } }
const sound: AnyPipeline = {
  tables: [orders],
  topics: { partitions: 4, maxMessageBytes: 8_388_608, retention: '7d' },
  consumers: { postgres: toPostgres, elasticsearch: toIndex },
}

/** A value that the compiler would refuse: Node takes the types away and runs it. */
const untyped = (value: string): never => value as never

const withTable = (table: Partial<SourceTable>): AnyPipeline => ({ ...sound, tables: [{ ...orders, ...table }] })
const withTopics = (topics: Partial<AnyPipeline['topics']>): AnyPipeline => ({ ...sound, topics: { ...sound.topics, ...topics } })
const withPostgres = (consumer: Partial<AnyConsumer>): AnyPipeline => ({ ...sound, consumers: { postgres: { ...toPostgres, ...consumer } } })
const withIndex = (indices: Record<string, { version: number; fields?: Record<string, 'text'> }>): AnyPipeline => ({
  ...sound,
  consumers: { elasticsearch: { ...toIndex, sink: { kind: 'elasticsearch', indices } } },
})

test("the project's own definition is sound, and so is the one these tests spoil", () => {
  expect(faultsOf(pipeline)).toEqual([])
  expect(faultsOf(sound)).toEqual([])
  expect(() => assertSound(pipeline)).not.toThrow()
})

test('a definition that says nothing of shards has one, and 64 are sound', () => {
  expect(shardsOf(sound)).toBe(1)
  expect(shardsOf({ capture: { shards: 8 } })).toBe(8)
  expect(faultsOf({ ...sound, capture: { shards: 64 } })).toEqual([])
})

test('every type, with precision and as an array, is sound', () => {
  const types = [...plainTypes, 'numeric(14,2)', 'numeric(3,-2)'] as const
  const columns = Object.fromEntries([['id', 'bigint' as const], ...types.flatMap((type) => [[type, type] as const, [`${type}[]`, `${type}[]`] as const])])
  expect(faultsOf(withTable({ columns }))).toEqual([])
})

describe('each fault is named where it stands', () => {
  const long = 'x'.repeat(250)
  const cases: readonly [string, AnyPipeline, string][] = [
    ['a table twice', { ...sound, tables: [orders, orders] }, 'tables: public.orders stands in the list twice.'],
    ['two tables of one name', { ...sound, tables: [orders, { ...orders, schema: 'sales' }] }, 'tables: two tables are named orders;'],
    ['a table that can be no topic', withTable({ name: 'my orders' }), "public.my orders: 'afluente.public.my orders' can't be a Kafka topic"],
    ['a topic too long for its dead letters', withTable({ name: 'x'.repeat(249 - 'afluente.public.'.length) }), 'at most 245'],
    [
      'a table where the dead letters of another lie',
      { ...sound, tables: [orders, { ...orders, name: 'orders.dlq' }] },
      'afluente.public.orders.dlq would be a table',
    ],
    ['no columns', withTable({ columns: {}, key: [] }), 'public.orders: it has no columns.'],
    ['no key', withTable({ key: [] }), 'public.orders: it has no key;'],
    ['a key column twice', withTable({ key: ['id', 'id'] }), 'public.orders: the key names id twice.'],
    ['a key that is no column', withTable({ key: ['uuid'] }), 'public.orders: the key names uuid, which is none of its columns (id, total).'],
    ['a column with a name of the sinks', withTable({ columns: { id: 'bigint', _version: 'bigint' } }), 'public.orders: a column may not be named _version;'],
    [
      'a type that is none',
      withTable({ columns: { id: 'bigint', total: untyped('floaty') } }),
      "public.orders.total: 'floaty' is no type; there are uuid, text,",
    ],
    ['an array of arrays', withTable({ columns: { id: 'bigint', total: untyped('text[][]') } }), "public.orders.total: 'text[][]' is no type;"],
    ['a numeric without its scale', withTable({ columns: { id: 'bigint', total: untyped('numeric(4)') } }), "public.orders.total: 'numeric(4)' is no type;"],
    [
      'a kind of sink that is none',
      withPostgres({ sink: { kind: untyped('redis'), bronze: true, silver: true } }),
      "consumers.postgres.sink: 'redis' is no kind of sink; there are postgres, elasticsearch.",
    ],
    ['a mode that is none', withPostgres({ mode: untyped('often') }), "consumers.postgres.mode: 'often' is no mode; there are continuous, available-now."],
    [
      'a kind of field that is none',
      withIndex({ orders: { version: 1, fields: { total: untyped('fuzzy') } } }),
      "consumers.elasticsearch.sink.indices.orders.fields.total: 'fuzzy' is no kind of field; there are text, keyword,",
    ],
    ['no partitions', withTopics({ partitions: 0 }), 'topics.partitions: 0 is not a whole number from 1 to 1000.'],
    ['half a partition', withTopics({ partitions: 1.5 }), 'topics.partitions: 1.5'],
    ['messages too small', withTopics({ maxMessageBytes: 1_024 }), 'topics.maxMessageBytes: 1024 is not between 64 KiB and 100 MiB.'],
    ['a retention that is no duration', withTopics({ retention: 'ever' as '1d' }), "topics.retention: 'ever' is not a duration."],
    ['a retention that keeps nothing', withTopics({ retention: '0s' }), 'topics.retention: 0s keeps nothing.'],
    ['no shards', { ...sound, capture: { shards: 0 } }, 'capture.shards: 0 is not a whole number from 1 to 64.'],
    ['more shards than there may be', { ...sound, capture: { shards: 65 } }, 'capture.shards: 65'],
    ['half a shard', { ...sound, capture: { shards: 2.5 } }, 'capture.shards: 2.5'],
    ['shards that are no number', { ...sound, capture: { shards: untyped('4') } }, 'capture.shards: 4 is not'],
    ['no consumers', { ...sound, consumers: {} }, 'consumers: there are none;'],
    ['a consumer of a wrong name', { ...sound, consumers: { 'My Consumer': toPostgres } }, "consumers.My Consumer: a consumer's name is lower-case"],
    ['a consumer that reads nothing', withPostgres({ reads: [] }), 'consumers.postgres: it reads no topic.'],
    [
      'a topic read twice',
      withPostgres({ reads: ['afluente.public.orders', 'afluente.public.orders'] }),
      'consumers.postgres: it reads afluente.public.orders twice.',
    ],
    [
      'a topic that is none',
      withPostgres({ reads: ['afluente.public.order'] }),
      'consumers.postgres: there is no topic afluente.public.order; there are afluente.public.orders.',
    ],
    ['no instances', withPostgres({ instances: 0 }), 'consumers.postgres.instances: 0 is not a whole number from 1 to 64.'],
    [
      'a sink that keeps nothing',
      withPostgres({ sink: { kind: 'postgres', bronze: false, silver: false } }),
      'consumers.postgres.sink: it keeps neither bronze nor silver.',
    ],
    ['a table read without an index', withIndex({}), 'consumers.elasticsearch.sink: it reads afluente.public.orders but has no index for orders.'],
    [
      'an index of a table that is not read',
      withIndex({ orders: { version: 1 }, leads: { version: 1 } }),
      'consumers.elasticsearch.sink.indices.leads: the consumer reads no table of that name.',
    ],
    [
      'an index without a version',
      withIndex({ orders: { version: 0 } }),
      'consumers.elasticsearch.sink.indices.orders.version: it must be a whole number from 1.',
    ],
    [
      'a field that is no column',
      withIndex({ orders: { version: 1, fields: { totl: 'text' } } }),
      'consumers.elasticsearch.sink.indices.orders: totl is no column of public.orders; it has id, total.',
    ],
    [
      'a table that can be no index',
      {
        ...sound,
        tables: [{ ...orders, name: 'Orders' }],
        consumers: { e: { ...toIndex, reads: ['afluente.public.Orders'], sink: { kind: 'elasticsearch', indices: { Orders: { version: 1 } } } } },
      },
      "consumers.e.sink: 'Orders' can't be an Elasticsearch index;",
    ],
  ]

  test.each(cases)('%s', (_, definition, fault) => {
    const faults = faultsOf(definition)
    expect(faults.filter((one) => one.startsWith(fault) || one.includes(fault))).toHaveLength(1)
  })

  test('the longest name is still told apart from one that fits', () => {
    expect(faultsOf(withTable({ name: long }))).not.toEqual([])
  })
})

test('all faults are told at once, in one error that halts', () => {
  const bad = {
    ...withTopics({ partitions: 0, retention: '0s' }),
    tables: [{ ...orders, key: [] }],
    capture: { shards: 99 },
    consumers: { postgres: { ...toPostgres, instances: 99 } },
  }
  expect(() => assertSound(bad)).toThrow(
    expect.objectContaining({
      name: 'AfluenteError',
      kind: 'misconfigured',
      message: expect.stringMatching(/5 fault\(s\)[^]*no key[^]*partitions[^]*retention[^]*shards[^]*instances/) as string,
    }),
  )
})
