/** Shadows of silver's tables: `silver.<table>__shadow`, made like the live one, written by the same statement, swapped by renaming in one transaction. */
import { AfluenteError } from '../../engine/errors.ts'
import type { Cancellable } from '../../ports/cancellable.ts'
import type { Shadows } from '../../ports/shadows.ts'
import type { SourceTable } from '../../tables/table.ts'
import type { Db } from './db.ts'
import { fenced } from './fenced.ts'
import { endedRound, type FollowPlace, readPlace, writtenPlace } from './follow-place.ts'
import { compareTables } from './shadow-comparison.ts'
import { postgresSink } from './sink.ts'
import { shadowOf, silverOf } from './write-statement.ts'

export interface PostgresShadowsDeps {
  readonly db: Db
  readonly tables: readonly SourceTable[]
  /** How many pages of the live table a step of following reads, and how many rows of each side a statement compares. */
  readonly blocksAtOnce?: number
  readonly rowsAtOnce?: number
}

/** Postgres cuts names; the longest here is `<table>__shadow`. */
const LONGEST_NAME = 63
/** 16 MB of a table: some ten thousand rows. */
const BLOCKS_AT_ONCE = 2_000
/** Half a second's work. */
const ROWS_AT_ONCE = 50_000
/** All that is committed has a number below `begun`, or is seen by each statement from here on. */
const LOOK = 'select pg_snapshot_xmin(pg_current_snapshot())::text as begun, pg_relation_filenode($1::regclass)::text as file'

export function postgresShadows({ blocksAtOnce = BLOCKS_AT_ONCE, db, rowsAtOnce = ROWS_AT_ONCE, tables }: PostgresShadowsDeps): Shadows {
  /** Where the step begins. A round sees at least what its first look saw, so the next one needs to look at what is younger than that. */
  const placeAt = async (table: SourceTable, from: string | null, options: Cancellable): Promise<FollowPlace & { readonly block: string }> => {
    const { rows } = await db.query({ text: LOOK, values: [silverOf(table)] }, options)
    const [begun, file] = [String(rows[0]?.['begun']), String(rows[0]?.['file'])]
    const last = readPlace(from)
    // Its rows lie elsewhere: all of it is looked at once more.
    if (last === null || last.file !== file) return { since: null, begun, file, block: '0' }
    return last.block === null ? { since: last.begun, begun, file, block: '0' } : { ...last, block: last.block }
  }

  return {
    sink: postgresSink({ db, tables, bronze: false, silver: true, shadow: true }),
    make: async (table, options) => {
      const name = shadowOf(table.name)
      if (new TextEncoder().encode(name).length > LONGEST_NAME)
        throw new AfluenteError(
          'misconfigured',
          'name-too-long',
          `${table.name} is too long a name for a shadow: Postgres takes ${LONGEST_NAME} bytes, and ${name} has more.`,
        )
      await db.query({ text: `create table if not exists ${silverOf(table, true)} (like ${silverOf(table)} including all)`, values: [] }, options)
      await db.query({ text: `revoke all on ${silverOf(table, true)} from public`, values: [] }, options)
      return { live: `silver.${table.name}`, shadow: `silver.${name}` }
    },
    compare: ({ table, since, told }, options) => compareTables({ db, table, since, told, rowsAtOnce }, options),
    follow: async ({ table, from }, options) => {
      const place = await placeAt(table, from, options)
      const { rows } = await db.query(
        { text: 'select copied, next from ops.follow_shadow($1, $2, $3, $4::xid8)', values: [table.name, place.block, blocksAtOnce, place.since] },
        options,
      )
      const next = rows[0]?.['next']
      const block = typeof next === 'string' ? next : null
      return { copied: Number(rows[0]?.['copied']), next: writtenPlace({ ...place, block }), ended: block === null }
    },
    swap: async ({ table, job, fence, from }, options) => {
      const { consumer, topic, partition, epoch } = fence
      const round = endedRound(from)
      const { rows } = await db.query(
        {
          text: 'select held, obstacles, copied from ops.swap_shadow($1, $2, $3, $4, $5, $6, $7::xid8, $8::oid)',
          values: [consumer, topic, partition, epoch, job, table.name, round?.begun ?? null, round?.file ?? null],
        },
        options,
      )
      const [row] = rows
      if (row?.['held'] !== 't') throw fenced(fence)
      const why = row['obstacles']
      if (typeof why === 'string')
        return {
          status: 'obstructed',
          why: `On silver.${table.name} hangs what a swap can't hand over: ${why}. Take it off, or give it to ${shadowOf(table.name)} as well.`,
        }
      return { status: 'swapped', copied: Number(row['copied']) }
    },
    drop: async ({ table }, options) => {
      await db.query({ text: `drop table if exists ${silverOf(table, true)}`, values: [] }, options)
    },
  }
}
