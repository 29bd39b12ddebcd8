import { until } from '../deadline.ts'
import type { Home } from '../home.ts'
import { identify } from '../process-identity.ts'
import { findOrphans, stopOrphans } from '../processes.ts'
import { runningSupervisor } from '../running.ts'
import { readStackFile } from '../stack-info.ts'

const politeMs = 60_000

/** Stops the stack of this home: by its control server, else by signals, and what a killed supervisor left as well. */
export async function stop(home: Home, say: (line: string) => void = console.log): Promise<number> {
  const supervisor = runningSupervisor(home)
  if (supervisor !== undefined) {
    say(`  stopping the stack under ${home.root}`)
    await askToStop(home, supervisor)
    const gone = await until(() => Promise.resolve(runningSupervisor(home) !== supervisor), politeMs, 50)
    if (!gone) {
      say(`  the supervisor (pid ${supervisor}) did not stop within ${politeMs / 1000} s; killing it`)
      process.kill(supervisor, 'SIGKILL')
      await until(() => Promise.resolve(identify(supervisor) === undefined), 5_000)
    }
  }
  const orphans = findOrphans(home)
  if (orphans.length > 0) {
    say(`  stopping what a killed supervisor left: ${orphans.map(({ name, pid }) => `${name} (pid ${pid})`).join(', ')}`)
    await stopOrphans(home, orphans)
  }
  say(supervisor === undefined && orphans.length === 0 ? `  no stack runs under ${home.root}` : '  stopped; the data stay (npm run reset removes them)')
  return 0
}

async function askToStop(home: Home, supervisor: number): Promise<void> {
  const info = readStackFile(home)
  try {
    if (info?.control.pid !== supervisor) throw new Error('still starting')
    await fetch(`${info.control.url}/stop`, { method: 'POST', headers: { authorization: `Bearer ${info.control.token}` }, signal: AbortSignal.timeout(3_000) })
  } catch {
    process.kill(supervisor, 'SIGTERM')
  }
}
