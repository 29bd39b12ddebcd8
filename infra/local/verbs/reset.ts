import { existsSync, rmSync } from 'node:fs'
import { Fault } from '../fault.ts'
import type { Home } from '../home.ts'
import { findOrphans } from '../processes.ts'
import { runningSupervisor } from '../running.ts'

/**
 * Removes what a stack kept: data, logs, secrets. Only what the stack itself makes, so that a wrong AFLUENTE_HOME costs nothing.
 * @throws Fault while a stack runs there.
 */
export function reset(home: Home, say: (line: string) => void = console.log): number {
  const supervisor = runningSupervisor(home)
  const orphans = findOrphans(home)
  if (supervisor !== undefined || orphans.length > 0) {
    throw new Fault(`A stack runs under ${home.root} (pid ${supervisor ?? orphans.map(({ pid }) => pid).join(', ')})`, 'Run `npm stop` first')
  }
  const there = existsSync(home.data)
  for (const path of [home.data, home.logs, home.stackFile, home.secretsFile, home.processesFile, home.lockFile]) rmSync(path, { recursive: true, force: true })
  say(there ? `  removed the data under ${home.root}` : `  nothing to remove under ${home.root}`)
  return 0
}
