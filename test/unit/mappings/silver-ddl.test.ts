import { describe, expect, test } from 'vitest'
import { generatedFiles, isGenerated } from '../../../shared/mappings/silver-ddl.ts'

const pipeline = {
  tables: [{ schema: 'public', name: 'orders', key: ['shop', 'number'], columns: { number: 'bigint', shop: 'text', state: 'enum' } }],
  topics: { partitions: 1, maxMessageBytes: 65_536, retention: '7d' },
  consumers: {},
} as const

describe('the generated SQL', () => {
  const [table, view] = generatedFiles(pipeline)

  test('has one file for the table and one for the view, known as generated', () => {
    expect([table?.name, view?.name]).toEqual(['0300_silver_orders.sql', '0400_bi_orders.sql'])
    for (const file of [table, view]) expect(isGenerated(file?.name ?? '')).toBe(true)
    for (const other of ['0100_bronze_events.sql', '0900_silver_things.sql', '0300_silver_orders.txt']) expect(isGenerated(other)).toBe(false)
  })

  test('keeps the columns in their order, the key in its own, and adds what silver needs', () => {
    expect(table?.text).toContain(`(
  "number" bigint,
  "shop" text,
  "state" text,
  _version bigint not null,
  _deleted_at timestamptz,
  _event_id text,
  _synced_at timestamptz,
  primary key ("shop", "number")
)`)
  })

  test('gives the table a floor for batches to lock, and leaves one that is there', () => {
    expect(table?.text).toContain("insert into ops.floor (source_table) values ('public.orders') on conflict do nothing;")
  })

  test('shows only living rows, under the rights of whoever looks', () => {
    expect(view?.text).toContain('with (security_invoker = true)')
    expect(view?.text).toContain('where _deleted_at is null')
  })

  test('the same definition gives the same bytes', () => {
    expect(generatedFiles(pipeline)).toEqual(generatedFiles(structuredClone(pipeline)))
  })
})
