import type { LogRecord } from '../events/envelope.ts'

export interface RecordBatch {
  readonly topic: string
  readonly partition: number
  /** In offset order, never empty. */
  readonly records: readonly LogRecord[]
  /** The offset the next record written to this partition will have. */
  readonly highWatermark: string
  /** Changes whenever the group gave this member its partitions anew: what was held before counts no more. */
  readonly generation: string
}

export interface BatchContext {
  readonly signal: AbortSignal
  /** Throws once the batch counts no more: the group gave its partition anew. Call it while a batch takes long, a sink that is down included. Tells the group nothing: the subscription itself says that the member lives. */
  heartbeat(): Promise<void>
}

export type HandleBatch = (batch: RecordBatch, context: BatchContext) => Promise<void>

export interface SubscriptionRun {
  readonly signal: AbortSignal
  /** True: stop after the records that were there when the run began ("available now"). */
  readonly untilEnd: boolean
  /** Told each time the group has given this member its partitions: from now on records come when there are any. */
  readonly onReady?: () => void
}

/**
 * A member of a consumer group. Promises: batches of one partition come one at a time and in order, those of different
 * partitions side by side; offsets are committed after `handle` resolves, never before; a group without offsets begins
 * at the earliest record. When `handle` throws, the batch comes again. Not its job: retries of a sink, dead letters.
 */
export interface Subscription {
  run(handle: HandleBatch, options: SubscriptionRun): Promise<void>
}
