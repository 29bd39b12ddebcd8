/** A shard's lease as one run of capture holds it: claims, acknowledgements and the local doubt whether it still counts. */
import type { Clock } from '../ports/clock.ts'
import type { Log } from '../ports/log.ts'
import type { Claim, ClaimRequest, Outbox } from '../ports/outbox.ts'
import type { Budget } from './budget.ts'
import type { CaptureLimits } from './capture-limits.ts'
import { reasonOf } from './reason.ts'
import { retrying } from './retry.ts'

/** The share of a lease that is trusted from the moment a claim was sent: the database renews only when a quarter is gone. */
const TRUSTED = 0.7
/** No version is above it, so a claim from here renews the lease and reads nothing. */
const ABOVE_ALL = Number.MAX_SAFE_INTEGER

export interface ShardLease {
  /**
   * Claims what there is from the bottom, but for the versions of `beside`, which are under way; by that takes or renews the
   * lease. Tried again while the database can't be reached.
   */
  claim(waitMs: number, beside: readonly number[]): Promise<Claim>
  /** Renews without reading. False when somebody else holds the shard now. */
  renew(): Promise<boolean>
  /** False once the lease of that epoch may have run out since it was last renewed, as after a pause: then nothing read under it may be published. */
  live(epoch: number): boolean
  /** False when a later epoch exists. */
  acknowledge(epoch: number, versions: readonly number[]): Promise<boolean>
  /** Lets go, when anything is held. Never throws: a lease that can't be released runs out. */
  release(): Promise<void>
}

export interface LeaseDeps {
  readonly outbox: Outbox
  readonly clock: Clock
  readonly log: Log
  readonly random: () => number
  readonly budget: Budget
  readonly limits: CaptureLimits
}

export function shardLease(of: { readonly shard: number; readonly owner: string; readonly signal: AbortSignal }, deps: LeaseDeps): ShardLease {
  const { budget, clock, limits, log, outbox, random } = deps
  const { owner, shard, signal } = of
  let epoch: number | null = null
  let trustedFrom = 0

  const persistently = <T>(what: string, work: () => Promise<T>): Promise<T> =>
    retrying(
      () => {
        budget.charge({ calls: 1 })
        return work()
      },
      {
        baseMs: limits.retryBaseMs,
        maxMs: limits.retryMaxMs,
        attempts: limits.attempts,
        random,
        clock,
        signal,
        onRetry: ({ attempt, error, waitMs }) => log.warn('capture.database-retry', { shard, what, attempt, waitMs, reason: reasonOf(error) }),
      },
    )

  const claim = (what: Pick<ClaimRequest, 'floor' | 'beside' | 'maxRows' | 'waitMs'>): Promise<Claim> =>
    persistently('claim', async () => {
      const sentAt = clock.now()
      const answer = await outbox.claim({ shard, owner, leaseMs: limits.leaseMs, maxBytes: limits.maxBytes, ...what }, { signal })
      if (answer.status !== 'held') epoch = null
      else {
        // Answers may overtake each other; the lease counts from the latest claim that was granted.
        trustedFrom = answer.epoch === epoch ? Math.max(trustedFrom, sentAt) : sentAt
        epoch = answer.epoch
      }
      return answer
    })

  return {
    claim: (waitMs, beside) => claim({ floor: 0, beside, maxRows: limits.maxRows, waitMs }),
    renew: async () => (await claim({ floor: ABOVE_ALL, beside: [], maxRows: 1, waitMs: 0 })).status === 'held',
    live: (under) => under === epoch && clock.now() - trustedFrom < limits.leaseMs * TRUSTED,
    acknowledge: async (under, versions) => (await persistently('acknowledge', () => outbox.acknowledge(shard, under, versions, { signal }))).status === 'done',
    release: async () => {
      const under = epoch
      epoch = null
      if (under === null) return
      budget.charge({ calls: 1 })
      // Also when this run was told to stop: the next one need not wait for the lease to run out.
      await outbox
        .release(shard, under, { signal: new AbortController().signal })
        .catch((error: unknown) => log.warn('capture.release-failed', { shard, reason: reasonOf(error) }))
    },
  }
}
