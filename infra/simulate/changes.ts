/** What happens to the tables, one change after another, from a seed. Pure: nothing is read back from the database. */
import { randomOf } from './random.ts'
import { chatChangeOf, chatOf, leadChangeOf, leadOf, type Row } from './rows.ts'

export const simulatedTables = ['leads', 'chat_sessions'] as const
export type SimulatedTable = (typeof simulatedTables)[number]

export interface SimulatedChange {
  readonly table: SimulatedTable
  readonly op: 'insert' | 'update' | 'delete'
  readonly id: string
  /** What an insert or update sets. */
  readonly columns: Row
  /** Changes of one family keep their order among each other: a lead and its chats. */
  readonly family: string
}

interface Living {
  readonly id: string
  readonly family: string
}

/** More rows than that are not kept in mind: the oldest are left alone from then on. */
const REMEMBERED = 50_000
const odds = { insert: 55, update: 38, delete: 7 } as const

/** Without end. The same seed and tables give the same changes. */
export function* changesOf(seed: number, tables: readonly SimulatedTable[]): Generator<SimulatedChange, never> {
  const random = randomOf(seed)
  const living: Readonly<Record<SimulatedTable, Living[]>> = { leads: [], chat_sessions: [] }
  for (;;) {
    const table = tables.length === 1 ? (tables[0] ?? 'leads') : random.weighted({ leads: 45, chat_sessions: 55 })
    const rows = living[table]
    const op = rows.length < 5 ? 'insert' : random.weighted(odds)
    if (op === 'insert') {
      const parent = table === 'chat_sessions' && living.leads.length > 0 && random.chance(0.85) ? random.pick(living.leads) : null
      const columns = table === 'leads' ? leadOf(random) : chatOf(random, parent?.id ?? null)
      const id = String(columns['id'])
      const row = { id, family: parent?.family ?? id }
      if (rows.length < REMEMBERED) rows.push(row)
      else rows[random.whole(0, REMEMBERED - 1)] = row
      yield { table, op, columns, ...row }
      continue
    }
    const at = random.whole(0, rows.length - 1)
    const row = rows[at]
    if (row === undefined) continue
    if (op === 'delete') {
      const last = rows.pop()
      if (last !== undefined && at < rows.length) rows[at] = last
      yield { table, op, columns: {}, ...row }
    } else {
      yield { table, op, columns: table === 'leads' ? leadChangeOf(random) : chatChangeOf(random), ...row }
    }
  }
}
