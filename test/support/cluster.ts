/**
 * Whole clusters of Postgres that a test may stop, start, back up and restore: what test/support/postgres.ts, which gives
 * databases, keeps out of sight. Real programs, free ports, nothing listening beyond this machine.
 */
import { type ChildProcess, spawn, spawnSync } from 'node:child_process'
import { once } from 'node:events'
import { chownSync, existsSync, mkdtempSync, readdirSync, readFileSync, rmSync } from 'node:fs'
import { createServer } from 'node:net'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import pg from 'pg'
import { applySourceMigrations } from '../../infra/deploy/migrate.ts'
import { asUser, findBinaries, systemUser } from '../../infra/local/parts/postgres-binaries.ts'
import { eventually } from './poll.ts'
import type { Row, Session } from './source.ts'

const cloudFile = join(import.meta.dirname, '../../infra/local/postgres/cloud.sql')

export interface Server {
  readonly data: string
  url(database: string, user?: string): string
  /** Cleanly, as a restart does; or at once, as a crash. */
  stop(how?: 'cleanly' | 'at once'): Promise<void>
}

export interface Clusters {
  /** A folder of the user that runs Postgres, for backups and archives. */
  readonly folder: string
  /** A new data folder, of a new cluster with its own system identifier. */
  initialise(): string
  start(data: string, settings?: Readonly<Record<string, string>>): Promise<Server>
  /** Runs a program as the user that runs Postgres; what it wrote to standard output. Throws with what it complained of. */
  run(file: string, args: readonly string[]): string
  /** Stops what runs, and removes every folder. */
  close(): Promise<void>
}

/** With the programs in node_modules, or those in the folder that `bin` or TEST_POSTGRES_BIN names. */
export function openClusters(bin = process.env['TEST_POSTGRES_BIN']): Clusters {
  const programs = bin === undefined ? findBinaries() : { postgres: join(bin, 'postgres'), initdb: join(bin, 'initdb') }
  const folder = mkdtempSync(join(tmpdir(), 'afluente-clusters-'))
  const user = systemUser(folder)
  if (user !== undefined) chownSync(folder, user.uid, user.gid)
  const env = { ...process.env, LC_ALL: 'C' }
  const servers = new Set<Server>()
  let made = 0

  const command = (file: string, args: readonly string[]) => {
    const { uid, gid, ...as } = asUser({ file, args: [...args], env, cwd: '/' }, user, [file, folder])
    return { file: as.file, args: [...as.args], options: { cwd: '/', env, ...(uid === undefined ? {} : { uid, gid }) } }
  }
  const run: Clusters['run'] = (file, args) => {
    const { args: given, file: program, options } = command(file, args)
    const { error, status, stderr, stdout } = spawnSync(program, given, { ...options, encoding: 'utf8', maxBuffer: 256 * 1024 * 1024 })
    if (status !== 0) throw new Error(`${file} failed: ${stderr}`, { cause: error })
    return stdout
  }
  return {
    folder,
    run,
    initialise: () => {
      made += 1
      const data = join(folder, `cluster-${made}`)
      run(programs.initdb, ['-D', data, '-U', 'postgres', '-A', 'trust', '-E', 'UTF8', '--locale=C.UTF-8', '--lc-messages=C', '--no-sync'])
      return data
    },
    start: async (data, settings = {}) => {
      const port = await freePort()
      const all = {
        port: String(port),
        listen_addresses: '127.0.0.1',
        unix_socket_directories: '',
        fsync: 'off',
        max_connections: '30',
        shared_buffers: '32MB',
        autovacuum: 'off',
        logging_collector: 'off',
        ...settings,
      }
      const flags = Object.entries(all).flatMap(([name, value]) => ['-c', `${name}=${value}`])
      // The server ends with the pipe from this process, however this process ends.
      const script = `exec 3<&0; log=$1; shift
        "$@" </dev/null >"$log" 2>&1 3<&- & server=$!
        (cat <&3 >/dev/null; kill -QUIT $server) 2>/dev/null & watch=$!
        wait $server; kill $watch 2>/dev/null`
      const { args, file, options } = command('/bin/sh', ['-c', script, 'sh', `${data}.log`, programs.postgres, '-D', data, ...flags])
      const child = spawn(file, args, { ...options, stdio: ['pipe', 'ignore', 'ignore'], detached: true })
      const url: Server['url'] = (database, as = 'postgres') => `postgres://${as}@127.0.0.1:${port}/${database}`
      const server: Server = {
        data,
        url,
        stop: async (how = 'cleanly') => {
          servers.delete(server)
          await end(child, data, how)
        },
      }
      servers.add(server)
      await Promise.race([eventually('Postgres answers', () => answers(url('postgres')), 60_000), died(child, data)])
      return server
    },
    close: async () => {
      await Promise.all([...servers].map((server) => server.stop('at once')))
      rmSync(folder, { recursive: true, force: true })
    },
  }
}

