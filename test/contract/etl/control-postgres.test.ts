import { beforeAll, expect, test } from 'vitest'
import { migrate } from '../../../infra/deploy/migrate.ts'
import { postgresEtlControl } from '../../../shared/adapters/postgres/etl-control.ts'
import type { ClosableDb } from '../../../shared/adapters/postgres/pool.ts'
import { realPostgres } from '../sink/postgres-server.ts'
import { etlControlContract } from './control-suite.ts'

const postgres = realPostgres()
let db: ClosableDb
beforeAll(async () => {
  db = postgres.pool(await postgres.analytics())
})

const options = { signal: new AbortController().signal }

etlControlContract('postgres', async () => ({
  control: postgresEtlControl({ db }),
  end: async ({ id }, status, watermarkEnd) => {
    const text = `update ops.etl_control set status = $2, watermark_end = $3::timestamptz, completed_at = clock_timestamp() where execution_id = $1`
    await db.query({ text, values: [id, status, watermarkEnd] }, options)
  },
  audit: async () => {
    const { rows } = await db.query({ text: 'select actor, action, subject, details from ops.audit order by id', values: [] }, options)
    return rows.map((row) => ({
      actor: String(row['actor']),
      action: String(row['action']),
      subject: String(row['subject']),
      details: JSON.parse(String(row['details'])) as unknown,
    }))
  },
}))

/** As the first version made them. */
const FIRST = `drop table ops.etl_checkpoint, ops.etl_job cascade;
create table ops.etl_job (job text primary key, owner text, epoch bigint not null default 0, leased_until timestamptz not null default '-infinity', execution_id uuid,
  proven_until timestamptz, noted_at timestamptz, noted_open text[], seen_until timestamptz, definition_hash bigint);
create table ops.etl_checkpoint (execution_id uuid primary key references ops.etl_control on delete cascade, position text[], pages bigint not null default 0,
  caught_by_overlap bigint not null default 0, caught_by_reconcile bigint not null default 0, unknown_words bigint not null default 0, updated_at timestamptz not null default clock_timestamp());
delete from ops.schema_file where name like '026%' or name like '027%'`

test('tables that the first version made are brought up to what runs need', async () => {
  const url = await postgres.analytics()
  const client = await postgres.client(url)
  const columns = async () => {
    const { rows } = await client.query<{ name: string }>(
      `select concat_ws(' ', table_name, column_name, data_type, is_nullable, column_default) as name from information_schema.columns where table_schema = 'ops' and table_name like 'etl%' order by 1`,
    )
    return rows.map(({ name }) => name)
  }
  const present = await columns()
  await client.query(FIRST)
  await migrate(url)
  expect(await columns()).toEqual(present)
  expect(present.length).toBeGreaterThan(40)
})
