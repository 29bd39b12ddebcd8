/** Silver's rows as a reconcile reads them. */
import { quoted, silverType } from '../../mappings/column-types.ts'
import type { Cancellable } from '../../ports/cancellable.ts'
import type { SilverContents, SilverCopy, SilverSum } from '../../ports/reconcile.ts'
import type { SourceTable } from '../../tables/table.ts'
import { bigintOf, linesOf, textsOf } from './content-lines.ts'
import { boundariesOf, type ComparedTable, findStatement, openStatement, sampleStatement, type Statement, sumsStatement } from './content-statements.ts'
import type { Db } from './db.ts'

export function silverContents({ db }: { readonly db: Db }): SilverContents {
  const read = async ({ text, texts }: Statement, options: Cancellable) =>
    (await db.query({ text: 'select line from ops.as_printed($1, $2, $3) line', values: [text, ...texts] }, options)).rows

  const pages: SilverContents['pages'] = async (table, options) => {
    const text = `select pg_relation_size($1::regclass) / current_setting('block_size')::bigint as pages`
    const { rows } = await db.query({ text, values: [nameOf(table)] }, options)
    return Number(rows[0]?.['pages'] ?? 0)
  }

  return {
    pages,
    sample: async (table, options) => {
      const count = await pages(table, options)
      return boundariesOf(textsOf(await read(sampleStatement(comparedOf(table), count), options)))
    },
    sums: async (table, boundaries, stretch, options) =>
      linesOf(await read(sumsStatement(comparedOf(table), boundaries, stretch), options)).map(([range, rows, content, check]): SilverSum => ({
        range: Number(range),
        rows: Number(rows),
        content: bigintOf(content),
        check: bigintOf(check),
      })),
    open: async (table, boundaries, ranges, stretch, options) =>
      linesOf(await read(openStatement(comparedOf(table), boundaries, ranges, stretch), options)).map(([key, content, version]) => ({
        key: String(key),
        content: bigintOf(content),
        version: Number(version),
      })),
    find: async (table, keys, options) =>
      linesOf(await read(findStatement(comparedOf(table), keys), options)).map(([key, content, version]): SilverCopy => ({
        key: String(key),
        content: content === null ? null : bigintOf(content),
        version: Number(version),
      })),
  }
}

function comparedOf(table: SourceTable): ComparedTable {
  return { table, side: 'silver', from: nameOf(table), keyTypes: table.key.map((name) => silverType(table.columns[name] ?? 'text')) }
}

function nameOf(table: SourceTable): string {
  return `silver.${quoted(table.name)}`
}
