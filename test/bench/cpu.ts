/** CPU seconds of each part of the stack over a stretch of work, from the kernel's own counts: what a row costs, and where. Linux only. */
import { setTimeout as sleep } from 'node:timers/promises'
import { descendants, processTree } from './process-tree.ts'
import type { BenchStack } from './stack.ts'

/** Microseconds a row by part; the two databases of the one cluster are told apart, what Postgres does for both (WAL, checkpoints) is `postgres rest`. */
export type CpuPerRow = Readonly<Record<string, number>>

/** What Postgres does for this bench's own sessions: their inserts, with the trigger's work, and their looks. */
export const INSERTS = "bench's inserts and looks"

/** Without what this bench itself takes. */
export function cpuOfProduct(cpuPerRow: CpuPerRow): { readonly parts: readonly (readonly [string, number])[]; readonly total: number } {
  const parts = Object.entries(cpuPerRow).filter(([part]) => part !== 'bench' && part !== INSERTS)
  return { parts, total: parts.reduce((sum, [, value]) => sum + value, 0) }
}

/** Begins to count; what it gives ends the count and divides it by `rows`. Null without /proc. */
export async function countCpu(stack: BenchStack): Promise<((rows: number) => Promise<CpuPerRow>) | null> {
  const before = await used(stack)
  if (before === null) return null
  return async (rows) => {
    const now = (await used(stack)) ?? new Map<string, number>()
    return Object.fromEntries([...now].map(([part, ms]) => [part, round(((ms - (before.get(part) ?? 0)) * 1_000) / rows)]))
  }
}

const IDLE_SHARE = 0.25
const LOOK_MS = 500

/** Waits until a stack has ended what its last work left behind: merges, vacuums, checkpoints. At most ten seconds, for some never rest. */
export async function untilIdle({ info }: Pick<BenchStack, 'info'>): Promise<void> {
  const total = (): number => {
    const tree = processTree() ?? []
    return Object.values(info.processes).reduce((sum, root) => sum + descendants(tree, root).reduce((of, { ms }) => of + ms, 0), 0)
  }
  let before = total()
  for (let looks = 0; looks < 20; looks += 1) {
    await sleep(LOOK_MS)
    const now = total()
    if (now - before < IDLE_SHARE * LOOK_MS) return
    before = now
  }
}

/** Milliseconds since each part began. */
async function used({ info, source }: BenchStack): Promise<Map<string, number> | null> {
  const tree = processTree()
  if (tree === null) return null
  const { rows } = await source.query<{ pid: number; part: string }>(
    `select pid, case when application_name = 'afluente-bench' then $1 else concat('postgres ', datname) end as part from pg_stat_activity where datname is not null`,
    [INSERTS],
  )
  const partOf = new Map(rows.map(({ pid, part }) => [pid, part]))
  const sums = new Map<string, number>()
  const add = (part: string, ms: number) => sums.set(part, (sums.get(part) ?? 0) + ms)
  for (const [part, root] of Object.entries(info.processes)) {
    for (const one of descendants(tree, root)) add(part === 'postgres' ? (partOf.get(one.pid) ?? 'postgres rest') : part, one.ms)
  }
  add('bench', process.cpuUsage().user / 1_000 + process.cpuUsage().system / 1_000)
  return sums
}

function round(value: number): number {
  return Math.round(value * 10) / 10
}
