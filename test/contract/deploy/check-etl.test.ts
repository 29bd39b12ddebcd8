import { expect, test } from 'vitest'
import { checkEtl } from '../../../infra/deploy/check-etl.ts'
import { prepareChatwoot } from '../../../infra/local/prepare-chatwoot.ts'
import { pipeline } from '../../../shared/pipeline.ts'
import { realPostgres } from '../sink/postgres-server.ts'

const postgres = realPostgres()
const check = (chatwootUrl: string | undefined) => checkEtl({ pipeline, chatwootUrl, signal: new AbortController().signal })

test('a source that has all that its jobs want is told as such, with the index that would help', async () => {
  const chatwootUrl = await postgres.emptyDatabase()
  await prepareChatwoot({ url: chatwootUrl, readerPassword: 'a-reader-of-tests', conversations: 0 })
  expect(await check(chatwootUrl)).toEqual([
    'etl: conversations finds public.vw_conversations_analytics_final as defined',
    expect.stringContaining('create index concurrently on "public"."conversations"'),
  ])
})

test('a source that lacks a column, or the whole view, is refused with both sides named', async () => {
  const chatwootUrl = await postgres.emptyDatabase()
  await expect(check(chatwootUrl)).rejects.toMatchObject({ kind: 'misconfigured', message: expect.stringContaining('infra/chatwoot/view.sql') })
  const client = await postgres.client(chatwootUrl)
  await client.query('create view vw_conversations_analytics_final as select true as conversation_id')
  await expect(check(chatwootUrl)).rejects.toMatchObject({
    kind: 'misconfigured',
    message: expect.stringMatching(
      /conversation_id is boolean.*status \(text\) is missing[\s\S]*defined: [\s\S]*public\.vw_conversations_analytics_final: conversation_id boolean/,
    ),
  })
})

test('a source that does not answer holds up no deploy, and its password is not told', async () => {
  const [line, ...more] = await check('postgres://me:topsecret@127.0.0.1:1/chatwoot')
  expect(line).toMatch(/^etl: not compared with its source: .*CHATWOOT_DATABASE_URL/)
  expect([line, more].join()).not.toContain('topsecret')
  expect(await check(undefined)).toEqual([])
})
