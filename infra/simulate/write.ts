/** Writes simulated changes, each in a transaction of its own, at a steady rate that does not wait for the database. */
import { setTimeout as sleep } from 'node:timers/promises'
import type pg from 'pg'
import type { SimulatedChange } from './changes.ts'

export interface Tally {
  readonly due: number
  readonly written: number
  readonly inserts: number
  readonly updates: number
  readonly deletes: number
  /** How long the oldest change that is due has been waiting. */
  readonly behindMs: number
}

interface Writable {
  readonly op: SimulatedChange['op']
  /** Hexadecimal digits; changes of one family keep their order. */
  readonly family: string
}

export interface WriteOptions<C extends Writable> {
  readonly changes: Generator<C, never>
  readonly statementOf: (change: C) => pg.QueryConfig
  /** Changes a second. */
  readonly rate: number
  readonly seconds: number
  /** One connection each; a family of rows stays with one, so that its order is kept. */
  readonly connections: readonly Pick<pg.PoolClient, 'query'>[]
  readonly onSecond: (tally: Tally) => void
  readonly signal: AbortSignal
}

const TICK_MS = 5

/** Resolves when all that was due is written, or soon after the signal aborts. Rejects with the first change that fails. */
export async function writeChanges<C extends Writable>({
  changes,
  statementOf,
  rate,
  seconds,
  connections,
  onSecond,
  signal,
}: WriteOptions<C>): Promise<Tally> {
  const lanes = connections.map((): Waiting<C>[] => [])
  const count = { due: 0, written: 0, insert: 0, update: 0, delete: 0 }
  const total = Math.round(rate * seconds)
  const began = performance.now()
  const failure = new AbortController()
  const over = (): boolean => signal.aborted || failure.signal.aborted

  const work = async (lane: Waiting<C>[], connection: Pick<pg.PoolClient, 'query'>): Promise<void> => {
    try {
      while (!over() && (lane.length > 0 || count.due < total)) {
        const next = lane.shift()
        if (next === undefined) {
          await sleep(1)
          continue
        }
        await connection.query(statementOf(next.change))
        count.written += 1
        count[next.change.op] += 1
      }
    } catch (error) {
      failure.abort(error)
    }
  }
  const tally = (): Tally => {
    const oldest = Math.min(...lanes.map((lane) => lane[0]?.dueMs ?? Infinity))
    const behindMs = Math.max(0, performance.now() - oldest)
    return {
      due: count.due,
      written: count.written,
      inserts: count.insert,
      updates: count.update,
      deletes: count.delete,
      behindMs: Number.isFinite(oldest) ? behindMs : 0,
    }
  }

  const working = connections.map((connection, at) => work(lanes[at] ?? [], connection))
  const ticker = setInterval(() => onSecond(tally()), 1_000)
  try {
    while (count.due < total && !over()) {
      const dueBy = Math.min(total, Math.floor(((performance.now() - began) / 1_000) * rate) + 1)
      for (; count.due < dueBy; count.due += 1) {
        const change: C = changes.next().value
        lanes[laneOf(change.family, lanes.length)]?.push({ change, dueMs: began + (count.due / rate) * 1_000 })
      }
      await sleep(Math.min(TICK_MS, 500 / rate + 1))
    }
    await Promise.all(working)
  } finally {
    clearInterval(ticker)
  }
  if (failure.signal.aborted) throw failure.signal.reason
  return tally()
}

interface Waiting<C> {
  readonly change: C
  readonly dueMs: number
}

/** An insert that was there already (the same seed, run again) is written anew: the rows end the same. */
export function statementOf({ table, op, id, columns }: SimulatedChange): pg.QueryConfig {
  const names = Object.keys(columns)
  const values = names.map((name) => columns[name])
  const name = op === 'update' ? `${table} ${op} ${names.join(' ')}` : `${table} ${op}`
  if (op === 'delete') return { name, text: `delete from public.${table} where id = $1`, values: [id] }
  if (op === 'update') {
    const text = `update public.${table} set ${names.map((column, at) => `${column} = $${at + 2}`).join(', ')} where id = $1`
    return { name, text, values: [id, ...values] }
  }
  const others = names.filter((column) => column !== 'id')
  const text = `insert into public.${table} (${names.join(', ')}) values (${names.map((_, at) => `$${at + 1}`).join(', ')})
    on conflict (id) do update set ${others.map((column) => `${column} = excluded.${column}`).join(', ')}`
  return { name, text, values }
}

function laneOf(family: string, lanes: number): number {
  return parseInt(family.slice(0, 8), 16) % lanes
}
