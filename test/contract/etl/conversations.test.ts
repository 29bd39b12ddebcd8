/** The job `conversations` against a Chatwoot, with a role that may read its view and nothing else. */
import { readFileSync } from 'node:fs'
import { join } from 'node:path'
import { randomUUID } from 'node:crypto'
import { describe, expect, test } from 'vitest'
import { prepareChatwoot } from '../../../infra/local/prepare-chatwoot.ts'
import { systemClock } from '../../../shared/adapters/clock.ts'
import { judgeType } from '../../../shared/adapters/postgres/etl-columns.ts'
import { postgresEtlControl } from '../../../shared/adapters/postgres/etl-control.ts'
import { postgresEtlSource } from '../../../shared/adapters/postgres/etl-source.ts'
import { postgresEtlStore } from '../../../shared/adapters/postgres/etl-store.ts'
import { sourceDb } from '../../../shared/adapters/postgres/source-db.ts'
import { createEtlStep } from '../../../shared/engine/etl-run.ts'
import type { LoadType } from '../../../shared/ports/etl-control.ts'
import { conversations } from '../../../shared/tables/conversas_analytics.ts'
import { root } from '../../support/repository.ts'
import { realPostgres } from '../sink/postgres-server.ts'
import { silent, unreadTopics } from './world.ts'

const postgres = realPostgres()
const { signal } = new AbortController()

describe('the job conversations', () => {
  test('loads a seeded Chatwoot, then nothing; then exactly a delete, an update and a write that skips updated_at', async () => {
    const url = await postgres.emptyDatabase()
    await prepareChatwoot({ url, readerPassword: 'reads-only', conversations: 300 })
    const chatwoot = await postgres.client(url)
    const reader = new URL(url)
    reader.username = 'afluente_reader'
    reader.password = 'reads-only'
    const db = postgres.pool(await postgres.analytics())
    const reading = sourceDb({ connectionString: reader.href, setting: 'CHATWOOT_DATABASE_URL' })
    postgres.closing(() => reading.close())
    const control = postgresEtlControl({ db })
    const step = createEtlStep({
      jobs: { conversations },
      sources: () => postgresEtlSource({ db: reading }),
      store: postgresEtlStore({ db }),
      topics: unreadTopics(),
      judge: judgeType,
      clock: systemClock(),
      log: silent,
      random: () => 0.5,
    })
    const run = async (loadType: LoadType) => {
      const { run: started } = await control.start(
        { id: randomUUID(), job: 'conversations', loadType, triggeredBy: 'manual', from: null, to: null, dryRun: false, codeVersion: null },
        { signal },
      )
      const end = await step({ run: started.id, owner: 'test', budgetMs: 60_000, signal })
      if (end.status !== 'ended') throw new Error(`it did not end: ${JSON.stringify(end)}`)
      return end.run
    }
    expect(await run('incremental')).toMatchObject({ status: 'success', loadType: 'full', extracted: 300, inserted: 300, rejected: 0, error: null })
    expect(await run('incremental')).toMatchObject({ status: 'success', inserted: 0, updated: 0, deleted: 0 })
    expect(await run('reconcile')).toMatchObject({ seen: 300, extracted: 0, deleted: 0 })

    await chatwoot.query(`update conversations set status = 1, updated_at = clock_timestamp() at time zone 'UTC' where id = 10`)
    await chatwoot.query(`update conversations set waiting_since = clock_timestamp() at time zone 'UTC' where id = 20`)
    await chatwoot.query('delete from conversations where id = 30')
    expect(await run('incremental')).toMatchObject({ extracted: 1, updated: 1, caughtByOverlap: 0 })
    expect(await run('reconcile')).toMatchObject({ extracted: 1, updated: 1, deleted: 1, caughtByReconcile: 2 })

    const { rows } = await db.query(
      {
        text: `select count(*) as n, sum(messages_total) as messages, count(distinct contact_email) as mails, bool_and(contact_email = lower(contact_email)) as lower, count(first_response_seconds) as answered
          from bi.conversas_analytics`,
        values: [],
      },
      { signal },
    )
    const { rows: truth } = await chatwoot.query(
      `select count(*)::text as n, sum(messages_total)::text as messages, count(distinct lower(contact_email))::text as mails, 't' as lower, count(first_response_seconds)::text as answered from vw_conversations_analytics_final`,
    )
    expect(rows).toEqual(truth)
    // It reads the view, and none of Chatwoot's own tables.
    await expect(reading.read({ text: 'select from users', values: [] }, { signal })).rejects.toMatchObject({ code: '42501' })
  })

  test('takes no column that holds a secret of Chatwoot’s', () => {
    const schema = readFileSync(join(root, 'infra/chatwoot/schema.sql'), 'utf8')
    for (const secret of ['encrypted_password', 'tokens', 'pubsub_token']) {
      expect(schema).toContain(secret)
      expect(Object.keys(conversations.columns)).not.toContain(secret)
    }
  })
})
