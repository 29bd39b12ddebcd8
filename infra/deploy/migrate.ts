/**
 * Applies SQL files to a database. The analytics database gets `sql/`: idempotent files in the order of their names,
 * applied again when their text has changed. A local source database gets `supabase/migrations` as the Supabase CLI would apply them.
 */
import { createHash } from 'node:crypto'
import { readdir, readFile } from 'node:fs/promises'
import { join } from 'node:path'
import pg from 'pg'
import { AfluenteError } from '../../shared/engine/errors.ts'
import { sqlFolder } from './generate.ts'

const migrationsFolder = join(import.meta.dirname, '..', '..', 'supabase', 'migrations')

/** One number for both kinds of migration: two deploys at once wait for each other, file by file. */
const LOCK = 7_205_759_403

interface SqlFile {
  readonly name: string
  readonly text: string
}

/** Brings the analytics database up to `sql/`. Resolves with the names of the files that were applied; none when nothing had changed. */
export async function migrate(url: string, folder: string = sqlFolder): Promise<readonly string[]> {
  const files = await sqlFiles(folder)
  return await withClient(url, async (client) => {
    const applied: string[] = []
    for (const file of files) {
      const checksum = createHash('sha256').update(file.text).digest('hex')
      const done = await inTransaction(client, async () => {
        if ((await recordedChecksum(client, file.name)) === checksum) return false
        await apply(client, file)
        await client.query(
          'insert into ops.schema_file (name, checksum) values ($1, $2) on conflict (name) do update set checksum = excluded.checksum, applied_at = clock_timestamp()',
          [file.name, checksum],
        )
        return true
      })
      if (done) applied.push(file.name)
    }
    return applied
  })
}

/**
 * Brings a local source database up to `supabase/migrations`, and records them where the Supabase CLI does, so that both agree
 * on what has been applied. A migration that was applied is never applied again. Resolves with the names of those applied now.
 * @throws AfluenteError when a file is no longer the one that was applied.
 */
export async function applySourceMigrations(url: string, folder: string = migrationsFolder): Promise<readonly string[]> {
  const files = await sqlFiles(folder)
  return await withClient(url, async (client) => {
    await client.query(`
      create schema if not exists supabase_migrations;
      create table if not exists supabase_migrations.schema_migrations (version text primary key, statements text[], name text);`)
    const applied: string[] = []
    for (const file of files) {
      const [, version, name] = /^(\d+)_(.+)\.sql$/.exec(file.name) ?? []
      if (version === undefined || name === undefined)
        throw new AfluenteError('misconfigured', 'migration-name', `supabase/migrations/${file.name}: a migration is named <digits>_<name>.sql.`)
      const done = await inTransaction(client, async () => {
        const { rows } = await client.query<{ statements: string[] | null }>(
          'select statements from supabase_migrations.schema_migrations where version = $1',
          [version],
        )
        if (rows[0] !== undefined) {
          assertUnchanged(file, rows[0].statements)
          return false
        }
        await apply(client, file)
        await client.query('insert into supabase_migrations.schema_migrations (version, name, statements) values ($1, $2, $3)', [version, name, [file.text]])
        return true
      })
      if (done) applied.push(file.name)
    }
    return applied
  })
}

/** Only what was recorded here is compared: the Supabase CLI records its files cut into statements, without the line's end. */
function assertUnchanged(file: SqlFile, recorded: readonly string[] | null): void {
  const [text] = recorded ?? []
  if (text === undefined || recorded?.length !== 1 || !text.endsWith('\n') || text === file.text) return
  throw new AfluenteError(
    'misconfigured',
    'migration-changed',
    `${file.name} was changed after it had been applied to this database. A database on this machine is made anew with: npm run reset. One with data you need gets a new migration instead.`,
  )
}

async function sqlFiles(folder: string): Promise<readonly SqlFile[]> {
  const names = (await readdir(folder)).filter((name) => name.endsWith('.sql')).toSorted()
  if (names.length === 0) throw new AfluenteError('misconfigured', 'no-sql', `${folder} holds no .sql files.`)
  return await Promise.all(names.map(async (name) => ({ name, text: await readFile(join(folder, name), 'utf8') })))
}

async function recordedChecksum(client: pg.Client, name: string): Promise<string | undefined> {
  const { rowCount: there } = await client.query("select where to_regclass('ops.schema_file') is not null")
  if (there === 0) return undefined
  const { rows } = await client.query<{ checksum: string }>('select checksum from ops.schema_file where name = $1', [name])
  return rows[0]?.checksum
}

async function inTransaction<T>(client: pg.Client, work: () => Promise<T>): Promise<T> {
  await client.query('begin')
  try {
    await client.query('select pg_advisory_xact_lock($1)', [LOCK])
    const result = await work()
    await client.query('commit')
    return result
  } catch (error) {
    await client.query('rollback').catch(() => undefined)
    throw error
  }
}

async function apply(client: pg.Client, file: SqlFile): Promise<void> {
  try {
    await client.query(file.text)
  } catch (error) {
    if (!(error instanceof pg.DatabaseError)) throw error
    const line = error.position === undefined ? '' : `:${file.text.slice(0, Number(error.position) - 1).split('\n').length}`
    const hint = error.hint === undefined ? '' : ` ${error.hint}`
    const inside = error.where === undefined ? '' : ` (${error.where.split('\n')[0]})`
    throw new AfluenteError(
      'misconfigured',
      error.code ?? 'sql',
      `${file.name}${line}: ${error.message}${inside}.${hint} Nothing of this file was applied; mend it and run it again.`,
      { cause: error },
    )
  }
}

/** Errors: `unavailable` when there is no connection. */
export async function withClient<T>(url: string, work: (client: pg.Client) => Promise<T>): Promise<T> {
  const client = new pg.Client({ connectionString: url, application_name: 'afluente migrate', connectionTimeoutMillis: 10_000 })
  // A connection that dies while idle would otherwise end the process; the next query reports it.
  client.on('error', () => undefined)
  await connected(client, url)
  try {
    return await work(client)
  } finally {
    await client.end().catch(() => undefined)
  }
}

async function connected(client: pg.Client, url: string): Promise<void> {
  try {
    await client.connect()
  } catch (error) {
    const { host, pathname } = new URL(url)
    throw new AfluenteError(
      'unavailable',
      'connect',
      `No connection to the database ${pathname.slice(1)} at ${host}: ${error instanceof Error ? error.message : 'unknown reason'}. Check the URL, and that the server runs.`,
      { cause: error },
    )
  }
}
