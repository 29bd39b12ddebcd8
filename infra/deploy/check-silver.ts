/** Compares the keys of silver's tables with the definition: a sink that asks for another key than its table has would halt at its first event. */
import { AfluenteError } from '../../shared/engine/errors.ts'
import { quoted } from '../../shared/mappings/column-types.ts'
import { qualifiedName, type SourceTable } from '../../shared/tables/table.ts'
import { withClient } from './migrate.ts'

/** No column for a table without a primary key. */
const KEYS = `select c.relname as table, array(
  select a.attname::text from pg_index as i cross join unnest(i.indkey) with ordinality as k (attnum, at) join pg_attribute as a on a.attrelid = c.oid and a.attnum = k.attnum
  where i.indrelid = c.oid and i.indisprimary order by k.at) as key
from pg_class as c where c.relnamespace = to_regnamespace('silver') and c.relkind in ('r', 'p')`

/** Resolves when every table that is there has the key of its definition. Errors: `misconfigured` with each that has not, and what mends it; `unavailable`. */
export async function checkSilver(url: string, tables: readonly SourceTable[]): Promise<void> {
  const rows = await withClient(url, async (client) => (await client.query<{ table: string; key: string[] }>(KEYS)).rows)
  const wrong = tables.flatMap((table) => {
    const found = rows.find((row) => row.table === table.name)
    return found === undefined || found.key.join('\n') === table.key.join('\n') ? [] : [{ table, key: found.key }]
  })
  if (wrong.length === 0) return
  throw new AfluenteError(
    'misconfigured',
    'silver-key',
    `Silver has another key than shared/pipeline.ts:\n${wrong.map(({ table, key }) => adviceOf(table, key)).join('\n')}\nNothing of it was changed.`,
  )
}

function adviceOf(table: SourceTable, key: readonly string[]): string {
  const { name } = table
  const keyed = key.length === 0 ? 'has no primary key' : `is keyed by ${key.join(', ')}`
  return `  - silver.${name} ${keyed}, ${qualifiedName(table)} is keyed by ${table.key.join(', ')}. Its rows have to come anew: in the analytics database, drop table silver.${quoted(name)} cascade; delete from ops.schema_file where name >= '0300'; then run this again, and npx afluente backfill ${name}. The cascade takes all views of it along: those of sql/ are made again, of any others keep the definitions.`
}
