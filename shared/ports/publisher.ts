import type { OutboundMessage } from '../events/envelope.ts'
import type { Cancellable } from './cancellable.ts'

/**
 * Writes messages to topics. Promises: when `publish` resolves, every message it does not name in `tooLarge` is on all
 * in-sync replicas, and messages of one key stand in the order given. When it throws, any part may be there: send all again.
 * Not its job: splitting what the caller made too large, retries beyond the connection's own. Errors: `unavailable`, `misconfigured`.
 */
export interface Publisher {
  /** Connects ahead of the first message, so that a hand-over costs no time. */
  connect(options: Cancellable): Promise<void>
  publish(messages: readonly OutboundMessage[], options: Cancellable): Promise<Published>
  close(): Promise<void>
}

export interface Published {
  /** Indices of messages the broker refused for their size; all others are durable. */
  readonly tooLarge: readonly number[]
}
