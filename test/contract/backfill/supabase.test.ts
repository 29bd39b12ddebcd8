import { mkdtemp, rm, writeFile } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { afterAll, beforeAll } from 'vitest'
import { restClient } from '../../../shared/adapters/supabase/rest-client.ts'
import { supabaseBackfills } from '../../../shared/adapters/supabase/backfills.ts'
import { startPostgres, type TestPostgres } from '../../support/postgres.ts'
import { openSource, type Source } from '../../support/source.ts'
import { anonKey, config, serviceKey, type StandIn, startStandIn } from '../supabase/cloud.ts'
import { backfillContract } from './suite.ts'

let folder: string
let postgres: TestPostgres
let source: Source
let standIn: StandIn

beforeAll(async () => {
  folder = await mkdtemp(join(tmpdir(), 'afluente-backfill-'))
  await writeFile(join(folder, 'config.toml'), config)
  postgres = await startPostgres()
  source = await openSource(postgres)
  // Values of this type are printed by a function of its own, which may fail.
  await source.run(`
    create type public.mood as enum ('good', 'bad');
    create function public.mood_json(mood public.mood) returns json language plpgsql as $$
    begin
      if mood = 'bad' then
        raise 'unprintable';
      end if;
      return to_json(mood::text);
    end $$;
    create cast (public.mood as json) with function public.mood_json(public.mood);
    create table public.items (id int primary key, mood public.mood not null default 'good');
    select afluente.capture_table('public.items')`)
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

backfillContract('Postgres, through PostgREST', async () => {
  await source.run(`truncate public.items; delete from afluente.outbox; delete from afluente.backfills`)
  return {
    backfills: supabaseBackfills({ client: restClient({ url: standIn.url, serviceRoleKey: serviceKey }) }),
    insert: async (...ids) => {
      for (const id of ids) await source.run('insert into public.items values ($1)', [id])
    },
    remove: async (id) => void (await source.run('delete from public.items where id = $1', [id])),
    lock: async (id) => {
      const session = await source.connect()
      await session.run(`begin; select from public.items where id = ${id} for update`)
      return async () => void (await session.run('rollback'))
    },
    reads: async () => (await source.outbox('public.items')).filter(({ op }) => op === 'read').map(({ key }) => key),
    crowd: async (changes) =>
      void (await source.run(
        `insert into afluente.outbox select nextval('afluente.version'), 'public.x', 'x', '[1]', 0, 'insert', null, null, now() from generate_series(1, ${changes})`,
      )),
    spoil: async (id) => void (await source.run(`update public.items set mood = 'bad' where id = $1`, [id])),
  }
})
