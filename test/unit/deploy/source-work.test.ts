import type pg from 'pg'
import { expect, test } from 'vitest'
import { unhurried } from '../../../infra/deploy/source-work.ts'

test('a long statement is one message, which the server commits by itself: nobody who dies meanwhile keeps its locks', async () => {
  const sent: string[] = []
  const query = (text: string) => {
    sent.push(text)
    return Promise.resolve([{ rows: [] }, { rows: [{ answer: 7 }] }])
  }
  expect(await unhurried({ query } as unknown as pg.Client, 'select afluente.set_shards(7) as answer')).toBe(7)
  expect(sent).toEqual(['set local statement_timeout = 0; select afluente.set_shards(7) as answer'])
})
