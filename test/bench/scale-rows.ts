/** Rows of a wanted size, into as many tables as there are, by turns. */
import type pg from 'pg'
import { topicOf } from '../../shared/engine/define.ts'
import { type ScaleCase, tableNames } from './scale-cases.ts'
import { commitSpan, STATEMENT_ROWS } from './throughput-rows.ts'
import { spanOf, type Workload } from './workload.ts'

const STATEMENT_BYTES = 8_000_000
/** What a row's JSON has beside its body, with a mark of 42 letters. */
const AROUND_BODY = 110

/** The bodies are hexadecimal digits of hashes, so they don't compress better than such digits do. */
const insertInto = (table: string): string => `
  insert into public.${table} (id, company, body)
  select gen_random_uuid(), $1, left(encode(substr(pool.bytes, 1 + (n * 7919) % 50000, $4), 'hex'), $3)
  from generate_series(1, $2::int) n,
    (select string_agg(sha256((i::text || random())::bytea), '') as bytes from generate_series(1, 2000) i) pool`

export function scaleWorkload({ definition, rowBytes, rows: all }: ScaleCase): Workload {
  const tables = tableNames(definition.tables)
  const body = Math.max(2, rowBytes - AROUND_BODY)
  const most = statementRows(rowBytes, Math.ceil(all / tables.length))
  return {
    topics: tables.map((name) => topicOf({ schema: 'public', name })),
    documents: { aliases: tables, field: 'company' },
    insert: async (source, mark, rows) => {
      const client = await source.connect()
      try {
        const began = performance.now()
        for (let [done, turn] = [0, 0]; done < rows; turn += 1) {
          const now = Math.min(most, rows - done)
          await client.query(insertInto(tables[turn % tables.length] ?? ''), [mark, now, body, Math.ceil(body / 2)])
          done += now
        }
        return performance.now() - began
      } finally {
        client.release()
      }
    },
    span: async (pool, schema, mark) => spanOf(await Promise.all(tables.map((name) => commitSpan(pool, `${schema}.${name}`, mark)))),
  }
}

/** As many as a table is to have, 10 000 at most, and 8 MB at most. */
export function statementRows(rowBytes: number, ofTable: number): number {
  return Math.max(1, Math.min(STATEMENT_ROWS, ofTable, Math.floor(STATEMENT_BYTES / rowBytes)))
}

/** The outbox may take what a long backlog needs: above its budget it would keep keys alone. */
export async function withoutBudget(source: pg.Pool): Promise<void> {
  await source.query('select afluente.set_outbox_budget(1::bigint << 40)')
}
