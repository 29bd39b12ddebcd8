/**
 * Connections as PostgREST uses them: the caller's role, its statement timeout and the schema's search path. Those are
 * set once a connection instead of once a request, so a call costs one round trip; a connection is never used for two roles.
 */
import pg from 'pg'
import type { Caller } from '../keys.ts'

export interface Database {
  /** Runs one statement as the caller, in a transaction of its own. Rows come as arrays of Postgres' own text. */
  run(caller: Caller, schema: string, statement: string, values: readonly unknown[]): Promise<Result>
  /** Runs a catalogue query as the owner, with nothing but pg_catalog on the search path. */
  inspect(statement: string, values: readonly unknown[]): Promise<Result>
  close(): Promise<void>
}

export interface Result {
  readonly rows: readonly (readonly (string | null)[])[]
  readonly count: number
}

export interface DatabaseDeps {
  readonly url: string
  /** For roles that set none of their own. */
  readonly statementTimeoutMs: number
  readonly connectionsPerRole: number
}

/** Supabase's API roles; a token that claims another one is refused, as `set role` would be for PostgREST's authenticator. */
const roles: readonly string[] = ['anon', 'authenticated', 'service_role']

const asText = { getTypeParser: () => (value: string) => value }

export function createDatabase(deps: DatabaseDeps): Database {
  const pools = new Map<string, pg.Pool>()
  const settingsOf = new WeakMap<pg.PoolClient, string>()
  const statements = createStatementNames()

  const poolOf = (key: string, onConnect: (client: pg.ClientBase) => Promise<void>): pg.Pool => {
    const known = pools.get(key)
    if (known !== undefined) return known
    const pool = new pg.Pool({
      connectionString: deps.url,
      max: deps.connectionsPerRole,
      idleTimeoutMillis: 30_000,
      connectionTimeoutMillis: 10_000,
      application_name: 'postgrest stand-in',
      types: asText,
      onConnect,
    })
    // A connection that breaks is replaced at the next call; without listeners it would end the process, and the pool listens to idle ones only.
    pool.on('error', () => undefined)
    pool.on('connect', (client) => client.on('error', () => undefined))
    pools.set(key, pool)
    return pool
  }

  return {
    run: async (caller, schema, statement, values) => {
      if (!roles.includes(caller.role)) throw new RoleRefused(caller.role)
      const pool = poolOf(`${caller.role} ${schema}`, (client) => become(client, caller.role, schema, deps.statementTimeoutMs))
      const client = await pool.connect()
      try {
        const headers = caller.traceparent === undefined ? '{}' : JSON.stringify({ traceparent: caller.traceparent })
        const settings = [caller.claims, headers]
        if (settingsOf.get(client) !== settings.join()) {
          const text = `select set_config('request.jwt.claims', $1, false), set_config('request.headers', $2, false)`
          await client.query({ name: 'settings', text, values: settings })
          settingsOf.set(client, settings.join())
        }
        const result = await client.query({ name: statements(statement), text: statement, values: [...values], rowMode: 'array' })
        client.release()
        return { rows: result.rows, count: result.rowCount ?? 0 }
      } catch (error) {
        // A refusal by the server leaves the connection well; anything else may not.
        client.release(!(error instanceof pg.DatabaseError) || error.severity === 'FATAL')
        throw error
      }
    },
    inspect: async (statement, values) => {
      const pool = poolOf('catalogue', async (client) => void (await client.query(`select set_config('search_path', 'pg_catalog', false)`)))
      const result = await pool.query({ name: statements(statement), text: statement, values: [...values], rowMode: 'array' })
      return { rows: result.rows, count: result.rowCount ?? 0 }
    },
    close: async () => {
      await Promise.all([...pools.values()].map((pool) => pool.end()))
    },
  }
}

export class RoleRefused extends Error {
  constructor(role: string) {
    super(`permission denied to set role "${role}"`)
    this.name = 'RoleRefused'
  }
}

async function become(client: pg.ClientBase, role: string, schema: string, timeoutMs: number): Promise<void> {
  // PostgREST applies what `alter role … set statement_timeout` says, which `set role` alone doesn't.
  const own = await client.query<[string]>({
    text: `select split_part(setting, '=', 2) from pg_roles, unnest(rolconfig) setting where rolname = $1 and setting like 'statement_timeout=%'`,
    values: [role],
    rowMode: 'array',
  })
  await client.query(
    `select set_config('statement_timeout', $2, false), set_config('search_path', quote_ident($3) || ', public, extensions', false), set_config('role', $1, false)`,
    [role, own.rows[0]?.[0] ?? String(timeoutMs), schema],
  )
}

/** Prepared under one name a text on each connection. Texts hold no values, so there are few; past the limit they go unprepared. */
function createStatementNames(): (text: string) => string | undefined {
  const names = new Map<string, string>()
  return (text) => {
    const known = names.get(text)
    if (known !== undefined || names.size >= 1000) return known
    const name = `s${names.size}`
    names.set(text, name)
    return name
  }
}
