import { linkSync, readFileSync, rmSync, writeFileSync } from 'node:fs'
import { setTimeout as sleep } from 'node:timers/promises'
import { identify } from './process-identity.ts'

/** Who holds a lock file: a process that still lives. */
export interface Holder {
  readonly pid: number
}

/**
 * Takes a lock file for this process, or says who has it. A lock whose process is gone is taken over.
 * The file appears complete (link of a finished one), so nobody reads half a lock.
 */
export function tryLock(file: string, pid = process.pid): Holder | undefined {
  const mine = `${file}.${pid}.${Math.random().toString(36).slice(2)}`
  writeFileSync(mine, JSON.stringify({ pid, identity: identify(pid) }))
  try {
    for (;;) {
      try {
        linkSync(mine, file)
        return undefined
      } catch {
        const holder = liveHolder(file)
        if (holder !== undefined) return holder
        rmSync(file, { force: true })
      }
    }
  } finally {
    rmSync(mine, { force: true })
  }
}

export function unlock(file: string): void {
  rmSync(file, { force: true })
}

/** Does the work while no other process that asks for the same file does. */
export async function withLock(file: string, work: () => Promise<void>): Promise<void> {
  while (tryLock(file) !== undefined) await sleep(100)
  try {
    await work()
  } finally {
    unlock(file)
  }
}

function liveHolder(file: string): Holder | undefined {
  try {
    const value: unknown = JSON.parse(readFileSync(file, 'utf8'))
    if (typeof value !== 'object' || value === null || !('pid' in value) || typeof value.pid !== 'number') return undefined
    const identity = 'identity' in value ? value.identity : undefined
    return identify(value.pid) === identity && identity !== undefined ? { pid: value.pid } : undefined
  } catch {
    return undefined
  }
}
