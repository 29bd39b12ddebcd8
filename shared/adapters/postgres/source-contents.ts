/** The source's rows as a reconcile reads them, over SOURCE_DATABASE_URL. */
import { AfluenteError } from '../../engine/errors.ts'
import type { Cancellable } from '../../ports/cancellable.ts'
import type { RangeSum, SourceContent, SourceContents } from '../../ports/reconcile.ts'
import { qualifiedName, type SourceTable } from '../../tables/table.ts'
import { bigintOf, linesOf, textsOf } from './content-lines.ts'
import { boundariesOf, type ComparedTable, findStatement, openStatement, sampleStatement, type Statement, sumsStatement } from './content-statements.ts'
import type { ReadOnlyDb } from './source-db.ts'
import { describeQuery, shapeOf, type SourceShape } from './source-selection.ts'

interface Known extends ComparedTable {
  readonly shape: SourceShape
}

/** Of partitions, those of the largest: a stretch is of each. */
const PAGES = `select greatest(pg_relation_size($1::regclass), coalesce((select max(pg_relation_size(p.relid)) from pg_partition_tree($1::regclass) p where p.isleaf), 0))
  / current_setting('block_size')::bigint as pages`

/** Fails where a policy would hide rows from the role: to whoever counts, what is hidden looks like what is gone. */
const SEES_ALL = { row_security: 'off' } as const

export function sourceContents({ db }: { readonly db: ReadOnlyDb }): SourceContents {
  const known = new Map<string, Known>()

  const knownOf = async (table: SourceTable, options: Cancellable): Promise<Known> => {
    const name = qualifiedName(table)
    const found = known.get(name)
    if (found !== undefined) return found
    const shape = shapeOf((await db.read(describeQuery(name), options)).rows)
    if (shape === undefined) throw new AfluenteError('misconfigured', 'no-table', `${name}: there is no such table with a primary key in the source database.`)
    const own: Known = { table, side: 'source', from: shape.from, keyTypes: shape.key.map(({ type }) => type), shape }
    known.set(name, own)
    return own
  }

  const read = async (table: SourceTable, statementOf: (of: Known) => Statement, options: Cancellable) => {
    const of = await knownOf(table, options)
    const { text, texts } = statementOf(of)
    const values = text.includes('$2') ? texts : text.includes('$1') ? texts.slice(0, 1) : []
    try {
      return (await db.read({ text, values, operatorSchemas: of.shape.operatorSchemas, settings: SEES_ALL }, options)).rows
    } catch (error) {
      throw ownFault(error, table)
    }
  }

  const pages: SourceContents['pages'] = async (table, options) => {
    const { shape } = await knownOf(table, options)
    const { rows } = await db.read({ text: PAGES, values: [shape.from.replace(/^only /, '')] }, options)
    return Number(rows[0]?.['pages'] ?? 0)
  }

  return {
    pages,
    sample: async (table, options) => {
      const count = await pages(table, options)
      return boundariesOf(textsOf(await read(table, (of) => sampleStatement(of, count), options)))
    },
    sums: async (table, boundaries, stretch, options) =>
      linesOf(await read(table, (of) => sumsStatement(of, boundaries, stretch), options)).map(([range, rows, content]): RangeSum => ({
        range: Number(range),
        rows: Number(rows),
        content: bigintOf(content),
      })),
    open: async (table, boundaries, ranges, stretch, options) =>
      linesOf(await read(table, (of) => openStatement(of, boundaries, ranges, stretch), options)).map(contentOf),
    find: async (table, keys, options) => linesOf(await read(table, (of) => findStatement(of, keys), options)).map(contentOf),
  }
}

function contentOf([key, content]: readonly unknown[]): SourceContent {
  return { key: String(key), content: bigintOf(content) }
}

/** What is wrong with the statement is wrong with the definition; a value that its type can't hold is the caller's. */
function ownFault(error: unknown, table: SourceTable): unknown {
  if (!(error instanceof AfluenteError) || error.kind !== 'refused' || error.code.startsWith('22')) return error
  return new AfluenteError('misconfigured', error.code, `${qualifiedName(table)} in the source is not as shared/tables describes it. ${error.message}`, {
    cause: error,
  })
}
