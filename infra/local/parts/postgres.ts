import { spawnSync } from 'node:child_process'
import { chownSync, existsSync, mkdirSync, mkdtempSync, renameSync, rmSync, writeFileSync } from 'node:fs'
import { readdir, readFile, readlink } from 'node:fs/promises'
import { dirname, join } from 'node:path'
import pg from 'pg'
import { until } from '../deadline.ts'
import { Fault } from '../fault.ts'
import type { Recipe } from '../part.ts'
import { assertFree } from '../ports.ts'
import { asUser, findBinaries, systemUser } from './postgres-binaries.ts'

export interface PostgresOptions {
  readonly data: string
  readonly port: number
  readonly password: string
  /** Made when they are missing; the first start of a data directory makes all of them. */
  readonly databases: readonly string[]
  readonly env: NodeJS.ProcessEnv
}

/** Settings for a stack on one machine. Durability stays on: what is measured here must mean something. */
const settings: Readonly<Record<string, string>> = {
  listen_addresses: '127.0.0.1',
  unix_socket_directories: '',
  max_connections: '200',
  shared_buffers: '256MB',
  max_wal_size: '2GB',
  // The way of a row and the bench read commit times from the rows themselves.
  track_commit_timestamp: 'on',
  timezone: 'UTC',
  log_timezone: 'UTC',
  jit: 'off',
  // Neither statements nor details: they would carry rows and passwords into the log.
  log_min_error_statement: 'panic',
  log_error_verbosity: 'terse',
}

/** The connection string of one database of this cluster. */
export function postgresUrl(options: Pick<PostgresOptions, 'port' | 'password'>, database: string): string {
  return `postgres://postgres:${encodeURIComponent(options.password)}@127.0.0.1:${options.port}/${database}`
}

/** One cluster with all the databases; superuser `postgres`. */
export function postgresRecipe(options: PostgresOptions): Recipe {
  const url = postgresUrl(options, 'postgres')
  return {
    name: 'postgres',
    before: async () => {
      await assertFree('postgres', options.port)
      if (!existsSync(join(options.data, 'PG_VERSION'))) initialise(options)
      await oldBackendsGone(options.data)
    },
    command: () => {
      const flags = Object.entries({ ...settings, port: String(options.port) }).flatMap(([name, value]) => ['-c', `${name}=${value}`])
      const { postgres } = findBinaries()
      const command = { file: postgres, args: ['-D', options.data, ...flags], env: options.env, cwd: '/' }
      return asUser(command, systemUser(options.data), [postgres, options.data])
    },
    ready: () => withClient(url, (client) => makeDatabases(client, options.databases)),
    readyWithinMs: 60_000,
    stopSignal: 'SIGINT',
    stopWithinMs: 10_000,
    explain: (log) =>
      /incompatible with server|initialized by PostgreSQL version/.test(log)
        ? new Fault(`The data under ${options.data} come from another version of Postgres`, 'Run `npm run reset` to start anew')
        : undefined,
  }
}

/** Into a directory beside the wanted one, then moved: an interrupted initdb leaves nothing that looks finished. */
function initialise(options: PostgresOptions): void {
  mkdirSync(dirname(options.data), { recursive: true })
  rmSync(options.data, { recursive: true, force: true })
  const user = systemUser(options.data)
  const work = mkdtempSync(join(dirname(options.data), 'initdb-'))
  try {
    const password = join(work, 'password')
    const cluster = join(work, 'cluster')
    writeFileSync(password, options.password, { mode: 0o600 })
    if (user !== undefined) for (const path of [work, password]) chownSync(path, user.uid, user.gid)
    const { initdb } = findBinaries()
    const args = [
      '-D',
      cluster,
      '-U',
      'postgres',
      '-A',
      'scram-sha-256',
      `--pwfile=${password}`,
      '--encoding=UTF8',
      '--lc-messages=C',
      `--locale=${process.platform === 'darwin' ? 'en_US.UTF-8' : 'C.UTF-8'}`,
      '--no-sync',
    ]
    const command = asUser({ file: initdb, args }, user, [initdb, cluster])
    const done = spawnSync(command.file, command.args, {
      encoding: 'utf8',
      cwd: '/',
      env: options.env,
      ...(command.uid === undefined ? {} : { uid: command.uid, gid: command.gid }),
    })
    if (done.status !== 0)
      throw new Fault(
        `initdb failed: ${(done.stderr ?? done.error?.message ?? '').trim().split('\n').at(-1) ?? ''}`,
        `It was run as ${user === undefined ? 'this user' : `uid ${user.uid}`}: ${initdb}`,
      )
    renameSync(cluster, options.data)
  } finally {
    rmSync(work, { recursive: true, force: true })
  }
}

/** After a SIGKILL the backends notice only a moment later, and until then a new server refuses to start. */
async function oldBackendsGone(data: string): Promise<void> {
  if (process.platform !== 'linux' || !existsSync(join(data, 'postmaster.pid'))) return
  await until(async () => {
    for (const pid of (await readdir('/proc')).filter((name) => /^\d+$/.test(name))) {
      const line = await readFile(`/proc/${pid}/cmdline`, 'utf8').catch(() => '')
      const directory = line.startsWith('postgres:') ? await readlink(`/proc/${pid}/cwd`).catch(() => '') : ''
      if (directory === data) return false
    }
    return true
  }, 10_000)
}

async function withClient(url: string, work: (client: pg.Client) => Promise<void>): Promise<boolean> {
  const client = new pg.Client({ connectionString: url, connectionTimeoutMillis: 2_000 })
  client.on('error', () => undefined)
  try {
    await client.connect()
    await work(client)
    return true
  } finally {
    await client.end().catch(() => undefined)
  }
}

async function makeDatabases(client: pg.Client, databases: readonly string[]): Promise<void> {
  const { rows } = await client.query<{ datname: string }>('select datname from pg_database')
  const there = new Set(rows.map((row) => row.datname))
  for (const name of databases) if (!there.has(name)) await client.query(`create database ${client.escapeIdentifier(name)}`)
}
