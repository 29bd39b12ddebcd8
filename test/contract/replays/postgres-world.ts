/** A stream, replays, shadows and their swap, on a real database with nothing in it. */
import { postgresControl } from '../../../shared/adapters/postgres/control.ts'
import { postgresReplays } from '../../../shared/adapters/postgres/replays.ts'
import { postgresShadows } from '../../../shared/adapters/postgres/shadows.ts'
import { postgresSink } from '../../../shared/adapters/postgres/sink.ts'
import { createReplay } from '../../../shared/engine/replay.ts'
import type { Event } from '../../../shared/events/envelope.ts'
import { leads } from '../../../shared/tables/leads.ts'
import { systemClock } from '../../../shared/adapters/clock.ts'
import { eventually } from '../../support/poll.ts'
import { realPostgres } from '../sink/postgres-server.ts'
import { signal } from '../sink/subject.ts'

export const postgres = realPostgres()
export const options = { signal }
export const TABLE = 'public.leads'
const WHOLE = { table: TABLE, key: null, since: null, until: null }
export const NAMES = { live: 'silver.leads', shadow: 'silver.leads__shadow' }
const SILENT = { info: () => {}, warn: () => {}, error: () => {} }

export async function open() {
  const url = await postgres.analytics()
  const db = postgres.pool(url)
  const client = await postgres.client(url)
  const control = postgresControl({ db })
  const replays = postgresReplays({ db })
  const shadows = postgresShadows({ db, tables: [leads] })
  const sink = postgresSink({ db, tables: [leads], bronze: true, silver: true })
  const place = { consumer: 'test', topic: 'afluente.public.leads', partition: 0 }
  const fence = { ...place, epoch: await control.take({ ...place, owner: 'stream' }, options) }
  const replayer = createReplay({
    consumer: 'test',
    owner: 'replayer',
    tables: [leads],
    sink: postgresSink({ db, tables: [leads], bronze: false, silver: true }),
    shadows,
    control,
    replays,
    clock: systemClock(),
    log: SILENT,
    random: Math.random,
  })
  const take = () => control.take({ consumer: 'test', topic: `${place.topic}.shadow`, partition: 0, owner: 'me' }, options)
  const swap = () => replays.swap({ consumer: 'test', table: TABLE, actor: 'operator' }, options)
  return {
    url,
    db,
    client,
    replays,
    shadows,
    control,
    write: (...events: readonly Event[]) => sink.write({ table: leads, events, fence, nextOffset: '0' }, options),
    ask: (kind: 'replay' | 'shadow' = 'replay') => replays.start({ kind, consumer: 'test', range: WHOLE, actor: 'operator' }, options),
    swap,
    /** A round of following from there on; where the next one begins. */
    follow: async (from: string | null) => {
      let step = await shadows.follow({ table: leads, names: NAMES, from }, options)
      while (!step.ended) step = await shadows.follow({ table: leads, names: NAMES, from: step.next }, options)
      return step.next
    },
    /** The switch alone. */
    swapFrom: async (from: string) => {
      await client.query(
        `insert into ops.shadow (consumer, source_table, live, shadow, state, job) values ('test', $1, $2, $3, 'ready', 0) on conflict do nothing`,
        [TABLE, NAMES.live, NAMES.shadow],
      )
      await client.query(`insert into ops.replay_job (kind, consumer, source_table, actor) values ('swap', 'test', $1, 'operator')`, [TABLE])
      const { rows } = await client.query<{ id: string }>(`select max(id)::text as id from ops.replay_job`)
      const fence = { consumer: 'test', topic: `${place.topic}.shadow`, partition: 0, epoch: await take() }
      return shadows.swap({ table: leads, names: NAMES, job: rows[0]?.id ?? '', fence, from }, options)
    },
    ids: async () => (await client.query<{ id: string }>(`select id::text from silver.leads where name = 'many' order by id`)).rows.map(({ id }) => id),
    pass: () => replayer(options),
    waiting: (count: number) =>
      eventually(`${count} statements wait for a lock`, async () => (await client.query('select from pg_locks where not granted')).rows.length === count),
    take,
    rows: async (table = 'silver.leads') =>
      (
        await client.query<{ id: string; name: string | null; version: string }>(
          `select id::text, name, _version::text as version from ${table} order by _version`,
        )
      ).rows,
  }
}
