/** Bronze and silver in the analytics database. */
import { AfluenteError } from '../../engine/errors.ts'
import type { Fence, Sink, WriteReport } from '../../ports/sink.ts'
import { qualifiedName, type SourceTable } from '../../tables/table.ts'
import type { Db } from './db.ts'
import { arraysOf } from './event-columns.ts'
import { fenced } from './fenced.ts'
import { createKeep } from './keep.ts'
import { type Layers, writeStatement } from './write-statement.ts'

export interface PostgresSinkDeps extends Layers {
  readonly db: Db
  readonly tables: readonly SourceTable[]
}

/**
 * One statement a batch, one transaction, one round trip: the fence is checked under its row's lock, bronze keeps what is new,
 * silver takes what is newer, and the partition's counters say what became of each. `refused` leaves nothing behind.
 */
export function postgresSink({ db, tables, bronze, silver }: PostgresSinkDeps): Sink {
  const statements = new Map(tables.map((table) => [qualifiedName(table), writeStatement(table, { bronze, silver })]))
  const keep = createKeep(db)
  return {
    write: async (batch, options) => {
      const statement = statements.get(qualifiedName(batch.table))
      if (statement === undefined)
        throw new AfluenteError(
          'misconfigured',
          'unknown-table',
          `${qualifiedName(batch.table)} is no table of this sink; it has ${[...statements.keys()].join(', ')}.`,
        )
      const { fence, nextOffset } = batch
      const { rows } = await db.query(
        {
          name: statement.name,
          text: statement.text,
          values: [fence.consumer, fence.topic, fence.partition, fence.epoch, nextOffset, ...arraysOf(batch, statement.columns)],
        },
        options,
      )
      return reportOf(rows[0], fence)
    },
    keep: async (letters, fence, options) => {
      if (bronze) await keep(letters, fence, options)
    },
  }
}

function reportOf(row: Readonly<Record<string, unknown>> | undefined, fence: Fence): WriteReport {
  if (row?.['held'] !== 't') throw fenced(fence)
  return { accepted: Number(row['accepted']), duplicate: Number(row['duplicate']), late: Number(row['late']), rejected: [] }
}
