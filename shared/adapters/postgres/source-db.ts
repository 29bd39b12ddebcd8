/** The source database over SOURCE_DATABASE_URL, for reading alone. */
import pg from 'pg'
import { AfluenteError, type FaultKind } from '../../engine/errors.ts'
import type { Cancellable } from '../../ports/cancellable.ts'
import type { Query, Result } from './db.ts'
import { masked } from './faults.ts'
import { asText, connected, endOf } from './pool.ts'
import { type RawRow, type Wire, wireOf } from './wire.ts'

export interface ReadQuery extends Query {
  /** Schemas in which operators of the key's types lie, beside pg_catalog and those of the role. */
  readonly operatorSchemas?: readonly string[]
  /** Settings of this transaction beside those of every one. */
  readonly settings?: Readonly<Record<string, string>>
}

export interface ReadResult extends Result {
  /** What a row has, also where there is none; `type` is the number that Postgres knows it by. */
  readonly columns: readonly { readonly name: string; readonly type: number }[]
}

/**
 * Each query is a transaction of its own that can write nothing, and prints values as the triggers do, whatever the role's settings.
 * All values come as text (or null). Not its job: retries. Errors: `unavailable`, `misconfigured`, and `refused` where the statement itself is wrong.
 */
export interface ReadOnlyDb {
  read(query: ReadQuery, options: Cancellable): Promise<ReadResult>
  /** The same with each value in its binary form, as the type's own send function writes it: JavaScript makes no text of it. */
  readBytes(query: ReadQuery, options: Cancellable): Promise<readonly BytesRow[]>
  close(): Promise<void>
}

export type BytesRow = Readonly<Record<string, Uint8Array | null>>

export interface SourceDbSettings {
  readonly connectionString: string
  readonly max?: number
  /** The server's limit for a statement. A condition without an index reads a whole table. */
  readonly statementTimeoutMs?: number
  /** What leads to it, for messages. Left out: SOURCE_DATABASE_URL. */
  readonly setting?: string
}

/** As the functions of the schema afluente have it. A statement whose client is gone ends. */
const SETTINGS = [
  ['timezone', 'UTC'],
  ['datestyle', 'ISO, YMD'],
  ['intervalstyle', 'postgres'],
  ['extra_float_digits', '1'],
  ['bytea_output', 'hex'],
  ['client_connection_check_interval', '2s'],
  ['jit', 'off'],
] as const

const CONNECT_TIMEOUT_MS = 10_000
const GRACE_MS = 5_000

export function sourceDb({ connectionString, max = 2, setting = 'SOURCE_DATABASE_URL', statementTimeoutMs = 300_000 }: SourceDbSettings): ReadOnlyDb {
  const pool = new pg.Pool({ connectionString, max, application_name: 'afluente', connectionTimeoutMillis: CONNECT_TIMEOUT_MS, keepAlive: true, types: asText })
  pool.on('error', () => undefined)
  // Of a connection in use the query tells.
  pool.on('connect', (client) => {
    client.on('error', () => undefined)
    const wire = wireOf(client)
    if (wire !== undefined) wires.set(client, wire)
  })
  const wires = new WeakMap<pg.PoolClient, Wire>()
  const reading = async <T>(
    { operatorSchemas = [], settings = {} }: ReadQuery,
    { signal }: Cancellable,
    ask: (client: pg.PoolClient) => Promise<T>,
  ): Promise<T> => {
    const end = endOf(signal, statementTimeoutMs + GRACE_MS, 'The source database')
    try {
      const client = await connected(pool, end.reached)
      let sound = false
      const read = async () => {
        await client.query(beginning(operatorSchemas, { ...settings, statement_timeout: String(statementTimeoutMs) }))
        const answer = await ask(client)
        await client.query('commit')
        return answer
      }
      try {
        const result = await Promise.race([read(), end.reached])
        sound = true
        return result
      } catch (error) {
        if (error instanceof pg.DatabaseError) sound = await client.query('rollback').then(yes, no)
        throw error
      } finally {
        client.release(!sound)
      }
    } catch (error) {
      throw signal.aborted ? error : faultOf(error, setting)
    } finally {
      end.forget()
    }
  }
  return {
    read: (query, options) =>
      reading(query, options, async (client) => {
        const { fields, rows } = await client.query<Readonly<Record<string, unknown>>>({ text: query.text, values: [...query.values] })
        return { rows, columns: fields.map(({ dataTypeID, name }) => ({ name, type: dataTypeID })) }
      }),
    readBytes: (query, options) =>
      reading(query, options, async (client) => {
        const wire = wires.get(client)
        if (wire === undefined)
          throw new AfluenteError('misconfigured', 'pg', 'The installed version of pg is another than the one this was made for: run npm ci.')
        const found: RawRow[] = []
        const asked = { text: query.text, values: [...query.values], binary: true, queryMode: 'extended' }
        const { fields } = await wire.rowsOf(
          () => client.query(asked),
          (row) => found.push(row),
        )
        return found.map((row) => Object.fromEntries(fields.map(({ name }, nth) => [name, row[nth] ?? null])))
      }),
    close: () => pool.end(),
  }
}

