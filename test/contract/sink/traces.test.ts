/** "Where is my row?" asked of the sinks, against what they were given. */
import { describe, expect, test } from 'vitest'
import { systemClock } from '../../../shared/adapters/clock.ts'
import { elasticsearchCopies } from '../../../shared/adapters/elasticsearch/copies.ts'
import { elasticsearchSink } from '../../../shared/adapters/elasticsearch/sink.ts'
import { postgresCopies, postgresHistory } from '../../../shared/adapters/postgres/traces.ts'
import { postgresControl } from '../../../shared/adapters/postgres/control.ts'
import { postgresSink } from '../../../shared/adapters/postgres/sink.ts'
import { topicOf } from '../../../shared/engine/define.ts'
import { decode, encode } from '../../../shared/events/envelope.ts'
import { leads } from '../../../shared/tables/leads.ts'
import { table } from '../../../shared/tables/table.ts'
import { recordOf } from '../../support/arbitraries.ts'
import { batchOf, eventOf } from './elasticsearch-events.ts'
import { realElasticsearch, tableWithIndex } from './elasticsearch-server.ts'
import { realPostgres } from './postgres-server.ts'
import { postgresSubject } from './postgres-subject.ts'
import { hold, leadEvent, signal } from './subject.ts'

const postgres = realPostgres()
const elasticsearch = realElasticsearch()

const time = expect.stringMatching(/^\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\.\d{6}Z$/) as unknown

describe('bronze, silver and the dead letters', () => {
  const open = async () => {
    const db = postgres.pool(await postgres.analytics())
    const subject = postgresSubject({ db })
    return { db, subject, held: await hold(subject), history: postgresHistory(db), copies: postgresCopies(db) }
  }

  test('tell the events of one key, newest first, with their places and times and no image', async () => {
    const { held, history } = await open()
    const [first, other] = [leadEvent({ offset: 4 }), leadEvent()]
    const [id] = JSON.parse(first.key) as [string]
    const second = leadEvent({ id, op: 'update', offset: 9 })
    await held.write(first, other, second)
    const of = { table: leads, key: first.key }
    expect(await history.events(of, 10, { signal })).toEqual(
      [second, first].map(({ id: eventId, op, version }, at) => ({
        eventId,
        version,
        op,
        occurredAt: '2026-11-22T18:00:00.123456Z',
        claimedAt: '2026-11-22T18:00:00.125000Z',
        publishedAt: time,
        receivedAt: time,
        topic: topicOf(leads),
        partition: 0,
        offset: ['9', '4'][at],
        traceparent: '00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01',
      })),
    )
    expect((await history.events(of, 1, { signal })).map(({ version }) => version)).toEqual([second.version])
    expect(await history.events({ ...of, key: '["another"]' }, 10, { signal })).toEqual([])
  })

  test('find a key’s events by an index, however many others there are', async () => {
    const { db } = await open()
    const text = `explain (format json) select event_id from bronze.events where key = 'x' and source_table = 'public.leads' order by version desc limit 3`
    await db.query({ text: 'insert into bronze.events (event_id, key) select n::text, n::text from generate_series(1, 5000) n', values: [] }, { signal })
    await db.query({ text: 'analyze bronze.events', values: [] }, { signal })
    expect(String((await db.query({ text, values: [] }, { signal })).rows[0]?.['QUERY PLAN'])).toContain('events_key')
  })

  test('tell the row that stands, also when it is deleted, and null where there never was one', async () => {
    const { held, copies } = await open()
    const first = leadEvent()
    const [id] = JSON.parse(first.key) as [string]
    await held.write(first)
    const of = { table: leads, key: first.key }
    expect(await copies.copy(of, { signal })).toEqual({ version: first.version, eventId: first.id, deleted: false, syncedAt: time })
    const gone = leadEvent({ id, op: 'delete' })
    await held.write(gone)
    expect(await copies.copy(of, { signal })).toEqual({ version: gone.version, eventId: gone.id, deleted: true, syncedAt: time })
    expect(await copies.copy({ ...of, key: leadEvent().key }, { signal })).toBeNull()
  })

  test('tell the row of a key of several columns, its numbers beyond doubles', async () => {
    const pairs = table({ schema: 'public', name: 'pairs', key: ['b', 'a'], columns: { a: 'bigint', b: 'text', c: 'text' } })
    const db = postgres.pool(await postgres.analytics([pairs]))
    const sink = postgresSink({ db, tables: [pairs], bronze: true, silver: true })
    const change = { table: 'public.pairs', topic: topicOf(pairs), op: 'insert' as const, before: null, occurredAt: '2026-11-22T18:00:00Z', traceparent: null }
    const keys = ['["x", 9007199254740993]', '["x", 9007199254740992]']
    const events = keys.map((key, at) => {
      const [a] = /\d+/.exec(key) ?? []
      const decoded = decode(
        recordOf(encode({ ...change, version: at + 1, key, after: `{"a":${a},"b":"x","c":null}` }, { ref: '', claimedAt: '', traceparent: '' })),
      )
      if (!decoded.ok) throw new Error(decoded.why.message)
      return { ...decoded.event, claimedAt: null }
    })
    const place = { consumer: 'c', topic: topicOf(pairs), partition: 0 }
    const epoch = await postgresControl({ db }).take({ ...place, owner: 'o' }, { signal })
    await sink.write({ table: pairs, events, fence: { ...place, epoch }, nextOffset: '2' }, { signal })
    for (const [at, key] of keys.entries()) expect(await postgresCopies(db).copy({ table: pairs, key }, { signal })).toMatchObject({ version: at + 1 })
  })

  test('tell a key’s dead letters', async () => {
    const { history, subject, held } = await open()
    const event = leadEvent({ offset: 12 })
    const letter = { record: event.record, eventId: event.id, table: 'public.leads', code: '23514', message: 'refused' }
    await subject.control.bury([letter], held.fence, '13', { signal })
    await subject.control.bury([letter], held.fence, '13', { signal })
    expect(await history.letters({ table: leads, key: event.key }, 10, { signal })).toEqual([
      {
        id: expect.stringMatching(/^\d+$/) as unknown,
        consumer: held.fence.consumer,
        eventId: event.id,
        topic: topicOf(leads),
        partition: 0,
        offset: '12',
        code: '23514',
        state: 'open',
        attempts: 2,
        firstSeen: time,
      },
    ])
    expect(await history.letters({ table: leads, key: leadEvent().key }, 10, { signal })).toEqual([])
  })
})

