/** Every type comes through exactly: rows of a real table, printed as the source prints them, are the same rows in silver. (A JSON null and an SQL NULL print alike: silver has NULL for both.) */
import { describe, expect, test } from 'vitest'
import { postgresControl } from '../../../shared/adapters/postgres/control.ts'
import { postgresSink } from '../../../shared/adapters/postgres/sink.ts'
import type { Op } from '../../../shared/events/change.ts'
import type { Event } from '../../../shared/events/envelope.ts'
import type { SourceTable } from '../../../shared/tables/table.ts'
import { everything as types, everythingRows as rows, everythingSql } from './everything.ts'
import { realPostgres } from './postgres-server.ts'
import { nextVersion, signal } from './subject.ts'

const composite: SourceTable = {
  schema: 'public',
  name: 'composite',
  key: ['a', 'b', 'c', 'd'],
  columns: { note: 'text', d: 'timestamptz', a: 'bigint', b: 'numeric', c: 'text' },
}

const postgres = realPostgres()

async function open() {
  const url = await postgres.analytics([types, composite])
  const client = await postgres.client(url)
  await client.query(`
    ${everythingSql}
    create table public.composite (note text, d timestamptz, a bigint, b numeric, c text, primary key (a, b, c, d));`)
  const db = postgres.pool(url)
  const control = postgresControl({ db })
  const sink = postgresSink({ db, tables: [types, composite], bronze: true, silver: true })
  const epoch = await control.take({ consumer: 'exact', topic: 't', partition: 0, owner: 'o' }, { signal })
  const write = async (table: SourceTable, op: Op) => {
    const events = await eventsOf(table, op)
    await sink.write({ table, events, fence: { consumer: 'exact', topic: 't', partition: 0, epoch }, nextOffset: '1' }, { signal })
    return events
  }

  /** The rows of the source table as events, printed under the settings that capture fixes. */
  const eventsOf = async (table: SourceTable, op: Op): Promise<readonly Event[]> => {
    await client.query(`set timezone = 'UTC'; set datestyle = 'ISO'; set extra_float_digits = 1; set bytea_output = 'hex'; set intervalstyle = 'postgres'`)
    const key = table.key.map((column) => `the_row.${column}`).join(', ')
    const found = await client.query<{ key: string; image: string }>(
      `select jsonb_build_array(${key})::text as key, row_to_json(the_row)::text as image from public.${table.name} as the_row`,
    )
    return found.rows.map((row) => eventOf(table, row, op))
  }
  const texts = async (schema: string, table: SourceTable) => {
    const columns = Object.keys(table.columns).map((column) => `"${column.replaceAll('"', '""')}"::text`)
    return (await client.query({ text: `select ${columns.join(', ')} from ${schema}.${table.name} order by 1`, rowMode: 'array' })).rows
  }
  return { client, write, texts }
}

function eventOf(table: SourceTable, { key, image }: { readonly key: string; readonly image: string }, op: Op): Event {
  const version = nextVersion()
  const name = `public.${table.name}`
  const images = op === 'delete' ? { before: image, after: null } : { before: null, after: image }
  const record = { topic: 't', partition: 0, offset: String(version), timestampMs: 1_795_370_400_000, key, value: '', headers: {} }
  return {
    id: `${name}:${version}`,
    source: '/s',
    table: name,
    key,
    version,
    op,
    ...images,
    occurredAt: '2026-11-22T18:00:00.123456Z',
    claimedAt: null,
    publishedAtMs: record.timestampMs,
    traceparent: null,
    record,
  }
}

describe('exact rows in Postgres', () => {
  test.for(Object.entries(rows))('%s', async ([, values]) => {
    const { client, write, texts } = await open()
    await client.query(`insert into public.everything values (${values})`)
    const [event] = await write(types, 'insert')
    expect(await texts('silver', types)).toEqual(await texts('public', types))
    const { rows: bronze } = await client.query<{ after: string }>('select after::text from bronze.events')
    expect(bronze).toEqual([{ after: event?.after }])
  })

  test('a row of a megabyte', async () => {
    const { client, write, texts } = await open()
    await client.query(`insert into public.everything (id, t, j) values (1, repeat('ação "x" \\ ', 100000), to_json(repeat('0123456789', 20000)))`)
    await write(types, 'insert')
    expect(await texts('silver', types)).toEqual(await texts('public', types))
  })

  test('a tombstone finds its row by a key of big numbers, text with quotes and a moment, and keeps only that', async () => {
    const { client, write } = await open()
    await client.query(
      `insert into public.composite values ('x', '2026-11-22 18:00:00.123456+00', 9007199254740993, 12345678901234567890.1234567890, 'a "quoted", text')`,
    )
    await write(composite, 'insert')
    const [gone] = await write(composite, 'delete')
    const { rows: left } = await client.query(
      `select s.note, (s.a, s.b, s.c, s.d) = (p.a, p.b, p.c, p.d) as same, s.b::text, s._version::text, s._deleted_at::text, s._event_id from silver.composite s, public.composite p`,
    )
    expect(left).toEqual([
      {
        note: null,
        same: true,
        b: '12345678901234567890.1234567890',
        _version: String(gone?.version),
        _deleted_at: '2026-11-22 18:00:00.123456+00',
        _event_id: gone?.id,
      },
    ])
  })

  test('bronze keeps the images of a delete, its times to the microsecond and where it lay', async () => {
    const { client, write } = await open()
    await client.query(`insert into public.everything (id, j) values (1, '{"a" : "\\u0000"}')`)
    const [event] = await write(types, 'delete')
    const { rows: bronze } = await client.query(
      'select event_id, source, source_table, key, version::text, op, before::text, after, occurred_at::text, kafka_topic, kafka_partition, kafka_offset::text, received_at > occurred_at as received from bronze.events',
    )
    expect(bronze).toEqual([
      {
        event_id: event?.id,
        source: '/s',
        source_table: 'public.everything',
        key: '[1]',
        version: String(event?.version),
        op: 'delete',
        before: event?.before,
        after: null,
        occurred_at: '2026-11-22 18:00:00.123456+00',
        kafka_topic: 't',
        kafka_partition: 0,
        kafka_offset: event?.record.offset,
        received: true,
      },
    ])
  })
})
