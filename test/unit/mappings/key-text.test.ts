import { describe, expect, test } from 'vitest'
import { elementsOf } from '../../../shared/events/json-text.ts'
import { keyTextOf } from '../../../shared/mappings/key-text.ts'
import { table, type ColumnType } from '../../../shared/tables/table.ts'

const keyed = (...types: readonly ColumnType[]) => {
  const columns = Object.fromEntries(types.map((type, at) => [`k${at}`, type]))
  return table({ schema: 'public', name: 't', key: Object.keys(columns), columns })
}

describe('a key as a person has it', () => {
  test.each<[ColumnType, string, string | null]>([
    ['uuid', '3F2504E0-4F89-11D3-9A0C-0305E82C3301', '["3f2504e0-4f89-11d3-9a0c-0305e82c3301"]'],
    ['uuid', '["3f2504e0-4f89-11d3-9a0c-0305e82c3301"]', '["3f2504e0-4f89-11d3-9a0c-0305e82c3301"]'],
    ['uuid', 'Ana', null],
    ['integer', '7', '[7]'],
    ['integer', ' [ 007 ] ', '[7]'],
    ['integer', '-7', '[-7]'],
    ['integer', 'seven', null],
    ['integer', '[7, 8]', null],
    ['bigint', '9007199254740993', '[9007199254740993]'],
    ['numeric(14,2)', '1.50', '[1.50]'],
    ['numeric', 'NaN', '["NaN"]'],
    ['double precision', '1e-7', '[1e-7]'],
    ['boolean', 't', '[true]'],
    ['boolean', 'yes', null],
    ['text', 'a "quoted"\\ name', '["a \\"quoted\\"\\\\ name"]'],
    ['text', '123', '["123"]'],
    ['text', '["a\\u0062"]', '["ab"]'],
    ['text', '[', '["["]'],
    ['enum', 'open', '["open"]'],
    ['date', '2026-11-22', '["2026-11-22"]'],
  ])('of %s: %s', (type, given, expected) => {
    expect(keyTextOf(keyed(type), given)).toBe(expected)
  })

  test('of several columns is the array, with the blanks that Postgres puts there', () => {
    expect(keyTextOf(keyed('text', 'integer'), '["a-b",7]')).toBe('["a-b", 7]')
    expect(keyTextOf(keyed('text', 'integer'), 'a-b')).toBeNull()
    expect(keyTextOf(keyed('text', 'integer'), '["a-b", 7, 8]')).toBeNull()
    expect(keyTextOf(keyed('text', 'integer'), '["a-b", "seven"]')).toBeNull()
  })
})

test('the elements of an array are its texts, and no array has none', () => {
  expect(elementsOf(' [1.00, "a,]", {"b": [2]} ,[3] ] ')).toEqual(['1.00', '"a,]"', '{"b": [2]}', '[3]'])
  expect(elementsOf('[]')).toEqual([])
  for (const none of ['', '1', '{}', '[1', '[1,]', '[1] 2', '["\\x"]', '[1 2]', '[']) expect(elementsOf(none), none).toBeNull()
})
