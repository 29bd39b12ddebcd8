/** Every type comes through exactly: rows of a real table, printed as the source prints them, are the same rows in silver. (A JSON null and an SQL NULL print alike: silver has NULL for both.) */
import { describe, expect, test } from 'vitest'
import { postgresControl } from '../../../shared/adapters/postgres/control.ts'
import { postgresSink } from '../../../shared/adapters/postgres/sink.ts'
import type { Op } from '../../../shared/events/change.ts'
import type { Event } from '../../../shared/events/envelope.ts'
import type { SourceTable } from '../../../shared/tables/table.ts'
import { realPostgres } from './postgres-server.ts'
import { nextVersion, signal } from './subject.ts'

const types: SourceTable = {
  schema: 'public',
  name: 'everything',
  key: ['id'],
  columns: {
    id: 'bigint',
    u: 'uuid',
    t: 'text',
    s: 'smallint',
    i: 'integer',
    n: 'numeric',
    money: 'numeric(14,2)',
    r: 'real',
    d: 'double precision',
    b: 'boolean',
    day: 'date',
    clock: 'time',
    local: 'timestamp',
    moment: 'timestamptz',
    span: 'interval',
    j: 'json',
    jb: 'jsonb',
    bytes: 'bytea',
    ip: 'inet',
    mood: 'enum',
    'Odd "name"': 'text',
    texts: 'text[]',
    numbers: 'numeric[]',
    moments: 'timestamptz[]',
    documents: 'jsonb[]',
    moods: 'enum[]',
  },
}

const composite: SourceTable = {
  schema: 'public',
  name: 'composite',
  key: ['a', 'b', 'c', 'd'],
  columns: { note: 'text', d: 'timestamptz', a: 'bigint', b: 'numeric', c: 'text' },
}

const rows: Readonly<Record<string, string>> = {
  'nothing but its key': `1, null, null, null, null, null, null, null, null, null, null, null, null, null, null, null, null, null, null, null, null, null, null, null, null, null`,
  'ordinary values': `2, '6f2c1a4e-0000-4000-8000-00000000abcd', 'Ana', 7, 70000, 1.5, 1234.50, 1.5, 2.25, true, '2026-11-22', '18:00:00.123456', '2026-11-22 18:00:00.123456', '2026-11-22 18:00:00.123456+03',
    '1 year 2 mons 3 days 04:05:06.789', '{"a":1}', '{"b":[1,{"c":null}]}', '\\x00ff10', '10.0.0.1/8', 'happy', 'x', '{a,b}', '{1.10,2}', '{2026-11-22 18:00:00+00}', array['{"a":1}'::jsonb, '[1]'], '{happy,"so so"}'`,
  'numbers at their ends': `9223372036854775807, null, null, -32768, -2147483648, 123456789012345678901234567890.123456789012345678901234567890, 999999999999.99, 3.4028235e38, 1.7976931348623157e308, false, null, null, null, null, null,
    null, null, null, null, null, null, null, '{NaN,-0.10,1e30}', null, null, null`,
  'numbers that are none': `4, null, null, null, null, 'NaN', 'NaN', 'Infinity', '-Infinity', null, null, null, null, null, null, null, null, null, null, null, null, null, '{Infinity}', null, null, null`,
  'doubles with many digits': `5, null, null, null, null, 0.10, 0.10, 0.1, 0.1::float8 + 0.2::float8, null, null, null, null, null, null, null, null, null, null, null, null, null, null, null, null, null`,
  'times at their ends': `6, null, null, null, null, null, null, null, null, null, 'infinity', '24:00:00', '-infinity', 'infinity', '-178000000 years', null, null, null, null, null, null, null, null, '{-infinity,infinity,NULL}', null, null`,
  'times before Christ': `7, null, null, null, null, null, null, null, null, null, '0044-03-15 BC', '00:00:00.000001', '0044-03-15 12:00:00.000001 BC', '0044-03-15 12:00:00+00 BC', '-1 day +02:03:04', null, null, null, null, null, null, null, null, null, null, null`,
  'text that looks like something else': `8, null, E'quote " back \\\\ line\\nbreak\\ttab \\u0001 \\u2028 😀 },{ null', null, null, null, null, null, null, null, null, null, null, null, null, '"a string"', '"a string"', '\\x', '::1', null, '', '{"null",NULL,"","a,b","{x}","\\"q\\"","back\\\\slash"}', null, null, null, null`,
  'json that only json can hold': `9, null, null, null, null, null, null, null, null, null, null, null, null, null, null, '{"z": 1, "a":"\\u0000", "a" : "\\ud800", "big":1e200000, "n": 12345678901234567890.10}', '{"n": 12345678901234567890.10}', null, null, null, null, null, null, null, null, null`,
  'json whose whole value is a string with a NUL': `10, null, null, null, null, null, null, null, null, null, null, null, null, null, null, '"\\u0000"', 'true', null, null, null, null, null, null, null, null, null`,
  'json of some lines': `11, null, null, null, null, null, null, null, null, null, null, null, null, null, null, E'{\\n  "a" : [1,\\n 2]}', '[]', null, null, null, null, null, null, null, array['"s"'::jsonb, '[[1]]'], null`,
  'arrays of two dimensions, and empty ones': `12, null, null, null, null, null, null, null, null, null, null, null, null, null, null, null, null, null, null, null, null, '{{a,b},{NULL,"d e"}}', '{}', '{}', '{}', '{}'`,
}

const postgres = realPostgres()

async function open() {
  const url = await postgres.analytics([types, composite])
  const client = await postgres.client(url)
  await client.query(`
    create type public.mood as enum ('happy', 'so so');
    create table public.everything (id bigint primary key, u uuid, t text, s smallint, i integer, n numeric, money numeric(14,2), r real, d double precision, b boolean, day date, clock time, local timestamp,
      moment timestamptz, span interval, j json, jb jsonb, bytes bytea, ip inet, mood public.mood, "Odd ""name""" text, texts text[], numbers numeric[], moments timestamptz[], documents jsonb[], moods public.mood[]);
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
