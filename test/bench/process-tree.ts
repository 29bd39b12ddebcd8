/** The processes of this machine as the kernel tells them. Linux only. */
import { readdirSync, readFileSync } from 'node:fs'

const TICK_MS = 10

export interface Process {
  readonly pid: number
  /** Of its program, as the kernel cuts it. */
  readonly name: string
  readonly parent: number
  /** With the children that have ended. */
  readonly ms: number
}

/** All processes there are; null without /proc. */
export function processTree(): readonly Process[] | null {
  try {
    return readdirSync('/proc')
      .filter((name) => /^\d+$/.test(name))
      .flatMap((name) => processOf(Number(name)))
  } catch {
    return null
  }
}

function processOf(pid: number): readonly Process[] {
  try {
    const text = readFileSync(`/proc/${pid}/stat`, 'utf8')
    const nameEnds = text.lastIndexOf(') ')
    const fields = text.slice(nameEnds + 2).split(' ')
    const ticks = [11, 12, 13, 14].reduce((sum, at) => sum + Number(fields[at]), 0)
    return [{ pid, name: text.slice(text.indexOf('(') + 1, nameEnds), parent: Number(fields[1]), ms: ticks * TICK_MS }]
  } catch {
    return []
  }
}

/** A process and all below it. */
export function descendants(tree: readonly Process[], root: number): readonly Process[] {
  const children = tree.filter(({ parent }) => parent === root)
  return [...tree.filter(({ pid }) => pid === root), ...children.flatMap(({ pid }) => descendants(tree, pid))]
}
