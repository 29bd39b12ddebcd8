import { expect, test } from 'vitest'
import { elasticsearchContents } from '../../../shared/adapters/elasticsearch/index-contents.ts'
import { elasticsearchSink } from '../../../shared/adapters/elasticsearch/sink.ts'
import { checkOf } from '../../../shared/mappings/document.ts'
import { batchOf, eventOf } from '../sink/elasticsearch-events.ts'
import { realElasticsearch, tableWithIndex } from '../sink/elasticsearch-server.ts'

const signal = new AbortController().signal
const options = { signal }
const elasticsearch = realElasticsearch()

/** Keys whose order is that of their bytes, and none that a language would give. */
const IDS = ['a', 'B', 'é', 'z', '😀', '"quoted"', `long ${'x'.repeat(600)}`, 'gone', 'old']

async function open() {
  const client = elasticsearch.client()
  const { indices, table } = await tableWithIndex(client, { id: 'text', name: 'text' })
  const control = { advance: async () => {}, floors: async () => [] }
  const sink = elasticsearchSink({ client, control, clock: { now: Date.now, sleep: async () => {} }, random: Math.random, indices })
  const events = IDS.map((id, nth) => eventOf(table, id, id === 'old' ? 5 : 1_000 + nth, id === 'gone' ? null : JSON.stringify({ id, name: 'x' })))
  await sink.write(batchOf(table, events), options)
  const contents = elasticsearchContents({ client, indices })
  await contents.settle(table, options)
  return { contents, table, events, client, index: `${table.name}-v1` }
}

const byBytes = (keys: readonly string[]) => keys.toSorted((a, b) => Buffer.compare(Buffer.from(a), Buffer.from(b)))

test('ranges have the sums of their living documents above the floor, each document in one of them', async () => {
  const { contents, events, table } = await open()
  const living = events.filter(({ key, version }) => key !== '["gone"]' && version > 100)
  const keys = byBytes(living.map(({ key }) => key))
  const boundaries = [keys[2] ?? '', keys[5] ?? '']
  const sums = await contents.sums(table, { boundaries, from: 0, to: 3, floor: 100 }, options)
  const expected = [keys.slice(0, 2), keys.slice(2, 5), keys.slice(5)].map((of, range) => ({
    range,
    rows: of.length,
    check: of.reduce((sum, key) => sum + BigInt(checkOf(key, living.find((event) => event.key === key)?.version ?? 0)), 0n),
  }))
  expect(sums).toEqual(expected)
  expect(await contents.sums(table, { boundaries, from: 1, to: 2, floor: 100 }, options)).toEqual(expected.slice(1, 2))
  const [all] = await contents.sums(table, { boundaries: [], from: 0, to: 1, floor: 0 }, options)
  expect(all?.rows).toBe(living.length + 1)
})

test('a range is opened in the order of its keys, page by page', async () => {
  const { contents, events, table } = await open()
  const keys = byBytes(events.filter(({ key }) => key !== '["gone"]').map(({ key }) => key))
  const read: string[] = []
  for (let after: string | null = null; ;) {
    const page: readonly { readonly key: string; readonly version: number }[] = await contents.open(
      table,
      { boundaries: [], range: 0, floor: 0, after, limit: 3 },
      options,
    )
    for (const { key, version } of page) expect(version).toBe(events.find((event) => event.key === key)?.version)
    read.push(...page.map(({ key }) => key))
    after = page.at(-1)?.key ?? null
    if (page.length < 3) break
  }
  expect(read).toEqual(keys)
})

test('single keys are found as they are now: also long ones, deleted ones and what lies below the floor', async () => {
  const { client, contents, events, index, table } = await open()
  await client.delete({ index, id: '["a"]' })
  const found = await contents.find(table, [...events.map(({ key }) => key), '["nobody"]'], 100, options)
  const expected = events.filter(({ key }) => key !== '["a"]').map(({ key, version }) => ({ key, version, living: key !== '["gone"]' && key !== '["old"]' }))
  expect(found).toEqual(expected)
})

test('an index that is missing is told, not taken for an empty one', async () => {
  const { client, contents, index, table } = await open()
  await client.indices.delete({ index })
  for (const work of [
    () => contents.settle(table, options),
    () => contents.sums(table, { boundaries: [], from: 0, to: 1, floor: 0 }, options),
    () => contents.find(table, ['["a"]'], 0, options),
  ])
    await expect(work()).rejects.toMatchObject({ kind: 'misconfigured' })
})
