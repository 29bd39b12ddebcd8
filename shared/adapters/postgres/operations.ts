import type { Operations } from '../../ports/operations.ts'
import type { Db } from './db.ts'

const AUDIT = `insert into ops.audit (actor, action, subject, details) values ($1, $2, $3, $4::jsonb)`

const DEAD_LETTERS = `select consumer, state, count(*) as letters from ops.dead_letter group by consumer, state order by consumer, state`

const LATENCY = `
select count(*) as events,
  percentile_cont(0.5) within group (order by ms) as p50,
  percentile_cont(0.99) within group (order by ms) as p99
from (
  select extract(epoch from received_at - occurred_at) * 1000 as ms
  from bronze.events
  where received_at > clock_timestamp() - $1 * interval '1 millisecond' and op <> 'read'
) as recent`

/** What operators ask of the analytics database beside the control tables. */
export function postgresOperations(db: Db): Operations {
  return {
    audit: async ({ actor, action, subject, details = {} }, options) => {
      await db.query({ text: AUDIT, values: [actor, action, subject, JSON.stringify(details)] }, options)
    },
    deadLetters: async (options) => {
      const { rows } = await db.query({ text: DEAD_LETTERS, values: [] }, options)
      return rows.map((row) => ({ consumer: String(row['consumer']), state: String(row['state']), letters: Number(row['letters']) }))
    },
    latency: async (windowMs, options) => {
      const { rows } = await db.query({ text: LATENCY, values: [windowMs] }, options)
      const row = rows[0] ?? {}
      return { windowMs, events: Number(row['events'] ?? 0), p50Ms: millisOf(row['p50']), p99Ms: millisOf(row['p99']) }
    },
  }
}

/** To a tenth of a millisecond: clocks tell no more. */
function millisOf(value: unknown): number | null {
  return typeof value === 'string' ? Math.round(Number(value) * 10) / 10 : null
}
