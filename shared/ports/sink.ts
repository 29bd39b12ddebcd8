import type { Event, LogRecord } from '../events/envelope.ts'
import type { SourceTable } from '../tables/table.ts'
import type { Cancellable } from './cancellable.ts'
import type { Floor } from './control.ts'

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

/** One step of a sweep: what stands at or below the floor is made dead, a part at a time. */
export interface Sweep {
  readonly table: SourceTable
  readonly floor: Floor
  readonly fence: Fence
  /** Where the step begins: null for the first, then what the last one answered. */
  readonly from: string | null
}

export interface Swept {
  /** How many rows this step has made dead. None though there is more to do: others hold those rows just now. */
  readonly rows: number
  /** Where the next step begins; null when nothing living is left below the floor. */
  readonly next: string | null
}

/** What became of a batch. accepted + duplicate + late + rejected.length = events.length */
export interface WriteReport {
  readonly accepted: number
  /** The sink had this very event already. */
  readonly duplicate: number
  /** The sink had a newer version of the key, or the event is of before the table's floor. */
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
 * Where a consumer writes. Promises: idempotent; a row's version never goes down; no row is seen that came at or below its
 * table's floor; when `write` resolves the batch is durable, and the partition's progress is recorded with it. Of a `truncate`
 * it keeps the event, where it keeps events; the floor is raised and swept before. Not its job: retries, splitting, offsets in Kafka.
 * Errors: `unavailable`, `refused` (some event of the batch; nothing was written), `fenced`, `misconfigured`.
 */
export interface Sink {
  write(batch: TableBatch, options: Cancellable): Promise<WriteReport>
  /** One bounded step, idempotent, after the floor was raised: rows at or below it are seen no more. */
  sweepBelow(sweep: Sweep, options: Cancellable): Promise<Swept>
  /** Keeps what can't be applied where every event is kept (bronze). Sinks without such a place do nothing. */
  keep(letters: readonly DeadLetter[], fence: Fence, options: Cancellable): Promise<void>
}
