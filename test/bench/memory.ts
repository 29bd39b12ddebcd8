/** How much memory each part of the stack holds: its share of what is in RAM (PSS), as the kernel counts it. Linux only. */
import { readFileSync } from 'node:fs'
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
