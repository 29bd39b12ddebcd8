import { mkdirSync, readFileSync, renameSync, rmSync, writeFileSync } from 'node:fs'
import { homedir } from 'node:os'
import { join, resolve } from 'node:path'

/** The repository's root, wherever the clone lies. */
export const repository = resolve(import.meta.dirname, '../..')

/** Where one stack keeps what is its own. */
export interface Home {
  readonly root: string
  readonly data: string
  readonly logs: string
  readonly stackFile: string
  readonly secretsFile: string
  readonly processesFile: string
  readonly lockFile: string
}

/** Paths only; nothing is made. A relative `root` counts from the repository. */
export function homeAt(root = '.afluente'): Home {
  const at = resolve(repository, root)
  return {
    root: at,
    data: join(at, 'data'),
    logs: join(at, 'logs'),
    stackFile: join(at, 'stack.json'),
    secretsFile: join(at, 'secrets.json'),
    processesFile: join(at, 'processes.json'),
    lockFile: join(at, 'starting.lock'),
  }
}

export function makeHome(home: Home): void {
  for (const dir of [home.root, home.data, home.logs]) mkdirSync(dir, { recursive: true })
}

/** Downloaded jars, shared by all clones of one user. */
export function cacheDirectory(env: NodeJS.ProcessEnv): string {
  return env['AFLUENTE_CACHE'] ?? join(env['XDG_CACHE_HOME'] ?? join(homedir(), '.cache'), 'afluente')
}

/** Writes for this user alone and in one step: a reader sees the old file or the new one. */
export function writePrivate(file: string, value: unknown): void {
  const next = `${file}.${process.pid}`
  writeFileSync(next, `${JSON.stringify(value, null, 2)}\n`, { mode: 0o600 })
  renameSync(next, file)
}

/** The parsed file, or undefined when it isn't there or isn't JSON. */
export function readJson(file: string): unknown {
  try {
    const value: unknown = JSON.parse(readFileSync(file, 'utf8'))
    return value
  } catch {
    return undefined
  }
}

export function forget(file: string): void {
  rmSync(file, { force: true })
}
