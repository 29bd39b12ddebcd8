/**
 * Moves a shard of the outbox into Kafka: claim, publish, acknowledge. Can be killed at any instruction, paused, or run twice:
 * what Kafka has not acknowledged stays in the outbox, and what was sent twice has effect once.
 */
import type { EncodeContext } from '../events/envelope.ts'
import type { Cancellable } from '../ports/cancellable.ts'
import type { Clock } from '../ports/clock.ts'
import type { Log } from '../ports/log.ts'
import type { Claim, Outbox } from '../ports/outbox.ts'
import type { Publisher } from '../ports/publisher.ts'
import type { Budget } from './budget.ts'
import { publishSend, sendsOf } from './capture-batch.ts'
import { shardLease, type ShardLease } from './capture-lease.ts'
import type { CaptureLimits } from './capture-limits.ts'
import { handOver, type HandOver } from './capture-successor.ts'
import { reasonOf } from './reason.ts'
import { settle, type Settled, unwrap } from './settled.ts'
import { newTraceparent } from './trace.ts'

export interface CaptureDeps {
  readonly outbox: Outbox
  readonly publisher: Publisher
  readonly clock: Clock
  readonly log: Log
  /** From 0 up to but not 1. */
  readonly random: () => number
  readonly budget: Budget
  readonly limits: CaptureLimits
  /** The Supabase project's reference, for `ce_source`. */
  readonly ref: string
  /** Starts a fresh invocation for a shard; resolves when it is ready to take the shard over. */
  readonly startSuccessor: (shard: number, options: Cancellable) => Promise<void>
}

export interface CaptureRun {
  readonly shard: number
  /** Unique to this run. */
  readonly owner: string
  /** This run was started by a hand-over: it waits for the shard, and lingers even when it finds nothing at first. */
  readonly successor: boolean
  readonly signal: AbortSignal
  /** Called right before each look from the bottom: whatever was rung for until then will be seen. */
  readonly onLook: () => void
}

/** How a run ended. Only after `idle` has somebody who rang meanwhile to be looked after by a new run. */
export type Ending =
  /** Nothing came for a while, and one more look after letting go found nothing. */
  | 'idle'
  /** Somebody else holds the shard. */
  | 'busy'
  | 'handed-over'
  /** The budget is spent and there is no successor; the next doorbell or the sweep starts one. */
  | 'spent'
  | 'fenced'
  | 'refused'
  /** A fault that retrying did not mend, or the signal; it is in the log. The rows stay in the outbox. */
  | 'failed'

/** Runs until the shard is idle, lost, handed over or broken. Never throws; the lease is let go in any case. */
export async function captureShard(run: CaptureRun, deps: CaptureDeps): Promise<Ending> {
  const { budget, clock, log } = deps
  const beganAt = clock.now()
  const lease = shardLease(run, deps)
  const successor = handOver(run, deps)
  const acknowledger = acknowledgements(lease)
  const moved = { rows: 0, batches: 0 }
  // Beside the first claim. A failure shows at the first publish, which connects anew.
  const connecting = settle(deps.publisher.connect({ signal: run.signal }))
  let ending: Ending = 'failed'
  try {
    ending = await move({ run, deps, lease, successor, acknowledger, moved })
  } catch (error) {
    log.error('capture.failed', { shard: run.shard, reason: reasonOf(error) })
  }
  await settle(acknowledger.done())
  await lease.release()
  await Promise.all([connecting, successor.settled()])
  log.info('capture.ended', { shard: run.shard, ending, ...moved, ms: clock.now() - beganAt, cpuMs: Math.round(budget.cpuMs) })
  return ending
}

type Held = Extract<Claim, { status: 'held' }>

interface Moving {
  readonly run: CaptureRun
  readonly deps: CaptureDeps
  readonly lease: ShardLease
  readonly successor: HandOver
  readonly acknowledger: Acknowledger
  readonly moved: { rows: number; batches: number }
}

