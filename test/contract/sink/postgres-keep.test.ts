/** Bronze takes every record, whatever it is: what it can't hold as it is, it holds as text. */
import { describe, expect, test } from 'vitest'
import type { LogRecord } from '../../../shared/events/envelope.ts'
import { decode, recordId } from '../../../shared/events/envelope.ts'
import { realPostgres } from './postgres-server.ts'
import { postgresSubject } from './postgres-subject.ts'
import { hold, leadEvent, signal } from './subject.ts'

const postgres = realPostgres()

async function open() {
  const db = postgres.pool(await postgres.analytics())
  const subject = postgresSubject({ db })
  const held = await hold(subject)
  return {
    held,
    keep: (...records: readonly LogRecord[]) =>
      subject.sink.keep(
        records.map((record) => ({ record, eventId: recordId(record), table: 'public.leads', code: 'x', message: 'refused' })),
        held.fence,
        { signal },
      ),
    bronze: async () =>
      (await db.query({ text: 'select *, before::text as b, after::text as a from bronze.events order by kafka_offset', values: [] }, { signal })).rows,
  }
}

/** A record with the headers of an event and any value. */
function recordWith(value: string | null, { headers = {}, ...more }: Partial<LogRecord> = {}): LogRecord {
  const { record } = leadEvent()
  return { ...record, value, ...more, headers: { ...record.headers, ...headers } }
}

const text = (value: string) => ({ toString: () => value })

describe('bronze keeps', () => {
  test('an event that silver refused, with its images as they came', async () => {
    const { keep, bronze } = await open()
    const event = leadEvent({ op: 'update', columns: { score: 'x' } })
    await keep(event.record)
    expect(await bronze()).toMatchObject([
      {
        event_id: event.id,
        op: 'update',
        b: null,
        a: event.after,
        key: event.key,
        version: String(event.version),
        occurred_at: '2026-11-22 18:00:00.123456+00',
      },
    ])
  })

  test('a value that is no JSON, as one JSON string', async () => {
    const { keep, bronze } = await open()
    await keep(recordWith('no "json" \0 at all'))
    const [row] = await bronze()
    expect(row).toMatchObject({ op: null, b: null })
    expect(JSON.parse(String(row?.['a']))).toBe('no "json" \0 at all')
  })

  test('an image that looks like one but is none, as one JSON string of the whole value', async () => {
    const { keep, bronze } = await open()
    const value = '{"op":"insert","before":null,"after":{"id": oops}}'
    const record = recordWith(value)
    expect(decode(record).ok).toBe(true)
    await keep(record)
    const [row] = await bronze()
    expect(JSON.parse(String(row?.['a']))).toBe(value)
    expect(row).toMatchObject({ op: 'insert' })
  })

  test('an image that is JSON and still too deep for Postgres, as a string, and its neighbours as well', async () => {
    const { keep, bronze } = await open()
    const deep = `${'['.repeat(200_000)}${']'.repeat(200_000)}`
    await keep(recordWith(`{"op":"insert","before":null,"after":{"id":${deep}}}`, { offset: '1' }), recordWith('null', { offset: '2' }))
    expect((await bronze()).map((row) => row['kafka_offset'])).toEqual(['1', '2'])
  })

  test('a record without a value, a key or headers, under its place in Kafka', async () => {
    const { keep, bronze } = await open()
    await keep({ topic: 'afluente.public.leads', partition: 0, offset: '77', timestampMs: 1_795_370_400_000, key: null, value: null, headers: {} })
    expect(await bronze()).toMatchObject([
      { event_id: 'afluente.public.leads:0:77', key: null, a: null, version: null, occurred_at: null, published_at: '2026-11-22 18:00:00+00' },
    ])
  })

  test('headers that are nonsense, NULs and ids too long for an index included', async () => {
    const { keep, bronze } = await open()
    const headers = {
      ce_id: text(`public.leads:${'9'.repeat(5_000)}`),
      ce_sequence: text('9'.repeat(30)),
      ce_time: text('2026-02-31T99:00:00Z'),
      ce_claimedat: text('yesterday'),
      ce_source: text('a\0b'),
    }
    await keep(recordWith('x', { headers, key: 'k\0', offset: '5' }))
    expect(await bronze()).toMatchObject([
      { event_id: 'afluente.public.leads:0:5', version: null, occurred_at: null, claimed_at: null, source: String.raw`a\u0000b`, key: String.raw`k\u0000` },
    ])
  })

  test('nothing under an epoch that is over', async () => {
    const { keep, bronze, held } = await open()
    const db = postgres.pool(await postgres.analytics())
    const other = postgresSubject({ db })
    await expect(
      other.sink.keep([{ record: recordWith('x'), eventId: 'x', table: null, code: 'x', message: 'x' }], held.fence, { signal }),
    ).rejects.toMatchObject({ kind: 'fenced' })
    await keep(recordWith('x'))
    expect(await bronze()).toHaveLength(1)
  })

  test('an event once, though it is refused first and applied later', async () => {
    const { keep, bronze, held } = await open()
    const event = leadEvent({ name: 'redriven' })
    await keep(event.record)
    expect(await held.write(event)).toMatchObject({ accepted: 1, duplicate: 0 })
    expect(await bronze()).toHaveLength(1)
  })
})

describe('one poison event', () => {
  test.for([
    ['a value of a wrong type', { score: 'x' }, '22P02'],
    ['a number out of range', { score: 99_999 }, '22003'],
    ['a NUL in text', { name: 'a\0' }, '22P05'],
    ['a time that is none', { created_at: '2026-02-31' }, '22008'],
    ['an array that is none', { tags: 'x' }, '22P02'],
    ['a ragged array', { tags: [['a'], 'b'] }, '22P02'],
    ['a missing key', { id: null }, '23502'],
  ] as const)('%s refuses its batch by code, without a word of its values', async ([, columns, code]) => {
    const { held, bronze } = await open()
    await expect(held.write(leadEvent(), leadEvent({ columns }))).rejects.toMatchObject({ kind: 'refused', code })
    expect(await bronze()).toEqual([])
  })

  test.for([
    ['no JSON', '{"id": oops}'],
    ['two values', '{"id":null},{"id":null}'],
    ['an image of two lines that ends early', '{"id":1'],
  ])('an image that is %s reaches into no other event', async ([, after]) => {
    const { held, bronze } = await open()
    const event = leadEvent()
    await expect(held.write(leadEvent(), { ...event, after: after ?? '' }, leadEvent())).rejects.toMatchObject({ kind: 'refused' })
    expect(await bronze()).toEqual([])
  })
})
