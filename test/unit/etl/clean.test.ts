import { describe, expect, test } from 'vitest'
import { cleanerOf } from '../../../shared/steps/clean.ts'
import type { EtlColumn } from '../../../shared/tables/etl-job.ts'

/** What becomes of one value: its text, null, or why it is rejected. */
function clean(column: EtlColumn, value: string | null): string | null {
  const done = cleanerOf({ it: column })({ it: value })
  return done.ok ? (done.values[0] ?? null) : done.code
}

describe('cleaning', () => {
  test.each<[EtlColumn, string | null, string | null]>([
    [{ type: 'text' }, '  kept ', '  kept '],
    [{ type: 'text', clean: ['trim'] }, '  Ana \n', 'Ana'],
    [{ type: 'text' }, '', ''],
    [{ type: 'text', clean: ['blank-to-null'] }, ' \t', null],
    [{ type: 'text', clean: ['nan-to-null'] }, 'NaT', null],
    [{ type: 'text', clean: ['nan-to-null'] }, 'Nathan', 'Nathan'],
    [{ type: 'double precision', clean: ['nan-to-null'] }, 'NaN', null],
    [{ type: 'double precision' }, 'NaN', 'NaN'],
    [{ type: 'double precision', clean: ['infinity-to-null'] }, '-Infinity', null],
    [{ type: 'timestamptz', clean: ['infinity-to-null', 'utc'] }, 'infinity', null],
    [{ type: 'text', clean: ['email'] }, ' Ana@Example.COM ', 'ana@example.com'],
    [{ type: 'text', clean: ['phone'] }, '+55 (11) 99999-0000', '+5511999990000'],
    [{ type: 'text', clean: ['phone'] }, '0055 11 99999 0000', '+5511999990000'],
    [{ type: 'text', clean: ['phone'] }, '11 99999-0000', '11999990000'],
    [{ type: 'text', clean: ['phone'] }, 'none given', 'none given'],
    [{ type: 'timestamptz', clean: ['utc'] }, '2026-05-01 10:00:00.123456', '2026-05-01 10:00:00.123456+00'],
    [{ type: 'timestamptz', clean: ['utc'] }, '2026-05-01T10:00:00', '2026-05-01 10:00:00+00'],
    [{ type: 'timestamptz', clean: ['utc'] }, '2026-05-01 10:00:00-03', '2026-05-01 10:00:00-03'],
    [{ type: 'timestamptz', clean: ['utc'] }, '0044-03-15 12:00:00 BC', '0044-03-15 12:00:00+00 BC'],
    [{ type: 'timestamptz', clean: ['utc'] }, 'yesterday', 'not-a-time'],
    [{ type: 'timestamptz' }, '2026-02-29 10:00:00+00', 'not-a-time'],
    [{ type: 'timestamptz' }, '2024-02-29 24:00:00+15:59', '2024-02-29 24:00:00+15:59'],
    [{ type: 'timestamptz' }, '2026-11-01 10:00:00+16', 'not-a-time'],
    [{ type: 'timestamp' }, '294277-01-01', 'out-of-range'],
    [{ type: 'date' }, '294277-01-01', '294277-01-01'],
    [{ type: 'time' }, '25:00', 'not-a-time'],
    [{ type: 'real' }, '1e39', 'out-of-range'],
    [{ type: 'double precision' }, '1e39', '1e39'],
    [{ type: 'double precision' }, '0e-999', '0e-999'],
    [{ type: 'numeric' }, '1e131072', 'out-of-range'],
    [{ type: 'json' }, '"\\u0000"', '"\\u0000"'],
    [{ type: 'jsonb' }, '"\\u0000"', 'not-jsonb'],
    [{ type: 'jsonb' }, '"\\\\u0000"', '"\\\\u0000"'],
    [{ type: 'jsonb' }, '{a: 1}', 'not-json'],
    [{ type: 'smallint' }, '32768', 'out-of-range'],
    [{ type: 'smallint' }, '-32768', '-32768'],
    [{ type: 'integer' }, '12.0', '12'],
    [{ type: 'integer' }, '12.5', 'not-a-number'],
    [{ type: 'bigint' }, '9223372036854775808', 'out-of-range'],
    [{ type: 'bigint' }, '9223372036854775807', '9223372036854775807'],
    [{ type: 'integer', between: [0, 10] }, '11', 'out-of-range'],
    [{ type: 'integer', between: [0, 10] }, '10', '10'],
    [{ type: 'numeric(14,2)' }, '1e3', '1e3'],
    [{ type: 'numeric' }, 'ten', 'not-a-number'],
    [{ type: 'boolean' }, 'true', 't'],
    [{ type: 'boolean' }, 'maybe', 'not-a-boolean'],
    [{ type: 'uuid' }, 'not one', 'not-a-uuid'],
    [{ type: 'integer', clean: ['trim', 'blank-to-null'] }, '  ', null],
    [{ type: 'integer' }, null, null],
  ])('%j: %j becomes %j', (column, value, expected) => {
    expect(clean(column, value)).toBe(expected)
  })

  test('gives numbers their words, keeps those without one, and counts them', () => {
    const row = cleanerOf({ status: { type: 'text', words: ['open', 'resolved'] }, priority: { type: 'text', words: ['low'] } })
    expect(row({ status: '1', priority: 'low' })).toEqual({ ok: true, values: ['resolved', 'low'], unknown: 0 })
    expect(row({ status: '7', priority: 'unknown(9)' })).toEqual({ ok: true, values: ['unknown(7)', 'unknown(9)'], unknown: 2 })
    expect(row({ status: '-1', priority: null })).toEqual({ ok: true, values: ['unknown(-1)', null], unknown: 1 })
  })

  test('names the column that is wrong, and says nothing of its value', () => {
    const done = cleanerOf({ a: { type: 'text' }, b: { type: 'integer' } })({ a: 'x', b: 'secret 12' })
    expect(done).toEqual({ ok: false, column: 'b', code: 'not-a-number', reason: expect.not.stringContaining('secret') })
  })

  test('keeps the order of the columns, and reads a column that is missing as NULL', () => {
    expect(cleanerOf({ b: { type: 'text' }, a: { type: 'text' } })({ a: '1' })).toEqual({ ok: true, values: [null, '1'], unknown: 0 })
  })
})
