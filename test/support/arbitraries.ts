/** What tests draw at random: JSON as Postgres may print it, keys, changes. */
import fc from 'fast-check'
import { type Change, TRUNCATE_KEY } from '../../shared/events/change.ts'
import type { LogRecord, OutboundMessage } from '../../shared/events/envelope.ts'

/** Numbers as text: integers beyond 2^53, numeric of many digits, exponents. */
export const numberText = fc.oneof(
  fc.bigInt({ min: -(2n ** 80n), max: 2n ** 80n }).map(String),
  fc.stringMatching(/^-?(0|[1-9]\d{0,29})\.\d{1,30}$/),
  fc.stringMatching(/^[1-9](\.\d{1,5})?[eE][+-]?\d{1,3}$/),
  fc.constantFrom('0', '-0', '1.0', '1.00', '9007199254740993', '12345678901234567890.123456789012345678'),
)

/** Strings as JSON: quotes, backslashes, line breaks, control characters, any plane, escapes that JSON.stringify would not write. */
export const stringText = fc.oneof(
  fc.string({ unit: 'binary' }).map((text) => JSON.stringify(text)),
  fc.string({ unit: 'grapheme' }).map((text) => JSON.stringify(text)),
  fc.constantFrom(
    String.raw`"\u0000"`,
    String.raw`"\ud800"`,
    String.raw`"\/"`,
    String.raw`"\\\""`,
    String.raw`"\\"`,
    '"}"',
    '"]},"',
    String.raw`"\"},\"after\":null}"`,
    '"\u2028"',
    '"\u{1F600}"',
  ),
)

const space = fc.constantFrom('', '', '', ' ', '  ', '\t', '\n', '\r\n')

/** The text of any JSON value, with spacing of its own. */
export const jsonText: fc.Arbitrary<string> = fc.letrec<{ value: string }>((tie) => ({
  value: fc.oneof(
    { depthSize: 'small', withCrossShrink: true },
    fc.constantFrom('null', 'true', 'false'),
    numberText,
    stringText,
    fc.tuple(space, fc.array(tie('value'), { maxLength: 3 }), space).map(([before, items, after]) => `[${before}${items.join(`${after},${before}`)}${after}]`),
    fc
      .tuple(space, fc.array(fc.tuple(stringText, tie('value')), { maxLength: 3 }), space)
      .map(
        ([before, members, after]) => `{${before}${members.map(([name, value]) => `${name}${after}:${before}${value}`).join(`${after},${before}`)}${after}}`,
      ),
  ),
})).value

/** The text of a row: an object that is not empty. */
export const rowText = fc
  .array(fc.tuple(stringText, jsonText), { minLength: 1, maxLength: 5 })
  .map((members) => `{${members.map(([name, value]) => `${name}:${value}`).join(',')}}`)

/** A key as `jsonb_build_array(…)::text` prints it. */
export const keyText = fc.array(fc.oneof(stringText, numberText), { minLength: 1, maxLength: 3 }).map((columns) => `[${columns.join(', ')}]`)

export const change: fc.Arbitrary<Change> = fc
  .record({
    version: fc.integer({ min: 1, max: Number.MAX_SAFE_INTEGER }),
    table: fc.constantFrom('public.leads', 'public.chat_sessions', 'Sales.Order items', 'a.b.c'),
    key: keyText,
    op: fc.constantFrom('insert', 'update', 'delete', 'read', 'truncate'),
    images: fc.tuple(fc.option(rowText), rowText),
    occurredAt: fc.constantFrom('2026-11-22T18:00:00.123456Z', '1970-01-01T00:00:00.000000Z'),
    traceparent: fc.option(fc.constant('00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01')),
  })
  .map(({ images: [other, row], op, key, ...rest }) => ({
    ...rest,
    topic: `afluente.${rest.table}`,
    key: op === 'truncate' ? TRUNCATE_KEY : key,
    op,
    before: op === 'delete' ? row : op === 'update' ? other : null,
    after: op === 'delete' || op === 'truncate' ? null : row,
  }))

/** A message as a log hands it back. Header values come as bytes, as a Kafka client has them. */
export function recordOf(message: OutboundMessage, at: Partial<LogRecord> = {}): LogRecord {
  const headers = Object.fromEntries(Object.entries(message.headers).map(([name, value]) => [name, Buffer.from(value)]))
  return { topic: message.topic, partition: 0, offset: '0', timestampMs: 1_795_370_400_000, key: message.key, value: message.value, headers, ...at }
}
