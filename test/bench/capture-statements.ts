/** Statements that touch very many rows at once. */
import type pg from 'pg'
import { against, byTurns, medianOf, type Pair, ratiosOf } from './by-turns.ts'
import { type CaptureSource, emptyOutbox, type Table } from './capture-source.ts'
import type { Report } from './report.ts'
import { insertLeads } from './throughput-rows.ts'

const INSERT_LIMIT = 4
const KINDS = ['insert', 'update', 'delete', 'truncate'] as const
type Kind = (typeof KINDS)[number]
type Times = Readonly<Record<Kind, number>>

export async function statements(
  { source }: CaptureSource,
  report: Report,
  { rounds, rows }: { readonly rounds: number; readonly rows: number },
): Promise<void> {
  let pairs: readonly Pair<Times>[] = []
  const measureAll = async () => (pairs = await byTurns(rounds, (table) => each(source, table, rows)))
  for (const kind of KINDS) {
    await report.measure(`one ${kind} of ${rows} rows`, async () => {
      if (pairs.length === 0) await measureAll()
      const of = pairs.map(({ captured, plain }) => ({ captured: captured[kind], plain: plain[kind] }))
      const ratios = ratiosOf(of)
      return {
        rows,
        rounds,
        ...ratios,
        ...(kind === 'insert' ? against(INSERT_LIMIT, ratios.ratio) : {}),
        plainMs: Math.round(medianOf(of.map(({ plain }) => plain))),
        capturedMs: Math.round(medianOf(of.map(({ captured }) => captured))),
        addedMicrosecondsPerRow: Math.round((1_000 * medianOf(of.map(({ captured, plain }) => captured - plain))) / rows),
      }
    })
  }
}

async function each(source: pg.Pool, table: Table, rows: number): Promise<Times> {
  const name = `bench.${table}`
  await source.query(`truncate ${name}`)
  const timed = async (work: () => Promise<unknown>): Promise<number> => {
    await emptyOutbox(source)
    // Nobody's checkpoint but the one that is due here.
    await source.query('checkpoint')
    const began = performance.now()
    await work()
    return performance.now() - began
  }
  const insert = await timed(() => insertLeads(source, name, 'bench', rows, rows))
  const update = await timed(() => source.query(`update ${name} set score = (score + 1) % 100`))
  const removed = await timed(() => source.query(`delete from ${name}`))
  await source.query(`vacuum ${name}`)
  await insertLeads(source, name, 'bench', rows, rows)
  const truncate = await timed(() => source.query(`truncate ${name}`))
  await emptyOutbox(source)
  return { insert, update, delete: removed, truncate }
}
