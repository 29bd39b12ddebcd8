/** Soft-deleted documents, on a real Elasticsearch. */
import type { Client } from '@elastic/elasticsearch'
import { expect, test } from 'vitest'
import { elasticsearchTombstones } from '../../../shared/adapters/elasticsearch/tombstones.ts'
import { postgresPurges } from '../../../shared/adapters/postgres/purges.ts'
import { aliasFilterOf } from '../../../shared/mappings/index-mapping.ts'
import { pipelineOf, realElasticsearch, tableWithIndex } from '../sink/elasticsearch-server.ts'
import { realPostgres } from '../sink/postgres-server.ts'
import { ago, forget, options, purgeOnce, purgeSuite, type Subject } from './suite.ts'

const postgres = realPostgres()
const server = realElasticsearch()

const connect = async () => {
  const url = await postgres.analytics()
  return { db: postgres.pool(url), client: await postgres.client(url) }
}
let opened: ReturnType<typeof connect> | undefined

async function open(atOnce?: number) {
  const search = server.client()
  const { table, indices, index } = await tableWithIndex(search, { id: 'text' })
  const { db, client } = await (opened ??= connect())
  await forget(client)
  const put = async (key: string, days: number, { living = false, version = 5 } = {}) => {
    const document = { ...(living ? { id: key } : {}), afluente: { key, version, deleted: !living, synced_at: ago(days) } }
    await search.index({ index, id: key, version, version_type: 'external', document, refresh: true })
  }
  const keys = async () => {
    await search.indices.refresh({ index })
    const { hits } = await search.search({ index, size: 1_000 })
    return hits.hits.map(({ _id }) => String(_id)).toSorted()
  }
  const subject: Subject = {
    consumer: 'elasticsearch',
    pipeline: pipelineOf(table, indices),
    table,
    db,
    client,
    tombstones: (purges) => elasticsearchTombstones({ client: search, indices, purges, ...(atOnce === undefined ? {} : { atOnce }) }),
    put,
    keys,
  }
  return { ...subject, search, indices, index, put }
}

purgeSuite('the index', () => open())

test('the index: steps are bounded, and go on until none is left', async () => {
  const subject = await open(2)
  for (const n of [1, 2, 3, 4, 5]) await subject.put(`dead-${n}`, 9)
  await purgeOnce(subject)
  expect(await subject.keys()).toEqual([])
  const { rows } = await subject.client.query(`select details -> 'rows' as rows from ops.audit order by id`)
  expect(rows.map(({ rows: count }) => count as number)).toEqual([2, 2, 1])
})

test('the index: what a large truncate left below the floor is purged as well, for it is hidden for good; what stands above it stays', async () => {
  const subject = await open()
  await subject.put('below', 9, { living: true, version: 4 })
  await subject.put('at', 9, { living: true, version: 5 })
  await subject.put('above', 9, { living: true, version: 6 })
  await subject.put('young', 2, { living: true, version: 4 })
  await subject.search.indices.putAlias({ index: subject.index, name: subject.table.name, filter: aliasFilterOf(5) })
  await purgeOnce(subject)
  expect(await subject.keys()).toEqual(['above', 'young'])
})

test('the index: a key that comes back after its tombstone has gone is taken at any version', async () => {
  const subject = await open()
  await subject.put('back', 9)
  await purgeOnce(subject)
  await subject.put('back', 0, { living: true, version: 1_795_370_400_000_005 })
  expect(await subject.keys()).toEqual(['back'])
})

test('the index: a document that is written while its tombstone is being purged stays', async () => {
  const subject = await open()
  await subject.put('back', 9)
  await subject.put('dead', 9)
  const { index, search } = subject
  const document = { id: 'back', afluente: { key: 'back', version: 6, deleted: false, synced_at: ago(0) } }
  const overtaken = overtakenBefore(search, () => search.index({ index, id: 'back', version: 6, version_type: 'external', document }))
  await purgeOnce(subject, {
    tombstonesOf: () => elasticsearchTombstones({ client: overtaken, indices: subject.indices, purges: postgresPurges({ db: subject.db }) }),
  })
  expect(await subject.keys()).toEqual(['back'])
  expect((await postgresPurges({ db: subject.db }).states(options)).map(({ purged }) => purged)).toEqual([1])
})

/** A client whose bulk requests are overtaken by something. */
function overtakenBefore(client: Client, by: () => Promise<unknown>): Client {
  const bulk = async (...call: Parameters<Client['bulk']>) => {
    await by()
    return client.bulk(...call)
  }
  return new Proxy(client, { get: (target, name) => (name === 'bulk' ? bulk : (Reflect.get(target, name) as unknown)) })
}
