/** A source database of a test's own, its outbox and its claims, with every value as the text that Postgres printed. */
import pg from 'pg'
import { afterAll, beforeAll, beforeEach } from 'vitest'
import { startPostgres, type TestDatabase, type TestPostgres } from './postgres.ts'

export type Row = Readonly<Record<string, string | null>>

export interface OutboxRow {
  readonly version: number
  readonly source_table: string
  readonly topic: string
  readonly key: string
  readonly shard: string
  readonly op: string
  readonly before: string | null
  readonly after: string | null
  readonly occurred_at: string
  readonly traceparent: string | null
}

/** One connection. */
export interface Session {
  run(sql: string, values?: readonly unknown[]): Promise<readonly Row[]>
  /** The only value of the only row. */
  value(sql: string, values?: readonly unknown[]): Promise<string | null>
  close(): Promise<void>
}

export interface Source extends Session {
  readonly database: TestDatabase
  /** Another connection: as the project's owner, or as the superuser. */
  connect(as?: 'owner' | 'superuser'): Promise<Session>
  /** The outbox in version order, of one table or of all. */
  outbox(table?: string): Promise<readonly OutboxRow[]>
  emptyOutbox(): Promise<void>
}

/** A Postgres for the file that calls it, and a fresh database for each of its tests: what it answers is the present test's. */
export function freshSource(): Source {
  let postgres: TestPostgres | undefined
  let source: Source | undefined
  const present = () => {
    if (source === undefined) throw new Error('There is a source within tests and their hooks alone.')
    return source
  }
  beforeAll(async () => {
    postgres = await startPostgres()
  })
  beforeEach(async () => {
    await source?.close()
    if (postgres !== undefined) source = await openSource(postgres)
  })
  afterAll(async () => {
    await source?.close()
    await postgres?.stop()
  })
  return {
    get database() {
      return present().database
    },
    run: (sql, values) => present().run(sql, values),
    value: (sql, values) => present().value(sql, values),
    connect: (as) => present().connect(as),
    outbox: (table) => present().outbox(table),
    emptyOutbox: () => present().emptyOutbox(),
    close: () => present().close(),
  }
}

/** A fresh database; the session itself is the owner's. */
export async function openSource(postgres: TestPostgres): Promise<Source> {
  const database = await postgres.newDatabase()
  const sessions: Session[] = []
  const connect = async (as: 'owner' | 'superuser' = 'owner') => {
    const session = await openSession(as === 'owner' ? database.ownerUrl : database.url)
    sessions.push(session)
    return session
  }
  const own = await connect()
  return {
    ...own,
    database,
    connect,
    outbox: async (table) => {
      const rows = await own.run('select * from afluente.outbox where $1::text is null or source_table = $1 order by version', [table ?? null])
      return rows.map((row) => ({ ...(row as unknown as OutboxRow), version: Number(row['version']) }))
    },
    emptyOutbox: async () => {
      await own.run('delete from afluente.outbox')
    },
    close: async () => {
      await Promise.all(sessions.map((session) => session.close()))
    },
  }
}

async function openSession(url: string): Promise<Session> {
  const asText = { getTypeParser: () => (text: string) => text }
  const client = new pg.Client({ connectionString: url, types: asText as unknown as pg.CustomTypesConfig })
  client.on('error', () => undefined)
  await client.connect()
  const run = async (sql: string, values: readonly unknown[] = []) => {
    const result = await client.query<Row>(sql, values.length === 0 ? undefined : [...values])
    // Several statements in one string give several results; the last counts.
    return (Array.isArray(result) ? (result as pg.QueryResult<Row>[]).at(-1) : result)?.rows ?? []
  }
  return {
    run,
    value: async (sql, values) => Object.values((await run(sql, values))[0] ?? {})[0] ?? null,
    close: async () => {
      await client.end().catch(() => undefined)
    },
  }
}

export type ClaimedRow = readonly [number, string, string, string, string, string | null, string | null, string, string | null, number | null]

export type Claimed =
  | { readonly status: 'held'; readonly epoch: number; readonly rows: readonly ClaimedRow[]; readonly more: boolean }
  | { readonly status: 'busy'; readonly retryMs: number }
  | { readonly status: 'refused'; readonly reason: string }

