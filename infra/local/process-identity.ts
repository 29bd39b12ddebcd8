import { execFileSync } from 'node:child_process'
import { readFileSync } from 'node:fs'

/**
 * What makes a process id the same process later on: when it was started. Undefined when there is no such process.
 * A pid alone is given out again, after a reboot sooner than one thinks.
 */
export function identify(pid: number): string | undefined {
  if (process.platform !== 'linux') return psColumn(pid, 'lstart')
  try {
    const stat = readFileSync(`/proc/${pid}/stat`, 'utf8')
    const fields = stat.slice(stat.lastIndexOf(')') + 2).split(' ')
    if (fields[0] === 'Z') return undefined
    return `${readFileSync('/proc/sys/kernel/random/boot_id', 'utf8').trim()}/${fields[19] ?? ''}`
  } catch {
    return undefined
  }
}

/** The command line, or an empty text. */
export function commandLine(pid: number): string {
  if (process.platform !== 'linux') return psColumn(pid, 'command') ?? ''
  try {
    return readFileSync(`/proc/${pid}/cmdline`, 'utf8').replaceAll('\0', ' ').trim()
  } catch {
    return ''
  }
}

function psColumn(pid: number, column: string): string | undefined {
  try {
    const text = execFileSync('ps', ['-o', `${column}=`, '-p', String(pid)], { encoding: 'utf8', stdio: ['ignore', 'pipe', 'ignore'] })
    return text.trim() || undefined
  } catch {
    return undefined
  }
}

/** Signals a part and all that it started: each part leads a process group of its own. Nothing when the group is gone. */
export function signalGroup(leader: number, signal: NodeJS.Signals): void {
  try {
    process.kill(-leader, signal)
  } catch {
    // Gone already, which is what was wanted.
  }
}
