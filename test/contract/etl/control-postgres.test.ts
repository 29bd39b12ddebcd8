import { beforeAll } from 'vitest'
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
