/** The outbox and its shards' leases in memory, with the promises of the SQL functions `claim`, `acknowledge`, `release` and `backlog`. */
import type { Change } from '../../events/change.ts'
import type { Clock } from '../../ports/clock.ts'
import type { ClaimRequest, Outbox, Settled } from '../../ports/outbox.ts'
import type { OutboxRow } from './source.ts'

export interface MemoryOutboxDeps {
  /** Committed changes by version. */
  readonly rows: Map<number, OutboxRow>
  readonly clock: Clock
}

interface Shard {
  owner: string | null
  epoch: number
  leasedUntil: number
}

/** How often a waiting claim looks again, as on the server. */
const LOOK_MS = 2

export function memoryOutbox({ rows, clock }: MemoryOutboxDeps): Outbox {
  const shards = new Map<number, Shard>()
  const shardOf = (shard: number) => {
    const found = shards.get(shard) ?? { owner: null, epoch: 0, leasedUntil: 0 }
    shards.set(shard, found)
    return found
  }

  /** Takes or renews the lease. Null when another owner's is live. `fresh` when it was not held for as long as `until` before. */
  const lease = ({ shard, owner, leaseMs }: ClaimRequest, until: number): { epoch: number; fresh: boolean } | null => {
    const held = shardOf(shard)
    if (held.owner !== owner && held.leasedUntil > clock.now()) return null
    const fresh = held.owner !== owner || held.leasedUntil <= until
    if (held.owner !== owner) held.epoch += 1
    held.owner = owner
    held.leasedUntil = clock.now() + leaseMs
    return { epoch: held.epoch, fresh }
  }

  const visible = (shard: number, floor: number): readonly Change[] =>
    [...rows.values()]
      .filter((row) => row.shard === shard && row.change.version > floor)
      .map((row) => row.change)
      .toSorted((a, b) => a.version - b.version)

  /** Under the present epoch, does what it is told to; refused under any other. */
  const settle = (shard: number, epoch: number, settled: (held: Shard) => void): Settled => {
    const held = shardOf(shard)
    if (held.epoch !== epoch) return { status: 'fenced', epoch: held.epoch }
    settled(held)
    return { status: 'done' }
  }

  return {
    claim: async (request, { signal }) => {
      const until = clock.now() + request.waitMs
      for (;;) {
        signal.throwIfAborted()
        const held = lease(request, until)
        const over = clock.now() >= until
        if (held === null && over) return { status: 'busy', retryMs: shardOf(request.shard).leasedUntil - clock.now() }
        if (held !== null) {
          const found = within(request, visible(request.shard, request.floor))
          if (found.changes.length > 0 || held.fresh || over) return { status: 'held', epoch: held.epoch, ...found }
        }
        await clock.sleep(LOOK_MS, { signal })
      }
    },
    acknowledge: async (shard, epoch, versions, { signal }) => {
      signal.throwIfAborted()
      return settle(shard, epoch, () => {
        for (const version of versions) if (rows.get(version)?.shard === shard) rows.delete(version)
      })
    },
    release: async (shard, epoch, { signal }) => {
      signal.throwIfAborted()
      return settle(shard, epoch, (held) => {
        held.leasedUntil = clock.now()
      })
    },
    backlog: async ({ signal }) => {
      signal.throwIfAborted()
      const times = [...rows.values()].map((row) => Date.parse(row.change.occurredAt))
      return {
        rows: rows.size,
        oldestMs: times.length === 0 ? null : clock.now() - Math.min(...times),
        leased: [...shards.values()].some((shard) => shard.leasedUntil > clock.now()),
        failures: 0,
        tables: [],
      }
    },
  }
}

/** As many of the changes as the claim may hold; a single larger one still comes, alone. */
function within({ maxRows, maxBytes }: ClaimRequest, changes: readonly Change[]): { changes: readonly Change[]; more: boolean } {
  let bytes = 0
  let count = 0
  for (const change of changes.slice(0, maxRows)) {
    bytes += (change.before?.length ?? 0) + (change.after?.length ?? 0) + change.key.length
    if (count > 0 && bytes > maxBytes) break
    count += 1
  }
  return { changes: changes.slice(0, count), more: count < changes.length }
}
