/** The outbox and its shards' leases in memory, with the promises of the SQL functions `claim`, `acknowledge`, `release` and `backlog`. */
import type { Change } from '../../events/change.ts'
import type { Clock } from '../../ports/clock.ts'
import type { ClaimRequest, Outbox, Settled } from '../../ports/outbox.ts'
import type { OutboxRow } from './source.ts'

export interface MemoryOutboxDeps {
  /** Committed changes by version. */
  readonly rows: Map<number, OutboxRow>
  readonly clock: Clock
  /** How many there are, numbered from 0. */
  readonly shards: number
}

interface Shard {
  owner: string | null
  epoch: number
  leasedUntil: number
}

const RENEWED_BELOW = 0.75
/** How often a waiting claim looks again, as on the server. */
const LOOK_MS = 2
/** Images larger than that in all are not handed out. */
const OVERSIZE_BYTES = 32 * 1024 * 1024

export function memoryOutbox({ rows, clock, shards: count }: MemoryOutboxDeps): Outbox {
  const shards = new Map<number, Shard>(Array.from({ length: count }, (_, shard) => [shard, { owner: null, epoch: 0, leasedUntil: 0 }]))

  /** Null when another owner's lease is live. `fresh` when it was taken, or did not last until `until`; it is renewed when a quarter of it is gone. */
  const lease = (held: Shard, { owner, leaseMs }: ClaimRequest, until: number): { epoch: number; fresh: boolean } | null => {
    if (held.owner !== owner && held.leasedUntil > clock.now()) return null
    const fresh = held.owner !== owner || held.leasedUntil <= until
    if (held.owner !== owner) held.epoch += 1
    held.owner = owner
    if (fresh || held.leasedUntil < clock.now() + leaseMs * RENEWED_BELOW) held.leasedUntil = clock.now() + leaseMs
    return { epoch: held.epoch, fresh }
  }

  const visible = ({ beside, floor, shard }: ClaimRequest): readonly Change[] =>
    [...rows.values()]
      .filter((row) => row.shard === shard && row.change.version > floor && !beside.includes(row.change.version))
      .map((row) => readable(row.change))
      .toSorted((a, b) => a.version - b.version)

  /** Under the present epoch, does what it is told to; refused under any other. */
  const settle = (shard: number, epoch: number, settled: (held: Shard) => void): Settled => {
    const held = shards.get(shard)
    if (held === undefined || held.epoch !== epoch) return { status: 'fenced', epoch: held?.epoch ?? 0 }
    settled(held)
    return { status: 'done' }
  }

  return {
    claim: async (request, { signal }) => {
      const shard = shards.get(request.shard)
      if (shard === undefined) return { status: 'refused', reason: `there is no shard ${request.shard}` }
      if (request.owner === '' || request.leaseMs <= 0 || request.maxRows < 1)
        return { status: 'refused', reason: 'claim needs an owner, a lease above zero and maxRows of 1 or more' }
      const until = clock.now() + request.waitMs
      for (;;) {
        signal.throwIfAborted()
        const held = lease(shard, request, until)
        const over = clock.now() >= until
        if (held === null && over) return { status: 'busy', retryMs: shard.leasedUntil - clock.now() }
        if (held !== null) {
          const found = within(request, visible(request))
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
        refused: null,
        keeps: 'images',
        tables: [],
      }
    },
  }
}

function readable(change: Change): Change {
  const bytes = (change.before?.length ?? 0) + (change.after?.length ?? 0)
  return bytes > OVERSIZE_BYTES ? { ...change, before: null, after: null, oversizedBytes: bytes } : change
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
