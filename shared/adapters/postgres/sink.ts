/** Bronze and silver in the analytics database. */
import { AfluenteError } from '../../engine/errors.ts'
import { eventIdOf } from '../../events/change.ts'
import type { Fence, Sink, Swept, TableBatch, WriteReport } from '../../ports/sink.ts'
import { qualifiedName, type SourceTable } from '../../tables/table.ts'
import type { Db } from './db.ts'
import { arraysOf } from './event-columns.ts'
import { fenced } from './fenced.ts'
import { createKeep } from './keep.ts'
import { sweepStatement } from './sweep-statement.ts'
import { type Layers, writeStatement } from './write-statement.ts'

export interface PostgresSinkDeps extends Layers {
  readonly db: Db
  readonly tables: readonly SourceTable[]
  /** How many rows a step of a sweep makes dead at most: a fraction of a second's work. */
  readonly sweptAtOnce?: number
}

/**
 * One statement a batch, one transaction, one round trip: the fence is checked under its row's lock, bronze keeps what is new,
 * silver takes what is newer, and the partition's counters say what became of each. `refused` leaves nothing behind.
 */
export function postgresSink({ db, tables, bronze, silver, shadow = false, sweptAtOnce = 20_000 }: PostgresSinkDeps): Sink {
  const statements = new Map(
    tables.map((table) => [qualifiedName(table), { write: writeStatement(table, { bronze, silver, shadow }), sweep: sweepStatement(table, shadow) }]),
  )
  const statementsOf = (table: SourceTable) => {
    const found = statements.get(qualifiedName(table))
    if (found !== undefined) return found
    throw new AfluenteError('misconfigured', 'unknown-table', `${qualifiedName(table)} is no table of this sink; it has ${[...statements.keys()].join(', ')}.`)
  }
  const keep = createKeep(db)
  return {
    write: async (batch, options) => {
      const { write: statement } = statementsOf(batch.table)
      const { events, fence, nextOffset } = batch
      const place = statement.takesPlace ? [events[0]?.record.topic, events[0]?.record.partition] : []
      const { rows } = await db.query(
        {
          name: statement.name,
          text: statement.text,
          values: [fence.consumer, fence.topic, fence.partition, fence.epoch, nextOffset, ...arraysOf(batch, statement.columns), ...place],
        },
        options,
      )
      return reportOf(rows[0], batch)
    },
    sweepBelow: async ({ table, floor, fence, from }, options) => {
      if (!silver) return { rows: 0, next: null }
      const { name, text } = statementsOf(table).sweep
      const { consumer, topic, partition, epoch } = fence
      const id = eventIdOf(floor.table, floor.version)
      const { rows } = await db.query(
        { name, text, values: [consumer, topic, partition, epoch, floor.version, floor.occurredAt, id, from, sweptAtOnce] },
        options,
      )
      return sweptOf(rows[0], fence)
    },
    keep: async (letters, fence, options) => {
      if (bronze) await keep(letters, fence, options)
    },
  }
}

function reportOf(row: Readonly<Record<string, unknown>> | undefined, { fence, table }: TableBatch): WriteReport {
  if (row?.['held'] !== 't') throw fenced(fence)
  if (row['floored'] !== 't')
    throw new AfluenteError('misconfigured', 'no-floor', `ops.floor has no row for ${qualifiedName(table)}; nothing was written. Run \`npm run deploy\`.`)
  return { accepted: Number(row['accepted']), duplicate: Number(row['duplicate']), late: Number(row['late']), rejected: [] }
}

function sweptOf(row: Readonly<Record<string, unknown>> | undefined, fence: Fence): Swept {
  if (row?.['held'] !== 't') throw fenced(fence)
  const { next } = row
  return { rows: Number(row['rows']), next: typeof next === 'string' ? next : null }
}