async function move(moving: Moving): Promise<Ending> {
  const { acknowledger, deps, lease, run, successor } = moving
  const { clock, limits, log } = deps
  let lookedAt = Number.NEGATIVE_INFINITY
  const look = (waitMs: number): Promise<Claim> => {
    run.onLook()
    lookedAt = clock.now()
    return lease.claim(waitMs, [])
  }
  let claim = await firstClaim(moving, look)
  let lastRowAt = run.successor ? clock.now() : Number.NEGATIVE_INFINITY
  let sentSinceLook = false
  while (claim.status === 'held') {
    const stop = successor.ending()
    if (stop !== null) return stop
    let next: Claim | null = null
    if (claim.changes.length > 0) {
      lastRowAt = clock.now()
      sentSinceLook = true
      const sent = await sendOn(claim, claim.more, moving)
      if (sent === 'fenced') return 'fenced'
      successor.consider()
      next = sent
    }
    if (next?.status === 'held' && next.changes.length > 0) {
      claim = next
    } else if (!(await acknowledger.done())) {
      return 'fenced'
    } else if (sentSinceLook || clock.now() - lastRowAt < limits.lingerMs) {
      sentSinceLook = false
      const restMs = lookedAt + limits.paceMs - clock.now()
      if (restMs > 0) await clock.sleep(restMs, { signal: run.signal })
      claim = await look(limits.waitMs)
    } else {
      // The lease silenced the doorbell. What was committed meanwhile is seen by one more look after letting go.
      await lease.release()
      claim = await look(0)
      if (claim.status !== 'held' || claim.changes.length === 0) return claim.status === 'refused' ? refused(claim.reason, run.shard, log) : 'idle'
    }
  }
  return claim.status === 'busy' ? 'busy' : refused(claim.reason, run.shard, log)
}

/** A run that was promised the shard waits for it; so does any run when the holder has not renewed for long, as after a crash. */
async function firstClaim({ deps: { clock, limits }, run }: Moving, look: (waitMs: number) => Promise<Claim>): Promise<Claim> {
  const until = clock.now() + limits.takeOverMs
  for (;;) {
    const claim = await look(limits.waitMs)
    if (claim.status !== 'busy' || clock.now() >= until) return claim
    if (!run.successor && claim.retryMs > limits.leaseMs / 2) return claim
  }
}

/**
 * Publishes a batch, then lets its acknowledgement run on beside whatever follows. With `overlap`, the next batch is claimed
 * during the publish: all there is but for what is under way, since a lower version may be committed late, and would come
 * after a later one of its key if only higher ones were read.
 */
async function sendOn(held: Held, overlap: boolean, { acknowledger, deps, lease, moved, run }: Moving): Promise<Claim | 'fenced' | null> {
  const { changes, epoch } = held
  const versions = changes.map((change) => change.version)
  const next = overlap ? settle(lease.claim(0, [...acknowledger.underWay(), ...versions])) : null
  try {
    // Not published: the lease has run out. The look from the bottom that follows tells who holds the shard now.
    if (!(await publish(held, { deps, lease, run }))) return null
    if (!(await acknowledger.add(epoch, versions))) return 'fenced'
  } finally {
    // A claim that is still under way would take the lease again after it was let go.
    await next
  }
  moved.rows += changes.length
  moved.batches += 1
  return next === null ? null : unwrap(await next)
}

async function publish({ changes, epoch }: Held, { deps, lease, run }: Pick<Moving, 'deps' | 'lease' | 'run'>): Promise<boolean> {
  const { budget, clock, limits, random, ref } = deps
  const context: EncodeContext = { ref, claimedAt: new Date(clock.now()).toISOString(), traceparent: newTraceparent(random) }
  const options = { signal: run.signal, live: () => lease.live(epoch) }
  for (const send of sendsOf(changes, context, limits)) {
    budget.charge({ rows: send.messages.length, bytes: send.bytes })
    if (!(await renewing(publishSend(send, context, options, deps), lease, deps))) return false
  }
  return true
}

/** Keeps the lease alive while a publish takes long. A renewal that fails is no reason to give up what is being sent: the lease's age tells before the next request. */
async function renewing<T>(work: Promise<T>, lease: ShardLease, { clock, limits }: CaptureDeps): Promise<T> {
  const done = new AbortController()
  const keep = async () => {
    while (!done.signal.aborted) {
      await clock.sleep(limits.leaseMs / 4, { signal: done.signal })
      if (!done.signal.aborted) await settle(lease.renew())
    }
  }
  const keeping = keep()
  try {
    return await work
  } finally {
    done.abort()
    await keeping
  }
}

interface Acknowledger {
  /** Waits for the acknowledgement before, then starts this one. False when a later epoch exists. */
  add(epoch: number, versions: readonly number[]): Promise<boolean>
  /** The versions whose acknowledgement has not been answered. */
  underWay(): readonly number[]
  /** Resolves when none is under way; false when one was refused because a later epoch exists. */
  done(): Promise<boolean>
}

function acknowledgements(lease: ShardLease): Acknowledger {
  let last: Promise<Settled<boolean>> = Promise.resolve({ ok: true, value: true })
  let waiting: readonly number[] = []
  const done = async () => unwrap(await last)
  return {
    done,
    underWay: () => waiting,
    add: async (epoch, versions) => {
      if (!(await done())) return false
      waiting = versions
      last = settle(lease.acknowledge(epoch, versions).finally(() => (waiting = [])))
      return true
    },
  }
}

function refused(reason: string, shard: number, log: Log): 'refused' {
  log.warn('capture.refused', { shard, reason })
  return 'refused'
}
