import { execFile } from 'node:child_process'
import { readdir, readFile, readlink } from 'node:fs/promises'
import { promisify } from 'node:util'

const run = promisify(execFile)

/** Who listens on a local TCP port, such as `java (pid 4711)`. Undefined when the system doesn't tell this user. */
export async function whoListens(port: number): Promise<string | undefined> {
  return process.platform === 'linux' ? fromProc(port) : fromLsof(port)
}

async function fromProc(port: number): Promise<string | undefined> {
  const inodes = new Set<string>()
  const wanted = `:${port.toString(16).toUpperCase().padStart(4, '0')}`
  for (const table of ['/proc/net/tcp', '/proc/net/tcp6']) {
    const text = await readFile(table, 'utf8').catch(() => '')
    for (const line of text.split('\n').slice(1)) {
      const fields = line.trim().split(/\s+/)
      if (fields[1]?.endsWith(wanted) && fields[3] === '0A' && fields[9] !== undefined) inodes.add(`socket:[${fields[9]}]`)
    }
  }
  if (inodes.size === 0) return undefined
  const pids = (await readdir('/proc')).filter((name) => /^\d+$/.test(name))
  for (const pid of pids) {
    const open = await readdir(`/proc/${pid}/fd`).catch(() => [])
    for (const fd of open) {
      const target = await readlink(`/proc/${pid}/fd/${fd}`).catch(() => '')
      if (!inodes.has(target)) continue
      const name = await readFile(`/proc/${pid}/comm`, 'utf8').catch(() => 'a program')
      return `${name.trim()} (pid ${pid})`
    }
  }
  return undefined
}

async function fromLsof(port: number): Promise<string | undefined> {
  try {
    const { stdout } = await run('lsof', ['-nP', `-iTCP:${port}`, '-sTCP:LISTEN', '-Fpc'])
    const pid = /^p(\d+)$/m.exec(stdout)?.[1]
    const name = /^c(.+)$/m.exec(stdout)?.[1]
    return pid === undefined ? undefined : `${name ?? 'a program'} (pid ${pid})`
  } catch {
    return undefined
  }
}