async function end(child: ChildProcess, data: string, how: 'cleanly' | 'at once'): Promise<void> {
  if (child.exitCode !== null || child.signalCode !== null) return
  const exit = once(child, 'exit')
  const file = join(data, 'postmaster.pid')
  if (how === 'cleanly' && existsSync(file)) process.kill(Number(readFileSync(file, 'utf8').split('\n')[0]), 'SIGINT')
  else child.stdin?.end()
  await exit
}

async function died(child: ChildProcess, data: string): Promise<never> {
  await once(child, 'exit')
  throw new Error(`Postgres ended while it was starting: ${readFileSync(`${data}.log`, 'utf8')}`)
}

/** Also not while it recovers: what a test writes needs a primary. */
async function answers(url: string): Promise<boolean> {
  const session = await connect(url)
  try {
    return (await session.value('select pg_is_in_recovery()')) === 'f'
  } finally {
    await session.close()
  }
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

/** The roles of a Supabase project, which a dump of a database doesn't hold. */
export async function makeRoles(server: Server): Promise<void> {
  await using(server.url('postgres'), (session) => session.run(readFileSync(cloudFile, 'utf8')))
}

/** Makes a database what a Supabase project is, with the migrations. */
export async function makeSource(server: Server, database: string): Promise<void> {
  await using(server.url('postgres'), (session) => session.run(`create database ${database}`))
  await using(server.url(database), (session) => session.run(readFileSync(cloudFile, 'utf8')))
  await applySourceMigrations(server.url(database, 'project_owner'))
}

/** One connection, with every value as the text that Postgres printed. */
export async function connect(url: string): Promise<Session> {
  const asText = { getTypeParser: () => (text: string) => text }
  const client = new pg.Client({ connectionString: url, types: asText as unknown as pg.CustomTypesConfig, connectionTimeoutMillis: 5_000 })
  client.on('error', () => undefined)
  await client.connect()
  const run: Session['run'] = async (sql, values = []) => {
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

/** A connection for one piece of work. */
export async function using<T>(url: string, work: (session: Session) => Promise<T>): Promise<T> {
  const session = await connect(url)
  try {
    return await work(session)
  } finally {
    await session.close()
  }
}

/** The folder of programs with pg_dump and psql of the server's own version; undefined where there is none: npm's Postgres comes without. */
export function dumpPrograms(): string | undefined {
  const debian = '/usr/lib/postgresql'
  const versions = existsSync(debian) ? readdirSync(debian).toSorted((a, b) => Number(b) - Number(a)) : []
  const folders = [process.env['TEST_POSTGRES_BIN'], ...versions.map((version) => join(debian, version, 'bin'))]
  return folders.find((bin) => bin !== undefined && ['postgres', 'initdb', 'pg_dump', 'psql'].every((program) => existsSync(join(bin, program))))
}
