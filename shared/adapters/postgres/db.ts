import type { Cancellable } from '../../ports/cancellable.ts'

export interface Query {
  /** Named statements are parsed and planned once a connection. A name stands for one text. */
  readonly name?: string
  readonly text: string
  /** Text and numbers as `pg` takes them; a Buffer is a parameter in binary form. */
  readonly values: readonly unknown[]
}

export interface Result {
  readonly rows: readonly Readonly<Record<string, unknown>>[]
}

/**
 * The analytics database as the adapters of this folder need it: one statement at a time, each its own transaction.
 * All values come back as text (or null). Not its job: retries. Errors: `AfluenteError` of every kind, see `faults.ts`.
 */
export interface Db {
  query(query: Query, options: Cancellable): Promise<Result>
}
