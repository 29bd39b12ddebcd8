import * as z from 'zod'
import { until } from './deadline.ts'
import { forget, readJson, writePrivate, type Home } from './home.ts'
import type { Part } from './part.ts'
import type { Report } from './progress.ts'
import { commandLine, identify, signalGroup } from './process-identity.ts'

const entries = z.array(z.object({ name: z.string(), pid: z.number(), identity: z.string() }))

/** A part that still runs though its supervisor is gone. */
export interface Orphan {
  readonly name: string
  readonly pid: number
  readonly command: string
}

/** Writes down which processes are ours, at every change, so that a hard-killed supervisor leaves a list. */
export function rememberProcesses(home: Home, parts: readonly Part[]): void {
  const running = parts.flatMap((part) => {
    const identity = part.pid === undefined ? undefined : identify(part.pid)
    return part.pid === undefined || identity === undefined ? [] : [{ name: part.name, pid: part.pid, identity }]
  })
  writePrivate(home.processesFile, running)
}

/** Parts of the last supervisor that still run: the same pid started at the same moment. */
export function findOrphans(home: Home): Orphan[] {
  const kept = entries.safeParse(readJson(home.processesFile)).data ?? []
  return kept.filter((entry) => identify(entry.pid) === entry.identity).map((entry) => ({ name: entry.name, pid: entry.pid, command: commandLine(entry.pid) }))
}

/** Stops them politely, last started first, then by force. */
export async function stopOrphans(home: Home, orphans: readonly Orphan[]): Promise<void> {
  for (const orphan of orphans.toReversed()) {
    const alive = identify(orphan.pid)
    process.kill(orphan.pid, orphan.name === 'postgres' ? 'SIGINT' : 'SIGTERM')
    await until(() => Promise.resolve(identify(orphan.pid) !== alive), 8_000, 20)
    signalGroup(orphan.pid, 'SIGKILL')
    await until(() => Promise.resolve(identify(orphan.pid) !== alive), 5_000, 20)
  }
  forget(home.processesFile)
}

/** Stops what a hard-killed supervisor of this home left running, and says so. */
export async function clearOrphans(home: Home, report: Report): Promise<void> {
  const orphans = findOrphans(home)
  if (orphans.length === 0) return
  const list = orphans.map((orphan) => `${orphan.name} (pid ${orphan.pid})`).join(', ')
  report({ key: 'orphans', state: 'running', text: `stopping what a killed supervisor left: ${list}` })
  await stopOrphans(home, orphans)
  report({ key: 'orphans', state: 'note', text: `stopped what a killed supervisor had left running: ${list}` })
}
