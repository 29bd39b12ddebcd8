/** A connection to the source database for one piece of work, with every fault in words. */
import pg from 'pg'
import * as z from 'zod'
import { AfluenteError } from '../../shared/engine/errors.ts'

export interface SourceWork<T> {
  /** From SOURCE_DATABASE_URL. */
  readonly url: string
  /** Seen in pg_stat_activity, for whoever looks for what holds a lock. */
  readonly application: string
  readonly work: (client: pg.Client) => Promise<T>
  /** What the database refuses, in the words of this work; what is wrong with the connection is told here. */
  readonly refused: (error: pg.DatabaseError) => AfluenteError
}

/** Throws what the work throws, what `refused` makes of a refusal, and `unavailable` or `misconfigured` where there is no connection; never with a secret. */
export async function withSource<T>({ application, refused, url, work }: SourceWork<T>): Promise<T> {
  if (!URL.canParse(url) || !/^postgres(?:ql)?:$/.test(new URL(url).protocol))
    throw new AfluenteError('misconfigured', 'url', 'SOURCE_DATABASE_URL is no URL of a Postgres: postgres://<user>:<password>@<host>:<port>/<database>.')
  const client = new pg.Client({ connectionString: url, application_name: `afluente ${application}`, connectionTimeoutMillis: 10_000 })
  // A connection that dies while idle would otherwise end the process; the next query reports it.
  client.on('error', () => undefined)
  try {
    await client.connect()
    return await work(client)
  } catch (error) {
    throw faultOf(error, refused)
  } finally {
    await client.end().catch(() => undefined)
  }
}

/**
 * One statement that may take as long as the backlog is long: no timeout of the role or the database cuts it short, behind a pooler either. In one
 * message, which the server commits by itself: whoever dies or sleeps here meanwhile keeps no lock that users' writes wait for.
 */
export async function unhurried(client: pg.Client, sql: string): Promise<unknown> {
  const results: unknown = await client.query(`set local statement_timeout = 0; ${sql}`)
  const last: unknown = Array.isArray(results) ? results.at(-1) : results
  return answerOf.parse(last).rows[0]?.answer
}

const answerOf = z.object({ rows: z.array(z.object({ answer: z.unknown() })) })

const ENTRY: Readonly<Record<string, string>> = {
  '28P01': 'The source database refuses the user or password in SOURCE_DATABASE_URL.',
  '28000': 'The source database refuses the user in SOURCE_DATABASE_URL.',
  '3D000': 'The database that SOURCE_DATABASE_URL names is not on that server.',
  '25006': 'SOURCE_DATABASE_URL leads to a database that takes no writes (a read replica?): give the address of the primary.',
}

function faultOf(error: unknown, refused: (error: pg.DatabaseError) => AfluenteError): unknown {
  if (error instanceof AfluenteError) return error
  const cause = { cause: error }
  if (!(error instanceof pg.DatabaseError) || error.code === undefined || /^(?:08|53|57)/.test(error.code)) {
    const reason = error instanceof Error ? error.message : 'unknown reason'
    const text = `No connection to the source database: ${reason}. Check SOURCE_DATABASE_URL, and that the server runs.`
    return new AfluenteError('unavailable', 'connect', text, cause)
  }
  const entry = ENTRY[error.code]
  if (entry !== undefined) return new AfluenteError('misconfigured', error.code, entry, cause)
  // Somebody else was chosen to go on.
  if (error.code === '40P01' || error.code === '55P03') {
    const who = error.code === '55P03' && error.detail !== undefined ? `: ${error.detail}` : ''
    const text = `Others hold what this needs, so nothing was changed (${error.message})${who}. ${error.hint ?? 'Run this again.'}`
    return new AfluenteError('unavailable', error.code, text, cause)
  }
  return refused(error)
}
