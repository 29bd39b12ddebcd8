import type { Event, LogRecord } from '../events/envelope.ts'
import type { SourceTable } from '../tables/table.ts'
import type { Cancellable } from './cancellable.ts'

/** Who writes, and under which right. A write under an epoch that has moved on is refused as `fenced`. */
export interface Fence {
  readonly consumer: string
  readonly topic: string
  readonly partition: number
  readonly epoch: number
}

export interface TableBatch {
  readonly table: SourceTable
  /** In offset order, one partition, one table; never empty. A key may stand in it more than once. */
  readonly events: readonly Event[]
  readonly fence: Fence
  /** The offset after the last record that this write settles. */
  readonly nextOffset: string
}

/** What became of a batch. accepted + duplicate + late + rejected.length = events.length */
export interface WriteReport {
  readonly accepted: number
  /** The sink had this very event already. */
  readonly duplicate: number
  /** The sink had a newer version of the key. */
  readonly late: number
  /** Events refused one by one, where the sink can tell. Others throw `refused` and leave nothing behind. */
  readonly rejected: readonly Rejection[]
}

export interface Rejection {
  /** Which of `events`. */
  readonly index: number
  /** An SQLSTATE or an Elasticsearch error type. */
  readonly code: string
  readonly message: string
}

/** A record that can not be applied, with the reason: what becomes a dead letter. */
export interface DeadLetter {
  readonly record: LogRecord
  readonly eventId: string
  readonly table: string | null
  readonly code: string
  readonly message: string
}

/**
 * Where a consumer writes. Promises: idempotent; a row's version never goes down; when `write` resolves the batch is
 * durable, and the partition's progress is recorded with it. Not its job: retries, splitting, offsets in Kafka.
 * Errors: `unavailable`, `refused` (some event of the batch; nothing was written), `fenced`, `misconfigured`.
 */
export interface Sink {
  write(batch: TableBatch, options: Cancellable): Promise<WriteReport>
  /** Keeps what can't be applied where every event is kept (bronze). Sinks without such a place do nothing. */
  keep(letters: readonly DeadLetter[], fence: Fence, options: Cancellable): Promise<void>
}
