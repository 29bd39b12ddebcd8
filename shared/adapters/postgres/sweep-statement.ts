/**
 * One step of a sweep: what still lives below the table's floor becomes a tombstone, a bounded number of rows a statement, from one place of
 * the table to the next. Rows below the floor never move and become no more: no batch writes them since the floor was raised.
 */
import { createHash } from 'node:crypto'
import { quoted } from '../../mappings/column-types.ts'
import type { SourceTable } from '../../tables/table.ts'
import { FENCE } from './fenced.ts'
import { silverOf } from './write-statement.ts'

export interface SweepStatement {
  readonly name: string
  readonly text: string
}

/** Where a pass begins. */
const TOP = `'(0,0)'`

/**
 * Takes the fence ($1 to $4), the floor ($5), when it occurred ($6), its event ($7), where to begin ($8, a ctid, or null) and how many rows ($9).
 * Rows that somebody else holds are left for another pass: waiting for them while holding others could end in a deadlock with a batch.
 */
export function sweepStatement(table: SourceTable, shadow = false): SweepStatement {
  const silver = silverOf(table, shadow)
  const emptied = Object.keys(table.columns).filter((name) => !table.key.includes(name))
  const living = `t._version < $5 and t._deleted_at is null`
  const text = `with fence as materialized (${FENCE})
, found as materialized (select t.ctid as at from ${silver} as t where exists (select from fence) and t.ctid > coalesce($8::tid, ${TOP}::tid) and ${living} limit $9 for no key update skip locked)
, swept as (update ${silver} as t set ${[...emptied.map((name) => `${quoted(name)} = null`), '_version = $5', '_deleted_at = $6::timestamptz', '_event_id = $7', '_synced_at = clock_timestamp()'].join(', ')}
  where t.ctid = any (array(select at from found)))
, passed as materialized (select count(*) as rows, max(at) as last from found)
select exists (select from fence) as held, rows,
  case when rows = $9 then last::text
    when exists (select from ${silver} as t where ${living} and t.ctid not in (select at from found)) then ${TOP} end as next
from passed`
  return { name: `sweep-${createHash('sha256').update(text).digest('hex').slice(0, 24)}`, text }
}
