/** Publishes the rows that a job has changed, once silver has them: what a process that died left in the outbox goes first. */
import type { Clock } from '../ports/clock.ts'
import type { Cancellable } from '../ports/cancellable.ts'
import type { EtlLease, EtlStore } from '../ports/etl-store.ts'
import type { Log } from '../ports/log.ts'
import type { Publisher } from '../ports/publisher.ts'
import { publishSend, sendsOf } from './capture-batch.ts'
import { captureLimits } from './capture-limits.ts'
import { AfluenteError } from './errors.ts'
import { newTraceparent } from './trace.ts'

/** Less than a lease: who can't be sure to hold it sends nothing. */
const LIVE_MS = 25_000

export interface EtlTopics {
  readonly publisher: Publisher
  /** For `ce_source`: see `EncodeContext`. */
  readonly ref: string
  /** What a topic takes in one message. */
  readonly maxMessageBytes: number
}

export interface EtlPublishDeps extends EtlTopics {
  readonly store: EtlStore
  readonly lease: EtlLease
  readonly clock: Clock
  readonly log: Log
  readonly random: () => number
}

/** Until the outbox of the job is empty. Errors: those of Kafka (`unavailable`, `misconfigured`) and of the store; what is not deleted then is sent again. */
export async function publishAll(
  { clock, lease, log, maxMessageBytes, publisher, random, ref, store }: EtlPublishDeps,
  { signal }: Cancellable,
): Promise<void> {
  const limits = captureLimits({ maxMessageBytes })
  for (;;) {
    const readAt = clock.now()
    const changes = await store.unpublished(lease, limits, { signal })
    const last = changes.at(-1)
    if (last === undefined) return
    const context = { ref, claimedAt: new Date(readAt).toISOString(), traceparent: newTraceparent(random) }
    const live = () => clock.now() - readAt < LIVE_MS
    for (const send of sendsOf(changes, context, limits)) {
      if (!(await publishSend(send, context, { signal, live }, { publisher, clock, log, random, limits }))) throw tooLate(lease)
    }
    await store.published(lease, last.version, { signal })
    log.info('etl.published', { job: lease.job, run: lease.run, rows: changes.length, topic: last.topic })
  }
}

/** A store whose pages are on their topic when `write` resolves: so one page waits at most, and none is written while Kafka is away. */
export function publishing(deps: EtlPublishDeps): EtlStore {
  const { store } = deps
  return {
    ...store,
    write: async (write, options) => {
      const run = await store.write(write, options)
      await publishAll(deps, options)
      return run
    },
  }
}

function tooLate({ job }: EtlLease): AfluenteError {
  return new AfluenteError('unavailable', 'slow-kafka', `Kafka took longer than the lease of ${job} for its changed rows; they are sent again.`)
}
