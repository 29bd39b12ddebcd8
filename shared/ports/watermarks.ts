import type { Cancellable } from './cancellable.ts'

export interface Watermark {
  readonly topic: string
  readonly partition: number
  /** The earliest record that is still there. */
  readonly low: bigint
  /** The offset of the next record to be written. */
  readonly high: bigint
}

/** How far topics reach. Errors: `unavailable`, `misconfigured`. */
export interface Watermarks {
  read(topics: readonly string[], options: Cancellable): Promise<readonly Watermark[]>
}
