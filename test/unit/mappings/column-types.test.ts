import { describe, expect, test } from 'vitest'
import { quoted, rawJsonColumns, silverType } from '../../../shared/mappings/column-types.ts'

describe('the type of a column in silver', () => {
  test.for([
    ['uuid', 'uuid'],
    ['smallint', 'smallint'],
    ['double precision', 'double precision'],
    ['text[]', 'text[]'],
    ['json', 'json'],
  ] as const)('%s stays %s', ([type, wanted]) => {
    expect(silverType(type)).toBe(wanted)
  })

  test.for([
    ['enum', 'text'],
    ['enum[]', 'text[]'],
    ['citext', 'text'],
    ['numeric(14,2)', 'numeric'],
    ['numeric(14,2)[]', 'numeric[]'],
  ] as const)('%s becomes %s, which refuses nothing that the source may hold', ([type, wanted]) => {
    expect(silverType(type)).toBe(wanted)
  })

  test('only json goes unread: jsonb can hold nothing that Postgres would not read', () => {
    expect(rawJsonColumns({ schema: 's', name: 't', key: ['id'], columns: { id: 'uuid', j: 'json', b: 'jsonb', a: 'json[]' } })).toEqual(['j'])
  })

  test('a name with quotes stays one name', () => {
    expect(quoted('a "b"; drop')).toBe('"a ""b""; drop"')
  })
})
