/** Looks whether a backfill can be done, before anything is. */
import { milliseconds } from '../../../shared/engine/duration.ts'
import { isRefusal } from '../../../shared/engine/errors.ts'
import type { Backfill } from '../../../shared/ports/backfills.ts'
import { Fault } from '../../local/fault.ts'
import type { Access } from '../access.ts'
import { WrongUse } from '../verb.ts'
import { freed, subjectOf } from './work.ts'

export interface Wanted {
  /** As it was written: with its schema or without. */
  readonly table: string
  readonly condition: string | null
  readonly spanMs: number | null
  readonly limit: number | null
}

/** Throws `WrongUse` for an unknown table or a condition that can't be asked, a `Fault` where nothing sent would arrive. */
export async function beginBackfill(
  { condition, limit, spanMs, table: written }: Wanted,
  access: Access,
  say: (line: string) => void,
  signal: AbortSignal,
): Promise<Backfill> {
  const { refused, tables } = await access.outbox.backlog({ signal })
  const table = tableOf(
    written,
    tables.map((one) => one.table),
  )
  if (refused !== null) throw new Fault(`Capture stands still: ${refused}`, 'Then begin this again; nothing was done')
  const since = spanMs === null ? null : new Date(access.clock.now() - spanMs).toISOString()
  const selection = { table, condition, since }
  const checked = await access.rows.check(selection, { signal })
  if (!checked.ok) throw new WrongUse(`${checked.reason}. Nothing was done.`, { showsUsage: false })
  const estimate = await access.rows.estimate(selection, { signal }).catch((error: unknown) => {
    throw isRefusal(error) ? new WrongUse(`The condition fails on rows of ${table}: ${error.message} Nothing was done.`, { showsUsage: false }) : error
  })
  const backfill = await freed(await access.backfills.start({ table, condition, spanMs, limit, estimate }, { signal }), access, say, signal)
  if (backfill.state === 'paused')
    throw new WrongUse(`The same was asked for before, and is paused. It goes on with: npx afluente backfill resume ${backfill.id}`, { showsUsage: false })
  if (backfill.state !== 'running') return backfill
  const { estimate: rows, limit: most, seen } = backfill
  await access.operations.audit(
    {
      actor: 'operator',
      action: seen > 0 ? 'backfill.go-on' : 'backfill.begin',
      subject: subjectOf(backfill),
      details: { conditional: condition !== null, since: backfill.since, limit: most, rows, seen },
    },
    { signal },
  )
  return backfill
}

function tableOf(written: string, captured: readonly string[]): string {
  const found = captured.filter((table) => table === written || table.slice(table.indexOf('.') + 1) === written)
  const [table, other] = found
  if (table !== undefined && other === undefined) return table
  throw new WrongUse(
    table === undefined
      ? `No captured table is called '${written}'. Captured are: ${captured.length === 0 ? 'none' : captured.join(', ')}.`
      : `'${written}' could be ${found.join(' or ')}. Write which.`,
    { showsUsage: false },
  )
}

export function spanOf(option: string, text: string | undefined): number | null {
  if (text === undefined) return null
  try {
    const ms = milliseconds(text)
    if (ms > 0) return ms
  } catch {
    // Told below.
  }
  throw new WrongUse(`${option}: '${text}' is no length of time above zero. Write a number and s, m, h or d: 24h.`)
}
