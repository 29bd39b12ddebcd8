import { mkdtemp, rm, writeFile } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { afterAll, beforeAll } from 'vitest'
import { supabaseOutbox } from '../../../shared/adapters/supabase/outbox.ts'
import { restClient } from '../../../shared/adapters/supabase/rest-client.ts'
import { startPostgres, type TestPostgres } from '../../support/postgres.ts'
import { openSource, type Source } from '../../support/source.ts'
import { anonKey, config, serviceKey, type StandIn, startStandIn } from '../supabase/cloud.ts'
import { outboxContract } from './suite.ts'

let folder: string
let postgres: TestPostgres
let source: Source
let standIn: StandIn

beforeAll(async () => {
  folder = await mkdtemp(join(tmpdir(), 'afluente-outbox-'))
  await writeFile(join(folder, 'config.toml'), config)
  postgres = await startPostgres()
  source = await openSource(postgres)
  await source.run(`create table public.items (id int primary key); select afluente.capture_table('public.items')`)
  standIn = await startStandIn({
    SOURCE_DATABASE_URL: source.database.url,
    SUPABASE_JWT_SECRET: 'a secret for tests that is long enough',
    SUPABASE_ANON_KEY: anonKey,
    SUPABASE_SERVICE_ROLE_KEY: serviceKey,
    SUPABASE_CONFIG: join(folder, 'config.toml'),
    EDGE_URL: 'http://127.0.0.1:9',
    PG_NET_PAUSE_MS: '1000',
  })
})

afterAll(async () => {
  await standIn?.stop()
  await source?.close()
  await postgres?.stop()
  await rm(folder, { recursive: true, force: true })
})

outboxContract('Postgres, through PostgREST', async () => {
  await source.run(`truncate public.items; delete from afluente.outbox; update afluente.shards set owner = null, leased_until = '-infinity'`)
  return {
    outbox: supabaseOutbox({ client: restClient({ url: standIn.url, serviceRoleKey: serviceKey }) }),
    begin: async () => {
      const session = await source.connect()
      await session.run('begin')
      return {
        insert: async (...ids) => {
          for (const id of ids) await session.run('insert into public.items values ($1)', [id])
        },
        commit: async () => void (await session.run('commit')),
        rollback: async () => void (await session.run('rollback')),
      }
    },
  }
})
