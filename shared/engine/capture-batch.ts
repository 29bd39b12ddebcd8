/** A batch of changes → messages → requests of a bearable size, published in order. */
import type { Change } from '../events/change.ts'
import { encode, type EncodeContext, encodeKeyOnly, type OutboundMessage, sizeOf } from '../events/envelope.ts'
import type { Clock } from '../ports/clock.ts'
import type { Log } from '../ports/log.ts'
import type { Publisher } from '../ports/publisher.ts'
import type { Budget } from './budget.ts'
import type { CaptureLimits } from './capture-limits.ts'
import { AfluenteError } from './errors.ts'
import { reasonOf } from './reason.ts'
import { retrying } from './retry.ts'

export interface Send {
  readonly changes: readonly Change[]
  readonly messages: readonly OutboundMessage[]
  readonly bytes: number
}

/** Messages in order, cut into requests of about `sendBytes`; one larger message goes alone, one beyond the topic's limit as its key. Pure. */
export function sendsOf(changes: readonly Change[], context: EncodeContext, limits: Pick<CaptureLimits, 'sendBytes' | 'maxMessageBytes'>): readonly Send[] {
  const sends: Send[] = []
  let begin = 0
  let messages: OutboundMessage[] = []
  let bytes = 0
  const cut = (end: number) => {
    if (messages.length > 0) sends.push({ changes: changes.slice(begin, end), messages, bytes })
    begin = end
    messages = []
    bytes = 0
  }
  for (const [index, change] of changes.entries()) {
    const message = messageOf(change, context, limits.maxMessageBytes)
    const size = message.value.length + 2 * message.key.length
    if (bytes + size > limits.sendBytes) cut(index)
    messages.push(message)
    bytes += size
  }
  cut(changes.length)
  return sends
}

function messageOf(change: Change, context: EncodeContext, maxMessageBytes: number): OutboundMessage {
  if (change.oversizedBytes !== undefined) return encodeKeyOnly(change, context, change.oversizedBytes)
  const message = encode(change, context)
  // Exact counting reads every character, so only what could be too large is counted.
  if (3 * message.value.length + 6 * message.key.length + 1024 <= maxMessageBytes) return message
  const bytes = sizeOf(message)
  return bytes <= maxMessageBytes ? message : encodeKeyOnly(change, context, bytes)
}

export interface PublishDeps {
  readonly publisher: Publisher
  readonly clock: Clock
  readonly log: Log
  readonly random: () => number
  /** Left out: nobody counts. */
  readonly budget?: Pick<Budget, 'charge'>
  readonly limits: Pick<CaptureLimits, 'attempts' | 'retryBaseMs' | 'retryMaxMs'>
}

export interface PublishOptions {
  readonly signal: AbortSignal
  /** Asked before every request, repeated ones too: nothing may be sent under a lease that has run out. */
  readonly live: () => boolean
}

/**
 * Publishes one send; what the broker finds too large goes again as its key alone. Resolves false, with nothing more sent,
 * when the lease has run out. Kafka that can't be reached is tried again a few times, then thrown as `unavailable`.
 */
export async function publishSend(send: Send, context: EncodeContext, options: PublishOptions, deps: PublishDeps): Promise<boolean> {
  const tooLarge = await persistently(send.messages, options, deps)
  if (tooLarge === null) return false
  if (tooLarge.length === 0) return true
  const keys = tooLarge.flatMap((index) => {
    const [change, message] = [send.changes[index], send.messages[index]]
    return change === undefined || message === undefined ? [] : [encodeKeyOnly(change, context, sizeOf(message))]
  })
  deps.log.warn('capture.too-large', { events: keys.length, topic: keys[0]?.topic })
  const still = await persistently(keys, options, deps)
  if (still === null) return false
  if (still.length > 0) {
    throw new AfluenteError(
      'misconfigured',
      'MESSAGE_TOO_LARGE',
      `The broker refuses even the bare keys of ${still.length} event(s) of ${keys[0]?.topic} as too large: raise the topic's max.message.bytes.`,
    )
  }
  return true
}

async function persistently(messages: readonly OutboundMessage[], { live, signal }: PublishOptions, deps: PublishDeps): Promise<readonly number[] | null> {
  const { budget, clock, limits, log, publisher, random } = deps
  return retrying(
    async () => {
      if (!live()) return null
      budget?.charge({ calls: 1 })
      return (await publisher.publish(messages, { signal })).tooLarge
    },
    {
      baseMs: limits.retryBaseMs,
      maxMs: limits.retryMaxMs,
      attempts: limits.attempts,
      random,
      clock,
      signal,
      onRetry: ({ attempt, error, waitMs }) => log.warn('capture.kafka-retry', { attempt, waitMs, reason: reasonOf(error) }),
    },
  )
}
