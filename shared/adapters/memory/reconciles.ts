/** The source's side of reconciles in memory, and their results. */
import type { Clock } from '../../ports/clock.ts'
import type { DrawnDeletes, ReconcileSource } from '../../ports/reconcile.ts'
import type { Outcome, Reconciliations, Verdict } from '../../ports/reconciliations.ts'
import { qualifiedName } from '../../tables/table.ts'
import type { MemoryDeletes, MemorySource } from './source.ts'

export interface MemoryReconcileSource extends ReconcileSource {
  /** The last reconcile that was done with. */
  readonly ended: number | null
}

export function memoryReconcileSource({ clock, source }: { readonly source: MemorySource; readonly clock: Clock }): MemoryReconcileSource {
  const drawings = new Map<string, MemoryDeletes>()
  let begun = 0
  let ended: number | null = null
  return {
    get ended() {
      return ended
    },
    begin: async () => {
      begun += 1
      return { status: 'begun', reconciliation: begun, at: new Date(clock.now()).toISOString().replace('Z', '000Z') }
    },
    end: async (_, reconciliation) => {
      if (reconciliation !== begun) return false
      ended = reconciliation
      return true
    },
    drained: async (version) => {
      const line = version ?? source.lastVersion
      return { version: line, left: source.waiting.filter((change) => change.version <= line).length, life: 'only', refused: null }
    },
    resend: async (table, keys) => ({ ...source.resend(qualifiedName(table), keys), keeps: 'images' }),
    drawDeletes: async (table, keys): Promise<DrawnDeletes> => {
      const drawn = source.drawDeletes(qualifiedName(table), keys)
      const fence = String(drawings.size)
      drawings.set(fence, drawn)
      return { fence, versions: drawn.versions }
    },
    sendDeletes: async (table, { fence }) => {
      const drawn = drawings.get(fence)
      return drawn !== undefined && source.sendDeletes(qualifiedName(table), drawn)
    },
  }
}

interface Entry {
  readonly id: number
  readonly table: string
  readonly actor: string
  epoch: number
  leasedUntil: number
  state: 'running' | 'done' | 'failed'
  endedAt: string
  pass: unknown
  outcome: Outcome | null
  problem: string | null
}

/** With the promises of the table `ops.reconciliation`. */
export function memoryReconciliations({ clock }: { readonly clock: Clock }): Reconciliations {
  const entries: Entry[] = []
  const now = () => new Date(clock.now()).toISOString().replace('Z', '000Z')
  const held = ({ epoch, id }: { readonly id: number; readonly epoch: number }) =>
    entries.find((one) => one.id === id && one.epoch === epoch && one.state === 'running')
  const change = (of: { readonly id: number; readonly epoch: number }, to: (entry: Entry) => void): boolean => {
    const entry = held(of)
    if (entry !== undefined) to(entry)
    return entry !== undefined
  }
  const end = (entry: Entry, state: 'done' | 'failed', more: Partial<Entry>) => Object.assign(entry, { state, endedAt: now(), pass: null, ...more })
  return {
    take: async ({ actor, anew, leaseMs, table }) => {
      const open = entries.find((one) => one.table === table && one.actor === actor && one.state === 'running')
      if (open !== undefined && open.leasedUntil > clock.now()) return { status: 'busy' }
      if (open !== undefined && anew) end(open, 'failed', { problem: 'It was interrupted.' })
      if (open === undefined || anew) {
        const entry: Entry = {
          id: entries.length + 1,
          table,
          actor,
          epoch: 1,
          leasedUntil: clock.now() + leaseMs,
          state: 'running',
          endedAt: '',
          pass: null,
          outcome: null,
          problem: null,
        }
        entries.push(entry)
        return { status: 'taken', id: entry.id, epoch: 1, pass: null }
      }
      open.epoch += 1
      open.leasedUntil = clock.now() + leaseMs
      return { status: 'taken', id: open.id, epoch: open.epoch, pass: open.pass }
    },
    keep: async ({ leaseMs, pass, ...of }) =>
      change(of, (entry) => {
        entry.leasedUntil = clock.now() + leaseMs
        entry.pass = pass === undefined ? entry.pass : JSON.parse(JSON.stringify(pass))
      }),
    release: async (of) =>
      change(of, (entry) => {
        entry.leasedUntil = clock.now()
      }),
    fail: async ({ problem, ...of }) => change(of, (entry) => void end(entry, 'failed', { problem })),
    finish: async ({ outcome, ...of }) => change(of, (entry) => void end(entry, 'done', { outcome })),
    latest: async () =>
      [
        ...Map.groupBy(
          entries.filter(({ state, actor }) => state === 'done' || (state === 'failed' && actor === 'schedule')),
          ({ table }) => table,
        ),
      ]
        .flatMap(([table, of]): readonly Verdict[] => {
          const last = of.at(-1)
          const done = of.findLast(({ state }) => state === 'done')
          return last === undefined
            ? []
            : [{ id: last.id, table, actor: last.actor, endedAt: last.endedAt, outcome: done?.outcome ?? null, problem: last.problem }]
        })
        .toSorted((a, b) => (a.table < b.table ? -1 : 1)),
  }
}
