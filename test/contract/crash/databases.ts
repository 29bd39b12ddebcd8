/** A Postgres with pairs of databases for the crash matrix: a source with its captured table, and an analytics database with its silver table. */
import pg from 'pg'
import { migrate } from '../../../infra/deploy/migrate.ts'
import { generatedFiles } from '../../../shared/mappings/silver-ddl.ts'
import { TABLE } from '../../support/failpoints/setting.ts'
import { startPostgres } from '../../support/postgres.ts'
import { openSource, type Session, type Source } from '../../support/source.ts'

export interface Pair {
  readonly source: Source
  /** Connections of the users who write. */
  readonly writers: readonly Session[]
  readonly analytics: pg.Client
  readonly analyticsUrl: string
  /** Ends a process's connections at once, as its death does. */
  kill(process: string): Promise<void>
}

export interface Databases {
  /** An empty pair that nobody else has meanwhile. */
  take(): Promise<Pair>
  giveBack(pair: Pair): void
  stop(): Promise<void>
}

const WRITERS = 3

/** Every change of a row of silver or of a partition's progress that goes back, noted in the transaction that did it. */
const watch = `
  create schema watch;
  create table watch.went_back (what text not null);
  create function watch.row_went_back() returns trigger language plpgsql as $$
  begin
    if tg_op = 'DELETE' then
      insert into watch.went_back values (format('%s is gone', old.id));
    elsif new._version <= old._version then
      insert into watch.went_back values (format('%s went from version %s to %s', old.id, old._version, new._version));
    end if;
    return null;
  end $$;
  create function watch.progress_went_back() returns trigger language plpgsql as $$
  begin
    if new.epoch < old.epoch or new.next_offset < old.next_offset then
      insert into watch.went_back values (format('partition %s went from epoch %s, offset %s to %s, %s', old."partition", old.epoch, old.next_offset, new.epoch, new.next_offset));
    end if;
    return null;
  end $$;
  create trigger watch after update or delete on silver.leads for each row execute function watch.row_went_back();
  create trigger watch after update on ops.consumer_progress for each row execute function watch.progress_went_back();`

export async function startDatabases(): Promise<Databases> {
  const postgres = await startPostgres()
  const free: Pair[] = []
  const closing: (() => Promise<unknown>)[] = []
  const at = (database: string): string => Object.assign(new URL(postgres.url), { pathname: `/${database}` }).href
  const admin = await connected(postgres.url)
  closing.push(() => admin.end())
  await admin.query('create database analytics_template')
  await migrate(at('analytics_template'))
  const template = await connected(at('analytics_template'))
  await template.query('drop table silver.leads cascade')
  for (const { text } of generatedFiles({ tables: [TABLE], topics: { partitions: 1, maxMessageBytes: 65_536, retention: '7d' }, consumers: {} }))
    await template.query(text)
  // What the sinks refuse: see `refuses` in the setting.
  await template.query(`alter table silver.leads add constraint refused check (n <> -1); ${watch}`)
  await template.end()

  let made = 0
  const make = async (): Promise<Pair> => {
    made += 1
    const analyticsUrl = at(`analytics_${made}`)
    await admin.query(`create database analytics_${made} template analytics_template`)
    const source = await openSource(postgres)
    await source.run(`select afluente.release_table('public.leads');
      drop table public.leads cascade;
      create table public.leads (id text primary key, n int, filler text);
      select afluente.capture_table('public.leads')`)
    const writers = await Promise.all(Array.from({ length: WRITERS }, () => source.connect()))
    const analytics = await connected(analyticsUrl)
    closing.push(
      () => source.close(),
      () => analytics.end(),
    )
    return {
      source,
      writers,
      analytics,
      analyticsUrl,
      kill: async (process) =>
        void (await admin.query('select pg_terminate_backend(pid) from pg_stat_activity where application_name = $1 and datname = any ($2)', [
          process,
          [analyticsUrl, source.database.url].map((url) => new URL(url).pathname.slice(1)),
        ])),
    }
  }
  const empty = async ({ analytics, source }: Pair): Promise<void> => {
    await source.run(`truncate public.leads; delete from afluente.outbox; delete from afluente.backfills;
      update afluente.shards set owner = null, leased_until = '-infinity'`)
    await analytics.query(`truncate silver.leads, bronze.events, ops.consumer_progress, ops.dead_letter, watch.went_back;
      update ops.floor set version = 0, occurred_at = null, raised_at = null`)
  }

  return {
    take: async () => {
      const pair = free.pop() ?? (await make())
      await empty(pair)
      return pair
    },
    giveBack: (pair) => void free.push(pair),
    stop: async () => {
      await Promise.allSettled(closing.map((close) => close()))
      await postgres.stop()
    },
  }
}

async function connected(connectionString: string): Promise<pg.Client> {
  const client = new pg.Client({ connectionString })
  client.on('error', () => undefined)
  await client.connect()
  return client
}