export interface ClaimOptions {
  readonly shard?: number
  readonly lease?: string
  readonly floor?: number
  readonly max_rows?: number
  readonly max_bytes?: number
  readonly wait?: string
}

export async function claim(session: Session, owner: string, options: ClaimOptions = {}): Promise<Claimed> {
  const given = { shard: 0, owner, ...options }
  const named = Object.keys(given).map((name, at) => `"${name}" => $${at + 1}`)
  return JSON.parse((await session.value(`select afluente.claim(${named.join(', ')})`, Object.values(given))) ?? 'null') as Claimed
}

/** A claim that must be granted. */
export async function held(session: Session, owner: string, options: ClaimOptions = {}): Promise<Extract<Claimed, { status: 'held' }>> {
  const claimed = await claim(session, owner, options)
  if (claimed.status !== 'held') throw new Error(`The claim was not granted: ${JSON.stringify(claimed)}`)
  return claimed
}

export async function acknowledge(session: Session, epoch: number, versions: readonly number[], shard = 0): Promise<unknown> {
  return JSON.parse((await session.value('select afluente.acknowledge($1, $2, $3)', [shard, epoch, versions])) ?? 'null')
}

export async function release(session: Session, epoch: number, shard = 0): Promise<unknown> {
  return JSON.parse((await session.value('select afluente.release($1, $2)', [shard, epoch])) ?? 'null')
}

export interface Resent {
  readonly sent: number
  readonly locked: readonly string[]
  readonly gone: readonly string[]
  readonly keeps: 'images' | 'keys' | 'nothing'
}

export async function resend(session: Session, table: string, keys: readonly string[]): Promise<Resent> {
  return JSON.parse((await session.value('select afluente.resend_rows($1, $2)', [table, keys])) ?? 'null') as Resent
}

export interface DrawnDeletes {
  readonly fence: string
  readonly versions: readonly (readonly [key: string, version: number])[]
}

export async function drawDeletes(session: Session, table: string, keys: readonly string[]): Promise<DrawnDeletes> {
  return JSON.parse((await session.value('select afluente.draw_deletes($1, $2)', [table, keys])) ?? 'null') as DrawnDeletes
}

export type SentDeletes = { readonly status: 'early' } | { readonly status: 'sent'; readonly sent: number; readonly there: readonly string[] }

export async function sendDeletes(session: Session, table: string, fence: string, versions: DrawnDeletes['versions']): Promise<SentDeletes> {
  const values = [table, fence, versions.map(([key]) => key), versions.map(([, version]) => version)]
  return JSON.parse((await session.value('select afluente.send_deletes($1, $2, $3, $4)', values)) ?? 'null') as SentDeletes
}

export interface BacklogAnswer {
  readonly rows: number
  readonly oldestMs: number | null
  readonly leased: boolean
  readonly failures: number
  readonly refused: string | null
  readonly keeps: 'images' | 'keys' | 'nothing'
  readonly tables: readonly {
    readonly table: string
    readonly topic: string
    readonly failures: number
    readonly lastFailure: string | null
    readonly reconcileSince: string | null
    readonly keysOnlySince: string | null
    readonly problem: string | null
  }[]
}

export async function backlog(session: Session): Promise<BacklogAnswer> {
  return JSON.parse((await session.value('select afluente.backlog()')) ?? 'null') as BacklogAnswer
}

/** What a reader who keeps the highest version of each key ends with: the living keys and their images. */
export function endState(rows: readonly OutboxRow[]): ReadonlyMap<string, string> {
  const last = new Map<string, OutboxRow>()
  for (const row of rows) if ((last.get(row.key)?.version ?? 0) < row.version) last.set(row.key, row)
  return new Map([...last.values()].flatMap(({ key, op, after }) => (op === 'delete' || after === null ? [] : [[key, after] as const])).toSorted(byKey))
}

/** The same of the table itself, printed as the trigger prints. */
export async function tableState(session: Session, table: string, key: string): Promise<ReadonlyMap<string, string>> {
  const rows = await session.run(`select jsonb_build_array(${key})::text as key, row_to_json(t.*)::text as image from ${table} t`)
  return new Map(rows.map(({ key: text, image }) => [text ?? '', image ?? ''] as const).toSorted(byKey))
}

function byKey([a]: readonly [string, string], [b]: readonly [string, string]): number {
  return a < b ? -1 : Number(a > b)
}
