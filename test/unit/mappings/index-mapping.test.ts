import { describe, expect, test } from 'vitest'
import { aliasFilterOf, floorOfFilter, indexNameOf, mappingOf, templateOf } from '../../../shared/mappings/index-mapping.ts'
import { pipeline } from '../../../shared/pipeline.ts'
import { type ColumnType, table } from '../../../shared/tables/table.ts'

const oneColumn = (type: ColumnType, kind?: string) => {
  const { properties } = mappingOf(table({ schema: 'public', name: 'things', key: ['c'], columns: { c: type } }), {
    version: 1,
    ...(kind === undefined ? {} : { fields: { c: kind } }),
  })
  return properties['c']
}

describe('a column is mapped so that no good value is refused', () => {
  test.each<[ColumnType, object]>([
    ['text', { type: 'keyword', ignore_above: 8191 }],
    ['uuid', { type: 'keyword', ignore_above: 8191 }],
    ['bigint', { type: 'long', ignore_malformed: true }],
    ['numeric(14,2)', { type: 'double', ignore_malformed: true }],
    ['timestamptz', { type: 'date', ignore_malformed: true }],
    ['boolean', { type: 'boolean', ignore_malformed: true }],
    ['jsonb', { type: 'object', enabled: false }],
    ['bytea', { type: 'object', enabled: false }],
  ])('%s', (type, expected) => {
    expect(oneColumn(type)).toMatchObject(expected)
  })

  test('an array like its element', () => {
    expect(oneColumn('numeric(14,2)[]')).toEqual(oneColumn('numeric'))
    expect(oneColumn('timestamptz[]')).toEqual(oneColumn('timestamptz'))
  })
})

describe('the definition may ask for another kind', () => {
  test('text, with the whole value beside it', () => {
    expect(oneColumn('text', 'text')).toEqual({ type: 'text', fields: { raw: { type: 'keyword', ignore_above: 8191 } } })
  })

  test('and is told when the column can’t have it', () => {
    expect(() => oneColumn('jsonb', 'text')).toThrow("things.c is jsonb and can't be indexed as 'text'. Choose flattened, object, unindexed")
    expect(() => oneColumn('text', 'flattened')).toThrow(RangeError)
    expect(() => oneColumn('text', 'toString')).toThrow(RangeError)
  })
})

describe('an index', () => {
  test('is named by the table in lower case and the version', () => {
    expect(indexNameOf({ name: 'Lead' }, 3)).toBe('lead-v3')
    for (const bad of ['my leads', '_leads', 'a/b', 'ä'.repeat(121)]) expect(() => indexNameOf({ name: bad }, 1)).toThrow(RangeError)
  })

  test('never grows fields by itself and is never made by a write', () => {
    for (const source of pipeline.tables) {
      const template = templateOf(source, { version: 1 })
      expect(template.allow_auto_create).toBe(false)
      expect(template.template.mappings.dynamic).toBe(false)
      expect(Object.keys(template.template.mappings.properties)).toEqual(['afluente', ...Object.keys(source.columns)])
    }
  })
})

describe('the filter of an alias', () => {
  const floor = 1_795_370_400_000_001

  test('hides what is deleted, and with a floor what is not above it', () => {
    expect(aliasFilterOf(0)).toEqual({ term: { 'afluente.deleted': false } })
    expect(aliasFilterOf(floor)).toEqual({ bool: { filter: [{ term: { 'afluente.deleted': false } }, { range: { 'afluente.version': { gt: floor } } }] } })
  })

  test('says its floor, also as the server prints it; a stranger’s filter has none', () => {
    expect(floorOfFilter(aliasFilterOf(floor))).toBe(floor)
    expect(floorOfFilter({ bool: { filter: [{ range: { 'afluente.version': { gt: floor, boost: 1 } } }] } })).toBe(floor)
    for (const other of [undefined, null, {}, aliasFilterOf(0), { range: { version: { gt: 5 } } }]) expect(floorOfFilter(other)).toBe(0)
  })
})
