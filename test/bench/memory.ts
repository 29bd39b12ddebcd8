/** How much memory each part of the stack holds: its share of what is in RAM (PSS), as the kernel counts it. Linux only. */
import { readFileSync } from 'node:fs'
import { setTimeout as sleep } from 'node:timers/promises'
import { descendants, processTree } from './process-tree.ts'
import type { BenchStack } from './stack.ts'

/** Megabytes by part, children included, and `workerd` and `deno` apart from what runs them here; empty without /proc. */
export function memoryOf({ info }: Pick<BenchStack, 'info'>): Readonly<Record<string, number>> {
  const tree = processTree()
  if (tree === null) return {}
  const sums = new Map<string, number>()
  for (const [part, root] of Object.entries(info.processes)) {
    for (const { name, pid } of descendants(tree, root)) {
      const of = RUNTIMES.includes(name) ? name : part
      sums.set(of, (sums.get(of) ?? 0) + pssKb(pid))
    }
  }
  return Object.fromEntries([...sums].map(([of, kb]) => [of, Math.round(kb / 1_024)]))
}

/** What the functions run in, in the cloud as here. */
export const RUNTIMES: readonly string[] = ['workerd', 'deno']

function pssKb(pid: number): number {
  try {
    return Number(/^Pss:\s+(\d+) kB/m.exec(readFileSync(`/proc/${pid}/smaps_rollup`, 'utf8'))?.[1] ?? 0)
  } catch {
    // It has ended meanwhile.
    return 0
  }
}

const EVERY_MS = 250

export interface Peak<T> {
  readonly found: T
  /** Megabytes of `workerd` and `deno` at their highest; empty without /proc. */
  readonly peakMb: Readonly<Record<string, number>>
}

/** Looks at the functions' runtimes every quarter of a second until the work is done: a peak between two looks is not seen. */
export async function peakMemory<T>({ info }: Pick<BenchStack, 'info'>, work: () => Promise<T>): Promise<Peak<T>> {
  const peaks = new Map<string, number>()
  let done = false
  const watching = (async () => {
    while (!done) {
      const { edge, worker } = info.processes
      const processes = { ...(edge === undefined ? {} : { edge }), ...(worker === undefined ? {} : { worker }) }
      for (const [name, mb] of Object.entries(memoryOf({ info: { ...info, processes } })))
        if (RUNTIMES.includes(name)) peaks.set(name, Math.max(peaks.get(name) ?? 0, mb))
      await sleep(EVERY_MS)
    }
  })()
  try {
    return { found: await work(), peakMb: Object.fromEntries(peaks) }
  } finally {
    done = true
    await watching
  }
}
