import { postgresControl } from '../../../shared/adapters/postgres/control.ts'
import type { Db } from '../../../shared/adapters/postgres/db.ts'
import { postgresSink } from '../../../shared/adapters/postgres/sink.ts'
import { leads } from '../../../shared/tables/leads.ts'
import { signal, type SinkSubject } from './subject.ts'

/** The Postgres sink as the contract looks at it. `db` may be one that tampers with statements; what is read goes through `reader`. */
export function postgresSubject({ db, reader = db, bronze = true }: { readonly db: Db; readonly reader?: Db; readonly bronze?: boolean }): SinkSubject {
  return {
    sink: postgresSink({ db, tables: [leads], bronze, silver: true }),
    control: postgresControl({ db: reader }),
    refusal: 'batch',
    poison: { score: 'not a number' },
    row: async (key) => {
      const [id] = JSON.parse(key) as [string]
      const { rows } = await reader.query({ text: 'select _version, _deleted_at, name from silver.leads where id::text = $1', values: [id] }, { signal })
      const [row] = rows
      if (row === undefined) return undefined
      return { version: Number(row['_version']), deleted: row['_deleted_at'] !== null, name: row['name'] as string | null }
    },
    ...(bronze
      ? {
          kept: async (ids: readonly string[]) => {
            const { rows } = await reader.query({ text: 'select event_id from bronze.events where event_id = any($1)', values: [[...ids]] }, { signal })
            return rows.map((row) => String(row['event_id']))
          },
        }
      : {}),
  }
}
