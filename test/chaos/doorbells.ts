/** The stand-in for pg_net, asked to lose or double doorbells, and how many it really did. */
import { until } from '../../infra/local/deadline.ts'
import type { StackInfo } from '../../infra/local/stack-info.ts'

interface Stats {
  readonly sent: number
  readonly failed: number
  readonly dropped: number
  readonly doubled: number
}

export interface Doorbells {
  ask(what: 'drop' | 'double', count: number): Promise<void>
  /** Looks at the counters, which begin again with each start of the stand-in: so look often. */
  look(): Promise<void>
  readonly counts: Readonly<Stats>
}

/** The stand-in may be away when it is asked. */
const ASK_WITHIN_MS = 10_000
const names = ['sent', 'failed', 'dropped', 'doubled'] as const

export function createDoorbells({ supabase }: StackInfo): Doorbells {
  const counts = { sent: 0, failed: 0, dropped: 0, doubled: 0 }
  let last = { ...counts }
  const call = async (path: string, method: string): Promise<boolean> => {
    try {
      const response = await fetch(`${supabase.url}${path}`, {
        method,
        headers: { authorization: `Bearer ${supabase.serviceRoleKey}` },
        signal: AbortSignal.timeout(1_000),
      })
      const stats = (await response.json()) as Stats
      if (!response.ok) return false
      for (const name of names) counts[name] += stats[name] >= last[name] ? stats[name] - last[name] : stats[name]
      last = { sent: stats.sent, failed: stats.failed, dropped: stats.dropped, doubled: stats.doubled }
      return true
    } catch {
      // It is down just now, as it may be.
      return false
    }
  }
  return {
    counts,
    ask: async (what, count) => void (await until(() => call(`/_net/${what}?count=${count}`, 'POST'), ASK_WITHIN_MS, 200)),
    look: async () => void (await call('/_net', 'GET')),
  }
}