describe('an index', () => {
  const open = async () => {
    const client = elasticsearch.client()
    const { indices, table } = await tableWithIndex(client, { id: 'text', name: 'text' })
    const control = { advance: async () => {}, floors: async () => [] }
    return { client, table, sink: elasticsearchSink({ client, control, clock: systemClock(), random: () => 0, indices }) }
  }

  test('tells the document that stands before it is refreshed, also a deleted one and one of a very long key', async () => {
    const { client, sink, table } = await open()
    const copies = elasticsearchCopies({ client })
    const long = 'x'.repeat(600)
    await sink.write(batchOf(table, [eventOf(table, 'a', 5, '{"id":"a"}'), eventOf(table, long, 6, '{"id":"long"}')]), { signal })
    const syncedAt = expect.stringMatching(/^20.*Z$/) as unknown
    expect(await copies.copy({ table, key: '["a"]' }, { signal })).toEqual({ version: 5, eventId: `public.${table.name}:5`, deleted: false, syncedAt })
    expect(await copies.copy({ table, key: JSON.stringify([long]) }, { signal })).toMatchObject({ version: 6 })
    await sink.write(batchOf(table, [eventOf(table, 'a', 7, null)]), { signal })
    expect(await copies.copy({ table, key: '["a"]' }, { signal })).toMatchObject({ version: 7, deleted: true })
    expect(await copies.copy({ table, key: '["b"]' }, { signal })).toBeNull()
  })

  test('that is not there is a fault, not an absent row', async () => {
    const { client, table } = await open()
    await client.indices.delete({ index: `${table.name}-v1` })
    const copies = elasticsearchCopies({ client })
    await expect(copies.copy({ table, key: '["a"]' }, { signal })).rejects.toMatchObject({ kind: 'misconfigured' })
  })

  test('has the trace of the request that wrote the row', async () => {
    const { client, sink, table } = await open()
    const traceparent = '00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01'
    await sink.write(batchOf(table, [{ ...eventOf(table, 'a', 5, '{"id":"a"}'), traceparent }]), { signal })
    const { _source } = await client.get<{ afluente: Record<string, unknown> }>({ index: `${table.name}-v1`, id: '["a"]' })
    expect(_source?.afluente['traceparent']).toBe(traceparent)
  })
})
