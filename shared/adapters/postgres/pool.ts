/** Connections to the analytics database. */
import pg from 'pg'
import { AfluenteError } from '../../engine/errors.ts'
import type { Db } from './db.ts'
import { faultOf } from './faults.ts'

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
const asText = { getTypeParser: () => (value: string | Buffer) => String(value) }

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
  const deadlineMs = (statementTimeoutMs === 0 ? 30_000 : statementTimeoutMs) + GRACE_MS

  return {
    query: async ({ name, text, values }, { signal }) => {
      signal.throwIfAborted()
      const client = await pool.connect().catch((error: unknown) => {
        throw faultOf(error)
      })
      const ended = Promise.withResolvers<never>()
      const abort = () => ended.reject(signal.reason)
      const timer = setTimeout(
        () => ended.reject(new AfluenteError('unavailable', 'timeout', `The analytics database gave no answer in ${deadlineMs} ms.`)),
        deadlineMs,
      )
      signal.addEventListener('abort', abort, { once: true })
      let broken: unknown
      try {
        const running = client.query({ text, values: [...values], ...(name === undefined ? {} : { name }) })
        running.catch(() => undefined)
        const { rows } = await Promise.race([running, ended.promise])
        return { rows }
      } catch (error) {
        broken = error
        if (signal.aborted) throw error
        throw faultOf(error)
      } finally {
        clearTimeout(timer)
        signal.removeEventListener('abort', abort)
        // An error that Postgres reported leaves its connection sound; any other may leave an answer on its way.
        client.release(broken !== undefined && !(broken instanceof pg.DatabaseError))
      }
    },
    close: () => pool.end(),
  }
}
