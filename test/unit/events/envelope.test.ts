import fc from 'fast-check'
import { describe, expect, test } from 'vitest'
import { type Change, eventIdOf } from '../../../shared/events/change.ts'
import { decode, encode, encodeKeyOnly, recordId } from '../../../shared/events/envelope.ts'
import { change, recordOf, rowText } from '../../support/arbitraries.ts'

const context = { ref: 'local', claimedAt: '2026-11-22T18:00:00.200Z', traceparent: '00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01' }

const lead: Change = {
  version: 1_795_370_400_000_001,
  table: 'public.leads',
  topic: 'afluente.public.leads',
  key: '["3f1b"]',
  op: 'update',
  before: null,
  after: '{"id":"3f1b","estimated_value":12345678901234567890.10,"n":9007199254740993}',
  occurredAt: '2026-11-22T18:00:00.123456Z',
  traceparent: null,
}

describe('a change becomes an event and comes back', () => {
  test('with every image byte for byte, whatever its numbers, quotes, line breaks and planes', () => {
    fc.assert(
      fc.property(change, (change) => {
        const record = recordOf(encode(change, context), { partition: 3, offset: '17' })
        const { topic: _, ...rest } = change
        expect(decode(record)).toEqual({
          ok: true,
          event: {
            ...rest,
            id: eventIdOf(change.table, change.version),
            source: `/supabase/local/${encodeURIComponent(change.table).replace('.', '/')}`,
            traceparent: change.traceparent ?? context.traceparent,
            claimedAt: context.claimedAt,
            publishedAtMs: record.timestampMs,
            record,
          },
        })
      }),
      { numRuns: 500 },
    )
  })

  test('and its value is the JSON that people are promised', () => {
    fc.assert(
      fc.property(
        fc.dictionary(fc.string({ minLength: 2 }), fc.jsonValue()).map((row) => JSON.stringify(row)),
        (after) => {
          expect(JSON.parse(encode({ ...lead, after }, context).value)).toEqual({ op: 'update', before: null, after: JSON.parse(after) })
        },
      ),
    )
  })

  test('the same change gives the same bytes', () => {
    expect(encode(lead, context)).toEqual(encode({ ...lead }, { ...context }))
  })
})

describe('a value that somebody else wrote', () => {
  const told = (value: string) => {
    const decoded = decode({ ...recordOf(encode(lead, context)), value })
    return decoded.ok ? { op: decoded.event.op, before: decoded.event.before, after: decoded.event.after } : decoded.why.code
  }

  test('is read with any spacing, order and further members, its images untouched', () => {
    fc.assert(
      fc.property(rowText, rowText, fc.constantFrom('', ' ', '\n  '), fc.constantFrom('insert', 'update', 'read'), (before, after, space, op) => {
        expect(
          told(`${space}{${space}"after"${space}:${space}${after},${space}"schema":{"v":[1]},"before":${space}${before}${space},"op":"${op}"${space}}`),
        ).toEqual({ op, before, after })
      }),
    )
  })

  test('a delete may lack its image', () => {
    expect(told('{"op":"delete"}')).toEqual({ op: 'delete', before: null, after: null })
    expect(told('{"op":"delete","before":null,"after":null}')).toEqual({ op: 'delete', before: null, after: null })
  })

  test.each([
    ['', 'not-json'],
    ['hello', 'not-json'],
    ['{"op":"insert"', 'not-json'],
    ['[]', 'not-json'],
    ['{}', 'not-a-change'],
    ['{"op":"insert","before":null,"after":null}', 'not-a-change'],
    ['{"op":"insert","before":null,"after":[1]}', 'not-a-change'],
    ['{"op":"read","before":null,"after":null}', 'no-image'],
    ['{"op":"read"}', 'no-image'],
    ['{"op":"truncate","before":null,"after":null}', 'not-a-change'],
    ['{"op":"upsert","before":null,"after":{"a":1}}', 'not-a-change'],
    ['{"op":"toString","before":null,"after":{"a":1}}', 'not-a-change'],
    ['{"op":5,"before":null,"after":{"a":1}}', 'not-a-change'],
    ['{"op":"delete","before":null,"after":{"a":1}}', 'not-a-change'],
  ])('%s is no change: %s', (value, code) => {
    expect(told(value)).toBe(code)
  })

  test('what follows an image is never taken for a part of it', () => {
    for (const value of [
      '{"op":"insert","before":null,"after":{"a":1},{"a":2}}',
      '{"op":"insert","before":null,"after":{"a":1},"x":{"a":2}}',
      '{"op":"insert","before":null,"after":{"a":1}}}',
      '{"op":"delete","before":{"a":1},{"a":2},"after":null}',
      '{"op":"delete","before":{"a":1},"x":{"a":2},"after":null}',
    ]) {
      const body = told(value)
      const images = typeof body === 'string' ? [] : [body.before, body.after].filter((image) => image !== null)
      expect(() => images.map((image) => JSON.parse(image)), value).not.toThrow()
    }
  })
})

