/**
 * A source database in memory: rows, transactions, and the outbox their changes go into. Like the real one: a version is
 * drawn when the row is written, under the row's lock, and shows only when its transaction commits; a rollback leaves a gap.
 */
import { type Change, type Op, TRUNCATE_KEY } from '../../events/change.ts'
import type { Clock } from '../../ports/clock.ts'
import type { Outbox } from '../../ports/outbox.ts'
import { memoryOutbox } from './outbox.ts'
import { hashOf } from './hash.ts'

/** A change that lies in the outbox, with its shard. */
export interface OutboxRow {
  readonly shard: number
  readonly change: Change
}

export interface RowWrite {
  /** `<schema>.<table>` */
  readonly table: string
  /** JSON array text of the key columns. */
  readonly key: string
  /** The row's JSON text, or null to delete it. */
  readonly after: string | null
  readonly traceparent?: string
}

export interface Transaction {
  /** Writes a row and draws its change's version. Null when there was nothing to delete. Throws when another open transaction holds the row: the real one would wait. */
  write(row: RowWrite): Change | null
  /** Empties the table: one change, whose version is a floor. Throws when another open transaction holds a row of it. */
  truncate(table: string): Change
  /** True while this transaction has written the row, or any row of the table, or has truncated it, and is open. */
  holds(table: string, key?: string): boolean
  commit(): void
  rollback(): void
}

export interface MemorySource {
  readonly outbox: Outbox
  begin(): Transaction
  /** Sends rows as reads, as they stand, where no open transaction holds them. */
  resend(table: string, keys: readonly string[]): Resent
  /** The version that was drawn last. */
  readonly lastVersion: number
  /** Draws a version for each key, to be sent as a delete. */
  drawDeletes(table: string, keys: readonly string[]): MemoryDeletes
  /** Sends them for the keys that are not there; false while a transaction is open that was so when they were drawn. */
  sendDeletes(table: string, drawn: MemoryDeletes): boolean
  /** The committed rows of a table by key. */
  rows(table: string): ReadonlyMap<string, string>
  /** Every change that was ever committed, in the order of commits. */
  readonly history: readonly Change[]
  /** What lies in the outbox and can be seen. */
  readonly waiting: readonly Change[]
}

export interface MemoryDeletes {
  readonly versions: readonly (readonly [key: string, version: number])[]
  readonly waitsFor: readonly Transaction[]
}

export interface Resent {
  readonly sent: number
  readonly locked: readonly string[]
  readonly gone: readonly string[]
}

export interface MemorySourceOptions {
  readonly clock: Clock
  readonly shards?: number
  /** Tables whose updates carry the image before. */
  readonly withBefore?: readonly string[]
}

export function memorySource({ clock, shards = 1, withBefore = [] }: MemorySourceOptions): MemorySource {
  const tables = new Map<string, Map<string, string>>()
  const locks = new Map<string, Transaction>()
  const open = new Set<Transaction>()
  const history: Change[] = []
  const rows = new Map<number, OutboxRow>()
  let lastVersion = clock.now() * 1_000

  const committed = (table: string) => {
    const found = tables.get(table) ?? new Map<string, string>()
    tables.set(table, found)
    return found
  }

  const draw = (change: Omit<Change, 'version' | 'topic' | 'occurredAt'>): Change => {
    lastVersion += 1
    return { ...change, version: lastVersion, topic: `afluente.${change.table}`, occurredAt: new Date(clock.now()).toISOString().replace('Z', '000Z') }
  }
  const put = (change: Change) => {
    history.push(change)
    rows.set(change.version, { shard: hashOf(change.key) % shards, change })
  }
  /** The transaction that holds the row, or the whole table. */
  const holderOf = (table: string, key: string) => locks.get(`${table} ${key}`) ?? locks.get(`${table} ${TRUNCATE_KEY}`)

  const begin = (): Transaction => {
    const written: Change[] = []
    const own = new Map<string, string | null>()
    const emptied = new Set<string>()
    const end = () => {
      for (const [lock, holder] of locks) if (holder === transaction) locks.delete(lock)
      written.length = 0
      open.delete(transaction)
    }
    const transaction: Transaction = {
      write: ({ table, key, after, traceparent = null }) => {
        const lock = `${table} ${key}`
        if ((holderOf(table, key) ?? transaction) !== transaction)
          throw new Error(`${table} ${key} is locked by another open transaction. Commit or roll it back first.`)
        const before = own.get(lock) ?? (own.has(lock) || emptied.has(table) ? null : (committed(table).get(key) ?? null))
        if (before === null && after === null) return null
        locks.set(lock, transaction)
        own.set(lock, after)
        const op = opOf(before, after)
        const keepsBefore = op === 'delete' || (op === 'update' && withBefore.includes(table))
        const change = draw({ table, key, op, before: keepsBefore ? before : null, after, traceparent })
        written.push(change)
        return change
      },
      truncate: (table) => {
        for (const [lock, holder] of locks)
          if (lock.startsWith(`${table} `) && holder !== transaction)
            throw new Error(`A row of ${table} is locked by another open transaction. Commit or roll it back first.`)
        locks.set(`${table} ${TRUNCATE_KEY}`, transaction)
        emptied.add(table)
        for (const lock of own.keys()) if (lock.startsWith(`${table} `)) own.set(lock, null)
        const change = draw({ table, key: TRUNCATE_KEY, op: 'truncate', before: null, after: null, traceparent: null })
        written.push(change)
        return change
      },
      holds: (table, key) =>
        key === undefined ? [...locks].some(([lock, holder]) => lock.startsWith(`${table} `) && holder === transaction) : holderOf(table, key) === transaction,
      commit: () => {
        for (const change of written) {
          if (change.op === 'truncate') committed(change.table).clear()
          else if (change.after === null) committed(change.table).delete(change.key)
          else committed(change.table).set(change.key, change.after)
          put(change)
        }
        end()
      },
      rollback: end,
    }
    open.add(transaction)
    return transaction
  }

  return {
    outbox: memoryOutbox({ rows, clock, shards }),
    begin,
    resend: (table, keys) => {
      const there = [...new Set(keys)].filter((key) => committed(table).has(key))
      const free = there.filter((key) => holderOf(table, key) === undefined)
      for (const key of free) put(draw({ table, key, op: 'read', before: null, after: committed(table).get(key) ?? null, traceparent: null }))
      return {
        sent: free.length,
        locked: there.filter((key) => !free.includes(key)),
        gone: [...new Set(keys)].filter((key) => !there.includes(key)),
      }
    },
    get lastVersion() {
      return lastVersion
    },
    drawDeletes: (_, keys) => ({
      versions: keys.map((key) => {
        lastVersion += 1
        return [key, lastVersion]
      }),
      waitsFor: [...open],
    }),
    sendDeletes: (table, { versions, waitsFor }) => {
      if (waitsFor.some((transaction) => open.has(transaction))) return false
      for (const [key, version] of versions)
        if (!committed(table).has(key)) put({ ...draw({ table, key, op: 'delete', before: null, after: null, traceparent: null }), version })
      return true
    },
    rows: committed,
    history,
    get waiting() {
      return [...rows.values()].map((row) => row.change)
    },
  }
}

function opOf(before: string | null, after: string | null): Op {
  if (after === null) return 'delete'
  return before === null ? 'insert' : 'update'
}
