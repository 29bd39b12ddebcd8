/** Rows of the source database, read by key. */
import { AfluenteError } from '../../engine/errors.ts'
import type { Cancellable } from '../../ports/cancellable.ts'
import type { Checked, Selection, SourceRow, SourceRows } from '../../ports/source-rows.ts'
import type { ReadOnlyDb } from './source-db.ts'
import { conditionProbe, countQuery, describeQuery, pageQuery, planQuery, shapeOf, type SourceShape } from './source-selection.ts'

/** Up to so many rows are counted; beyond, the planner's guess will do. */
const COUNTED = 100_000

export function sourceRows({ db }: { readonly db: ReadOnlyDb }): SourceRows {
  const shapes = new Map<string, SourceShape>()
  const shapeFor = async (table: string, options: Cancellable): Promise<SourceShape | undefined> => {
    const known = shapes.get(table)
    if (known !== undefined) return known
    const found = shapeOf((await db.read(describeQuery(table), options)).rows)
    if (found !== undefined) shapes.set(table, found)
    return found
  }
  const soundShape = async (table: string, options: Cancellable): Promise<SourceShape> => {
    const shape = await shapeFor(table, options)
    if (shape === undefined) throw new AfluenteError('misconfigured', 'no-table', `${table}: there is no such table with a primary key in the source database.`)
    return shape
  }
  return {
    check: async (selection, options): Promise<Checked> => {
      const { condition, since, table } = selection
      const shape = await shapeFor(table, options)
      if (shape === undefined) return { ok: false, reason: `${table}: there is no such table with a primary key in the source database` }
      if (since !== null && shape.times.length === 0)
        return { ok: false, reason: `${table} has no column updated_at or created_at to tell a row's time by; give a condition on the column that does` }
      if (condition === null) return { ok: true }
      try {
        await db.read(conditionProbe(shape, condition), options)
        await db.read(planQuery(shape, selection), options)
      } catch (error) {
        if (!(error instanceof AfluenteError) || !isOfCondition(error)) throw error
        return { ok: false, reason: `the condition can't be asked of ${table}: ${error.message.replace(/\.$/, '')}` }
      }
      return { ok: true }
    },
    estimate: async (selection, options) => {
      const shape = await soundShape(selection.table, options)
      const { rows: plan } = await db.read(planQuery(shape, selection), options)
      const guess = guessOf(plan[0]?.['QUERY PLAN'])
      if (guess > COUNTED) return guess
      const { rows: count } = await db.read(countQuery(shape, selection, COUNTED), options)
      const counted = Number(count[0]?.['n'])
      return counted < COUNTED ? counted : Math.max(guess, counted)
    },
    page: async (selection: Selection, after, limit, options) => {
      const shape = await soundShape(selection.table, options)
      const { rows } = await db.read(pageQuery(shape, selection, after, limit), options)
      return rows.map(rowOf)
    },
  }
}

/** The table was found: what isn't there now is a name that the condition says. */
function isOfCondition({ code, kind }: AfluenteError): boolean {
  return kind === 'refused' || code === '42703' || code === '42P01'
}

function rowOf(row: Readonly<Record<string, unknown>>): SourceRow {
  const text = (name: string) => {
    const value = row[name]
    return typeof value === 'string' ? value : null
  }
  return { key: text('key') ?? '', status: text('status'), day: text('day') }
}

/** How many rows the planner thinks there are. */
function guessOf(plan: unknown): number {
  const parsed: unknown = typeof plan === 'string' ? JSON.parse(plan) : plan
  const top: unknown = Array.isArray(parsed) ? parsed[0] : undefined
  const node: unknown = typeof top === 'object' && top !== null ? Reflect.get(top, 'Plan') : undefined
  const rows: unknown = typeof node === 'object' && node !== null ? Reflect.get(node, 'Plan Rows') : undefined
  return typeof rows === 'number' ? rows : 0
}