describe('a truncate', () => {
  const truncate: Change = { ...lead, key: '[]', op: 'truncate', before: null, after: null }
  const message = encode(truncate, context)
  const told = (over: Partial<ReturnType<typeof recordOf>>) => {
    const decoded = decode({ ...recordOf(message), ...over })
    return decoded.ok ? decoded.event.op : decoded.why.code
  }

  test('goes under the key of no row, with its floor as version, and comes back', () => {
    expect(message).toMatchObject({
      key: '[]',
      value: '{"op":"truncate","before":null,"after":null}',
      headers: { ce_type: 'afluente.table.truncated', ce_id: `public.leads:${lead.version}`, ce_sequence: String(lead.version), ce_subject: '[]' },
    })
    expect(decode(recordOf(message))).toMatchObject({ ok: true, event: { op: 'truncate', key: '[]', version: lead.version, before: null, after: null } })
  })

  test('under the key of a row, or with an image, is none', () => {
    expect(told({})).toBe('truncate')
    expect(told({ key: '["a"]' })).toBe('not-a-change')
    expect(told({ value: '{"op":"truncate","before":null,"after":{"a":1}}' })).toBe('not-a-change')
    expect(told({ value: '{"op":"truncate","before":{"a":1},"after":null}' })).toBe('not-a-change')
  })
})

test('a read whose image could not be read says which table to reconcile', () => {
  const decoded = decode(recordOf(encode({ ...lead, op: 'read', before: null, after: null }, context)))
  expect(decoded).toMatchObject({ ok: false, why: { code: 'no-image', message: expect.stringContaining('reconcile public.leads') } })
})

describe('a record that is no event', () => {
  const good = recordOf(encode(lead, context))
  const code = (record: typeof good) => {
    const decoded = decode(record)
    return decoded.ok ? 'ok' : decoded.why.code
  }

  test('says which part is wrong', () => {
    const { ce_id: id, ce_sequence: sequence, ...others } = good.headers
    expect(code(good)).toBe('ok')
    expect(code({ ...good, headers: { ...others, ce_sequence: sequence } })).toBe('no-identity')
    expect(code({ ...good, headers: { ...others, ce_id: id } })).toBe('no-identity')
    for (const wrong of ['', '0', '-1', '1.5', 'NaN', '9007199254740993', 'x'])
      expect(code({ ...good, headers: { ...good.headers, ce_sequence: wrong } }), wrong).toBe('no-identity')
    expect(code({ ...good, headers: { ...good.headers, ce_id: 'public.leads:1' } })).toBe('no-identity')
    expect(code({ ...good, headers: { ...good.headers, ce_id: 'leads' } })).toBe('no-identity')
    for (const key of [null, '', 'abc', '{"id":1}', '"a"']) expect(code({ ...good, key }), String(key)).toBe('no-key')
    expect(code({ ...good, value: null })).toBe('not-json')
  })

  test('never makes decode throw, whatever its key, value, headers and time', () => {
    const text = fc.oneof(
      fc.string({ unit: 'binary' }),
      fc.constantFrom('[1]', '{"op":"', '{"op":"delete","before":{', '{"op":"insert","before":null,"after":{}}', '},"after":null}'),
    )
    const wild = fc.record({
      key: fc.option(text),
      value: fc.option(text),
      timestampMs: fc.oneof(fc.integer(), fc.double(), fc.constantFrom(-1, 9e18)),
      headers: fc.dictionary(
        fc.constantFrom('ce_id', 'ce_sequence', 'ce_oversized', 'ce_source', 'traceparent'),
        fc.oneof(
          fc.option(text, { nil: undefined }),
          fc.uint8Array().map((bytes) => Buffer.from(bytes)),
          fc.constantFrom('public.leads:5', '5'),
        ),
      ),
    })
    fc.assert(
      fc.property(wild, ({ headers, ...rest }) => {
        const record = { topic: 't', partition: 0, offset: '9', ...rest, headers }
        expect(['boolean']).toContain(typeof decode(record).ok)
        expect(typeof recordId(record)).toBe('string')
        const rightlyNamed = { ...record, key: '["a"]', headers: { ...headers, ce_id: 'public.leads:5', ce_sequence: '5' } }
        expect(['boolean']).toContain(typeof decode(rightlyNamed).ok)
      }),
      { numRuns: 1_000 },
    )
  })

  test('without a time in its headers has the time of its record, and none beyond what a date can hold stops it', () => {
    const { ce_time: _, ...headers } = good.headers
    const at = (timestampMs: number) => {
      const decoded = decode({ ...good, headers, timestampMs })
      return decoded.ok ? decoded.event.occurredAt : decoded.why.code
    }
    expect(at(1_795_370_400_000)).toBe('2026-11-22T18:00:00.000Z')
    expect(at(9e18)).toBe('1970-01-01T00:00:00.000Z')
    expect(at(Number.NaN)).toBe('1970-01-01T00:00:00.000Z')
  })

  test('is named by its place when it names itself by nothing', () => {
    expect(recordId(good)).toBe('public.leads:1795370400000001')
    expect(recordId({ ...good, headers: {}, partition: 2, offset: '41' })).toBe('afluente.public.leads:2:41')
  })
})

describe('a change that is too large', () => {
  test('goes as its key alone, marked, and comes back as a dead letter with its size', () => {
    const message = encodeKeyOnly(lead, context, 9_000_000)
    expect(message.key).toBe(lead.key)
    expect(message.value).toBe('{"op":"update","before":null,"after":null}')
    expect(message.headers['ce_id']).toBe('public.leads:1795370400000001')
    const decoded = decode(recordOf(message))
    expect(decoded).toMatchObject({ ok: false, why: { code: 'too-large' } })
    expect(decoded.ok ? '' : decoded.why.message).toContain('9000000')
  })

  test('and is a delete is applied all the same: else the row before would stay in the sinks for ever', () => {
    const message = encodeKeyOnly({ ...lead, op: 'delete', before: '{"id":"3f1b"}', after: null }, context, 9_000_000)
    expect(decode(recordOf(message))).toMatchObject({ ok: true, event: { op: 'delete', key: lead.key, before: null, after: null } })
  })
})
