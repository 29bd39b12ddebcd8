/** Connections to the analytics database. */
import pg from 'pg'
import { AfluenteError } from '../../engine/errors.ts'
import type { Db } from './db.ts'
import { faultOf } from './faults.ts'
import { wireOf } from './wire.ts'

export interface PoolSettings {
  readonly connectionString: string
  /** Workers allow six connections that wait for an answer at once. */
  readonly max?: number
  /** The server's own limit for a statement; the client gives up five seconds later. Zero leaves it to the server: poolers that refuse start-up settings need that. */
  readonly statementTimeoutMs?: number
  /** Called when a connection breaks while nobody uses it; the next query opens a new one. */
  readonly onIdleError?: (error: AfluenteError) => void
}

export interface ClosableDb extends Db {
  close(): Promise<void>
}

const CONNECT_TIMEOUT_MS = 5_000
const GRACE_MS = 5_000

/** Values as the text Postgres sent: a `Date` would cut microseconds off, a double digits. */
export const asText = { getTypeParser: () => (value: string | Buffer) => String(value) }

/**
 * A pool that opens connections when they are needed. Promises: a query that was cancelled or timed out takes its connection
 * with it, so that its late answer reaches nobody else. Whoever made it closes it.
 */
export function postgresPool({ connectionString, max = 5, statementTimeoutMs = 30_000, onIdleError }: PoolSettings): ClosableDb {
  const pool = new pg.Pool({
    connectionString,
    max,
    application_name: 'afluente',
    connectionTimeoutMillis: CONNECT_TIMEOUT_MS,
    idleTimeoutMillis: 60_000,
    keepAlive: true,
    types: asText,
    ...(statementTimeoutMs === 0 ? {} : { statement_timeout: statementTimeoutMs }),
  })
  pool.on('error', (error) => onIdleError?.(faultOf(error)))
  // Of a connection in use the query tells; the pool doesn't listen to it, and an event that nobody hears would end a Node process.
  pool.on('connect', (client) => {
    client.on('error', () => undefined)
    wireOf(client)
  })
  const deadlineMs = (statementTimeoutMs === 0 ? 30_000 : statementTimeoutMs) + GRACE_MS

  return {
    query: async ({ name, text, values }, { signal }) => {
      const end = endOf(signal, deadlineMs, 'The analytics database')
      try {
        const client = await connected(pool, end.reached)
        let sound = false
        try {
          const running = client.query({ text, values: [...values], ...(name === undefined ? {} : { name }) })
          const { rows } = await Promise.race([running, end.reached])
          sound = true
          return { rows }
        } catch (error) {
          // What Postgres itself reported leaves its connection sound, unless it ends with that; after anything else an answer may still be on its way.
          sound = error instanceof pg.DatabaseError && error.severity === 'ERROR'
          throw error
        } finally {
          client.release(!sound)
        }
      } catch (error) {
        throw signal.aborted ? error : faultOf(error)
      } finally {
        end.forget()
      }
    },
    close: () => pool.end(),
  }
}

/** A connection that comes after the end goes back unused. */
export async function connected(pool: pg.Pool, end: Promise<never>): Promise<pg.PoolClient> {
  const connecting = pool.connect()
  try {
    return await Promise.race([connecting, end])
  } catch (error) {
    connecting.then(
      (client) => client.release(),
      () => undefined,
    )
    throw error
  }
}

/** Rejects when the signal aborts or the time is up, whichever is first. */
export function endOf(signal: AbortSignal, ms: number, who: string): { readonly reached: Promise<never>; forget(): void } {
  const { promise, reject } = Promise.withResolvers<never>()
  // Raced against; alone, it may reject with nobody listening.
  promise.catch(() => undefined)
  const abort = () => reject(signal.reason)
  const timer = setTimeout(() => reject(new AfluenteError('unavailable', 'timeout', `${who} gave no answer in ${ms} ms.`)), ms)
  if (signal.aborted) abort()
  signal.addEventListener('abort', abort, { once: true })
  return {
    reached: promise,
    forget: () => {
      clearTimeout(timer)
      signal.removeEventListener('abort', abort)
    },
  }
}
