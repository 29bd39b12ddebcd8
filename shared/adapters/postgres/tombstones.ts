/** The tombstones of silver: purged a stretch of the table a statement, counted and audited in the same one. */
import { quoted } from '../../mappings/column-types.ts'
import type { Tombstones } from '../../ports/purges.ts'
import type { SourceTable } from '../../tables/table.ts'
import type { Db } from './db.ts'
import { COUNTED, numberOrNull, placeOf, PURGE_FENCE, purgeFenced } from './purges.ts'

export interface TombstonesDeps {
  readonly db: Db
  /** How many rows a step purges at most, and how many pages it reads: well below a second's work. */
  readonly rowsAtOnce?: number
  readonly pagesAtOnce?: number
}

export function postgresTombstones({ db, rowsAtOnce = 10_000, pagesAtOnce = 16_384 }: TombstonesDeps): Tombstones {
  return {
    purge: async ({ table, hold, from, before }, options) => {
      const { rows } = await db.query({ text: purgeStatement(table), values: [...placeOf(hold), before, from ?? 0, pagesAtOnce, rowsAtOnce] }, options)
      const [row] = rows
      if (row?.['held'] !== 't') throw purgeFenced(hold)
      return { rows: Number(row['rows']), next: numberOrNull(row['next']) }
    },
  }
}

/**
 * Takes the hold ($1 to $3), the horizon ($4), the page to begin with ($5), how many pages ($6) and rows ($7). No index leads to tombstones:
 * it would cost every update of silver its cheap way (HOT), for what is read once an hour. Rows are looked at again under their lock,
 * since a key may have come back; those that somebody holds are left for the next pass.
 */
function purgeStatement(table: SourceTable): string {
  const silver = `silver.${quoted(table.name)}`
  return `with fence as materialized (${PURGE_FENCE})
, found as materialized (select t.ctid as at from ${silver} as t
  where exists (select from fence) and t.ctid >= format('(%s,0)', $5::bigint)::tid and t.ctid < format('(%s,0)', $5::bigint + $6::bigint)::tid
    and t._deleted_at is not null and t._synced_at < $4::text::timestamptz
  limit $7::bigint for update skip locked)
, gone as (delete from ${silver} as t where t.ctid = any (array(select at from found)) returning 1)
, step as materialized (select count(*) as rows, case
    when count(*) = $7::bigint then $5::bigint
    when ($5::bigint + $6::bigint) * current_setting('block_size')::bigint < pg_relation_size('${silver.replaceAll("'", "''")}'::regclass) then $5::bigint + $6::bigint
  end as next from gone)
${COUNTED}`
}
