/**
 * A real Postgres that lives as long as a test file: npm's binaries, a free port, data in a temporary folder, nothing synced
 * to disk. Each database it gives is a copy of one that has what Supabase's cloud has, and the migrations.
 */
import { spawn, spawnSync, type ChildProcess } from 'node:child_process'
import { once } from 'node:events'
import { chownSync, mkdtempSync, readFileSync, rmSync } from 'node:fs'
import { createServer } from 'node:net'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import pg from 'pg'
import { applySourceMigrations } from '../../infra/deploy/migrate.ts'
import { asUser, findBinaries, systemUser, type SystemUser } from '../../infra/local/parts/postgres-binaries.ts'
import { eventually } from './poll.ts'

const cloudFile = join(import.meta.dirname, '../../infra/local/postgres/cloud.sql')
const TEMPLATE = 'source_template'
const STARTS = 3

export interface TestDatabase {
  /** As the superuser. */
  readonly url: string
  /** As project_owner, who applied the migrations and has the rights that Supabase's `postgres` has. */
  readonly ownerUrl: string
}

export interface TestPostgres {
  /** The superuser's, of the empty database `postgres`. */
  readonly url: string
  newDatabase(): Promise<TestDatabase>
  /** Also happens by itself when the process that started it ends, however it ends. */
  stop(): Promise<void>
}

/** Of the version in node_modules; of another one where TEST_POSTGRES_BIN names the folder of its programs. */
export async function startPostgres(): Promise<TestPostgres> {
  const bin = process.env['TEST_POSTGRES_BIN']
  const binaries = bin === undefined ? findBinaries() : { postgres: join(bin, 'postgres'), initdb: join(bin, 'initdb') }
  for (let start = 1; ; start += 1) {
    const folder = mkdtempSync(join(tmpdir(), 'afluente-postgres-'))
    let server: ChildProcess | undefined
    try {
      const port = await freePort()
      server = launch(binaries, folder, port)
      const url = `postgres://postgres@127.0.0.1:${port}/postgres`
      await Promise.race([eventually('Postgres answers', () => ask(url, 'select 1')), died(server, folder)])
      await makeTemplate(url)
      const launched = server
      return { url, newDatabase: databaseMaker(url), stop: () => stop(launched) }
    } catch (error) {
      if (server !== undefined) await stop(server)
      rmSync(folder, { recursive: true, force: true })
      // Somebody else may have taken the port between the question and the start.
      if (start === STARTS) throw error
    }
  }
}

/** Runs the server under a shell that ends it, and removes its data, once the pipe from this process is closed: by `stop`, or by this process's end. */
function launch(binaries: { readonly postgres: string; readonly initdb: string }, folder: string, port: number): ChildProcess {
  const user = systemUser(folder)
  if (user !== undefined) chownSync(folder, user.uid, user.gid)
  const data = join(folder, 'data')
  const made = run(
    user,
    binaries.initdb,
    ['-D', data, '-U', 'postgres', '-A', 'trust', '-E', 'UTF8', '--locale=C.UTF-8', '--lc-messages=C', '--no-sync'],
    folder,
  )
  const done = spawnSync(made.file, made.args, { ...made.options, encoding: 'utf8' })
  if (done.status !== 0) throw new Error(`initdb failed: ${done.stderr}`, { cause: done.error })
  const settings = {
    port,
    listen_addresses: '127.0.0.1',
    unix_socket_directories: '',
    fsync: 'off',
    synchronous_commit: 'off',
    full_page_writes: 'off',
    max_connections: 300,
    max_prepared_transactions: 50,
    shared_buffers: '64MB',
  }
  const flags = Object.entries(settings).flatMap(([name, value]) => ['-c', `${name}=${value}`])
  const script = `
    folder=$1; shift
    exec 3<&0
    "$@" </dev/null >"$folder/log" 2>&1 3<&- & server=$!
    (cat <&3 >/dev/null; kill -QUIT $server) & watch=$!
    wait $server
    kill $watch 2>/dev/null
    rm -rf "$folder"`
  const server = run(user, '/bin/sh', ['-c', script, 'sh', folder, binaries.postgres, '-D', data, ...flags], binaries.postgres)
  return spawn(server.file, server.args, { ...server.options, stdio: ['pipe', 'ignore', 'ignore'], detached: true })
}

function run(user: SystemUser | undefined, file: string, args: readonly string[], path: string) {
  const command = asUser({ file, args: [...args], env: { ...process.env, LC_ALL: 'C' }, cwd: '/' }, user, [path])
  const { uid, gid } = command
  return {
    file: command.file,
    args: [...command.args],
    options: { cwd: '/', env: { ...process.env, LC_ALL: 'C' }, ...(uid === undefined ? {} : { uid, gid }) },
  }
}

async function died(server: ChildProcess, folder: string): Promise<never> {
  await once(server, 'exit')
  let log = ''
  try {
    log = readFileSync(join(folder, 'log'), 'utf8')
  } catch {
    log = '(its log is gone with its folder)'
  }
  throw new Error(`Postgres ended while it was starting: ${log}`)
}

async function stop(server: ChildProcess): Promise<void> {
  if (server.exitCode !== null || server.signalCode !== null) return
  const exit = once(server, 'exit')
  server.stdin?.end()
  await exit
}

async function freePort(): Promise<number> {
  const server = createServer().listen(0, '127.0.0.1')
  await once(server, 'listening')
  const address = server.address()
  server.close()
  await once(server, 'close')
  if (address === null || typeof address === 'string') throw new Error('No free port was given')
  return address.port
}

async function makeTemplate(url: string): Promise<void> {
  await ask(url, `create database ${TEMPLATE}`)
  await ask(of(url, 'postgres', TEMPLATE), readFileSync(cloudFile, 'utf8'))
  await applySourceMigrations(of(url, 'project_owner', TEMPLATE))
}

function databaseMaker(url: string): () => Promise<TestDatabase> {
  let made = 0
  return async () => {
    made += 1
    const name = `source_${made}`
    await ask(url, `create database ${name} template ${TEMPLATE}`)
    // A copy of a database is refused, and has none of its rights; this one counts as the one that was captured from the start.
    await ask(of(url, 'postgres', name), `select afluente.move_in(); grant all on database ${name} to project_owner`)
    return { url: of(url, 'postgres', name), ownerUrl: of(url, 'project_owner', name) }
  }
}

function of(url: string, user: string, database: string): string {
  const changed = new URL(url)
  changed.username = user
  changed.pathname = `/${database}`
  return changed.href
}

async function ask(url: string, sql: string): Promise<true> {
  const client = new pg.Client({ connectionString: url, connectionTimeoutMillis: 2_000 })
  client.on('error', () => undefined)
  try {
    await client.connect()
    await client.query(sql)
    return true
  } finally {
    await client.end().catch(() => undefined)
  }
}