const yes = () => true
const no = () => false

function beginning(operatorSchemas: readonly string[], more: Readonly<Record<string, string>>): string {
  const path = ['pg_catalog', ...operatorSchemas.map((schema) => pg.escapeIdentifier(schema))].join(', ')
  const settings = [...SETTINGS, ...Object.entries(more)].map(([name, value]) => `set_config(${pg.escapeLiteral(name)}, ${pg.escapeLiteral(value)}, true)`)
  return `begin isolation level read committed read only;
    select ${settings.join(', ')}, set_config('search_path', concat_ws(', ', ${pg.escapeLiteral(path)}, nullif(current_setting('search_path'), '')), true)`
}

/** By SQLSTATE, the longest prefix first. What is not listed is `unavailable`: asking again loses nothing. */
const KINDS: readonly (readonly [prefix: string, kind: FaultKind, advice: string])[] = [
  ['42P01', 'misconfigured', 'Check its name, and whether it was dropped or renamed in the source.'],
  ['42703', 'misconfigured', 'Check its name, and whether it was dropped or renamed in the source.'],
  [
    '42501',
    'misconfigured',
    'The role of {setting} may not read it: grant it select on the table, and usage on its schema; bypassrls where policies hide rows.',
  ],
  ['57014', 'unavailable', 'It took too long: an index for the condition helps.'],
  ...['53', '55000', '57P'].map((prefix) => [prefix, 'unavailable', 'See that the source database runs and takes connections.'] as const),
  ['28', 'misconfigured', 'Check the user and password in {setting}.'],
  ['3D', 'misconfigured', 'Check the database name in {setting}.'],
  ['0A', 'refused', ''],
  ['21', 'refused', ''],
  ['22', 'refused', ''],
  ['25006', 'refused', 'Reading may not write.'],
  ['42', 'refused', ''],
  ['P0', 'refused', ''],
]

function faultOf(error: unknown, setting: string): AfluenteError {
  if (error instanceof AfluenteError) return error
  const state = error instanceof pg.DatabaseError ? (error.code ?? '') : ''
  if (state === '') {
    return new AfluenteError(
      'unavailable',
      'connection',
      `No connection to the source database (${codeOf(error)}). Check that it runs and that ${setting} leads to it.`,
      { cause: error },
    )
  }
  const [, kind, advice] = KINDS.find(([prefix]) => state.startsWith(prefix)) ?? ['', 'unavailable' as const, 'Try again.']
  const message = masked(error instanceof Error ? error.message : '', state)
  return new AfluenteError(kind, state, `Postgres: ${message} (${state}).${advice === '' ? '' : ` ${advice.replace('{setting}', setting)}`}`, { cause: error })
}

function codeOf(error: unknown): string {
  const code: unknown = typeof error === 'object' && error !== null ? Reflect.get(error, 'code') : undefined
  return typeof code === 'string' ? code : 'no answer'
}
