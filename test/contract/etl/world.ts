/** A source and a silver in a real Postgres, the job between them, and sessions that write as applications do. */
import { randomUUID } from 'node:crypto'
import type pg from 'pg'
import { systemClock } from '../../../shared/adapters/clock.ts'
import { memoryPublisher } from '../../../shared/adapters/memory/publisher.ts'
import { memoryTopics } from '../../../shared/adapters/memory/topics.ts'
import { judgeType } from '../../../shared/adapters/postgres/etl-columns.ts'
import { postgresEtlControl } from '../../../shared/adapters/postgres/etl-control.ts'
import { postgresEtlSource } from '../../../shared/adapters/postgres/etl-source.ts'
import { postgresEtlStore } from '../../../shared/adapters/postgres/etl-store.ts'
import { type ReadOnlyDb, sourceDb } from '../../../shared/adapters/postgres/source-db.ts'
import { createEtlStep, type EtlRunDeps } from '../../../shared/engine/etl-run.ts'
import type { EtlControl, EtlRequest, EtlRun } from '../../../shared/ports/etl-control.ts'
import type { Log } from '../../../shared/ports/log.ts'
import { type EtlJob, etlJob } from '../../../shared/tables/etl-job.ts'
import type { RealPostgres } from '../sink/postgres-server.ts'

export const JOB = 'items'
const signal = new AbortController().signal

export const itemsJob: EtlJob = etlJob({
  source: { database: 'chatwoot', relation: 'public.items' },
  key: ['id'],
  cursor: 'updated_at',
  into: 'items_copy',
  columns: {
    id: { type: 'bigint' },
    name: { type: 'text', clean: ['trim', 'blank-to-null'] },
    n: { type: 'integer', between: [0, 1_000_000] },
    price: { type: 'numeric' },
    seen_at: { type: 'timestamptz', clean: ['infinity-to-null', 'utc'] },
    updated_at: { type: 'timestamptz', clean: ['utc'] },
  },
  overlap: '10s',
  margin: '0s',
  pageRows: 10,
  deletes: 'mark',
})

export const ITEMS = `create table items (id bigint primary key, name text, n integer, price numeric, seen_at timestamp, updated_at timestamp not null default (clock_timestamp() at time zone 'UTC'));
  create index on items (updated_at, id)`

export interface World {
  readonly job: EtlJob
  readonly control: EtlControl
  readonly source: pg.Client
  readonly silver: pg.Client
  readonly sourceUrl: string
  /** Another session of the source. */
  session(): Promise<pg.Client>
  start(over?: Partial<EtlRequest>): Promise<EtlRun>
  /** A step's deps with parts exchanged. */
  deps(over?: Partial<EtlRunDeps>): EtlRunDeps
  /** Works on a run to its end, as whoever calls steps does. */
  finish(run: EtlRun, over?: Partial<EtlRunDeps>, budgetMs?: number): Promise<EtlRun>
  /** Starts and finishes. */
  run(over?: Partial<EtlRequest>): Promise<EtlRun>
  reconcile(): Promise<EtlRun>
  /** What silver shows, and what the source has, as comparable lines. */
  copy(): Promise<readonly string[]>
  truth(): Promise<readonly string[]>
}

export const silent: Log = { info: () => undefined, warn: () => undefined, error: () => undefined }

/** For who looks at no topic. */
export function unreadTopics(): EtlRunDeps['topics'] {
  const maxMessageBytes = 1_048_576
  return { publisher: memoryPublisher({ topics: memoryTopics({ clock: systemClock(), maxMessageBytes }) }), ref: 'local', maxMessageBytes }
}

export async function openWorld(
  postgres: RealPostgres,
  { job = itemsJob, schema = ITEMS, zone = 'UTC' }: { job?: EtlJob; schema?: string; zone?: string } = {},
): Promise<World> {
  const sourceUrl = await postgres.emptyDatabase()
  const analytics = await postgres.analytics([], { [JOB]: job })
  const source = await postgres.client(sourceUrl)
  const name = new URL(sourceUrl).pathname.slice(1)
  await source.query(`alter database ${name} set timezone = '${zone}'`)
  await source.query(`set timezone = '${zone}'`)
  await source.query(schema)
  const db = postgres.pool(analytics)
  const silver = await postgres.client(analytics)
  const reading = sourceDb({ connectionString: sourceUrl, setting: 'CHATWOOT_DATABASE_URL' })
  postgres.closing(() => reading.close())
  const control = postgresEtlControl({ db })
  const deps: World['deps'] = (over = {}) => depsOf(job, reading, postgresEtlStore({ db }), over)
  const finish: World['finish'] = async ({ id }, over = {}, budgetMs = 60_000) => {
    const step = createEtlStep(deps(over))
    const owner = randomUUID()
    for (;;) {
      const end = await step({ run: id, owner, budgetMs, signal })
      if (end.status === 'ended') return end.run
      if (end.status !== 'more') throw new Error(`a step ended otherwise: ${JSON.stringify(end)}`)
    }
  }
  const start: World['start'] = async (over = {}) => {
    const request = {
      id: randomUUID(),
      job: JOB,
      loadType: 'incremental',
      triggeredBy: 'manual',
      from: null,
      to: null,
      dryRun: false,
      codeVersion: 'test',
      ...over,
    } as const
    const answer = await control.start(request, { signal })
    if (answer.status !== 'started') throw new Error(`no run was started: ${JSON.stringify(answer)}`)
    return answer.run
  }
  const run: World['run'] = async (over) => finish(await start(over))
  return {
    job,
    control,
    source,
    silver,
    sourceUrl,
    session: () => postgres.client(sourceUrl),
    deps,
    start,
    finish,
    run,
    reconcile: () => run({ loadType: 'reconcile' }),
    copy: () => lines(silver, (column) => `${column} at time zone 'UTC'`, `silver.${job.into} where _deleted_at is null`),
    truth: () => lines(source, (column) => column, 'items'),
  }
}

function depsOf(job: EtlJob, db: ReadOnlyDb, store: EtlRunDeps['store'], over: Partial<EtlRunDeps>): EtlRunDeps {
  return {
    jobs: { [JOB]: job },
    sources: () => postgresEtlSource({ db }),
    store,
    topics: unreadTopics(),
    judge: judgeType,
    clock: systemClock(),
    log: silent,
    random: () => 0.5,
    ...over,
  }
}

async function lines(client: pg.Client, utc: (column: string) => string, from: string): Promise<readonly string[]> {
  const time = (column: string) => `to_char(${utc(column)}, 'YYYY-MM-DD HH24:MI:SS.US')`
  const { rows } = await client.query<{ line: string }>(
    `select concat_ws('|', id, coalesce(nullif(btrim(name), ''), '-'), coalesce(n::text, '-'), coalesce(price::text, '-'), coalesce(${time('seen_at')}, '-'), ${time('updated_at')}) as line from ${from} order by id`,
  )
  return rows.map(({ line }) => line)
}
