import { describe, expect, test } from 'vitest'
import { definitionHash } from '../../../shared/engine/etl-definition.ts'
import { conversations } from '../../../shared/tables/conversas_analytics.ts'

const { columns } = conversations

describe('a definition’s hash', () => {
  test('is the same for what makes the same rows', async () => {
    const before = await definitionHash(conversations)
    expect(before).toMatch(/^[0-9a-f]{16}$/)
    const turned = Object.fromEntries(Object.entries(columns).toReversed())
    for (const same of [
      { ...conversations, columns: turned },
      { ...conversations, pageRows: 7 },
      { ...conversations, overlap: '1d', margin: '1m' },
      { ...conversations, deletes: 'remove' as const },
    ])
      expect(await definitionHash(same)).toBe(before)
  })

  test('changes with whatever makes other rows', async () => {
    const before = await definitionHash(conversations)
    const { labels: _, ...fewer } = columns
    for (const other of [
      { ...conversations, columns: fewer },
      { ...conversations, columns: { ...columns, more: { type: 'text' } as const } },
      { ...conversations, columns: { ...columns, status: { type: 'text' } as const } },
      { ...conversations, columns: { ...columns, status: { type: 'text', words: ['open'] } as const } },
      { ...conversations, columns: { ...columns, display_id: { type: 'bigint' } as const } },
      { ...conversations, columns: { ...columns, display_id: { type: 'integer', between: [0, 5] } as const } },
      { ...conversations, columns: { ...columns, account_name: { type: 'text', clean: ['trim'] } as const } },
      { ...conversations, source: { ...conversations.source, relation: 'public.other' } },
      { ...conversations, key: ['conversation_id', 'account_id'] },
      { ...conversations, cursor: 'conversation_created_at' },
      { ...conversations, deletes: 'ignore' as const },
    ])
      expect(await definitionHash(other)).not.toBe(before)
  })
})
