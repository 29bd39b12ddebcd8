/** Buries what can not be applied: the dead-letter topic, bronze, `ops.dead_letter`, in that order, all before the offset is committed. */
import type { LogRecord, OutboundMessage } from '../events/envelope.ts'
import type { Clock } from '../ports/clock.ts'
import type { Control } from '../ports/control.ts'
import type { Log } from '../ports/log.ts'
import type { Publisher } from '../ports/publisher.ts'
import type { DeadLetter, Fence, Sink } from '../ports/sink.ts'
import type { BatchContext } from '../ports/subscription.ts'
import { deadLetterTopicOf } from './define.ts'
import { isRefusal } from './errors.ts'
import type { Persist } from './persist.ts'

export interface BurialDeps {
  readonly sink: Sink
  readonly control: Control
  readonly publisher: Publisher
  readonly log: Log
  readonly persist: Persist
  readonly clock: Clock
}

export type Bury = (letters: readonly DeadLetter[], fence: Fence, nextOffset: string, context: BatchContext) => Promise<void>

/** A burial waits for a side that is down like any write. What a side refuses to store is stored without its value, so that no dead letter blocks the living. */
export function createBurial({ sink, control, publisher, log, persist, clock }: BurialDeps): Bury {
  return async (letters, fence, nextOffset, context) => {
    if (letters.length === 0) return
    const where = `${fence.topic}:${fence.partition}`
    const options = { signal: context.signal }
    const failedAt = new Date(clock.now()).toISOString()

    const { tooLarge } = await persist(
      where,
      () =>
        publisher.publish(
          letters.map((letter) => messageOf(letter, fence, failedAt)),
          options,
        ),
      context,
    )
    if (tooLarge.length > 0) {
      const bare = tooLarge.flatMap((index) => letters[index] ?? []).map((letter) => ({ ...messageOf(letter, fence, failedAt), key: '', value: '' }))
      const again = await persist(where, () => publisher.publish(bare, options), context)
      if (again.tooLarge.length > 0)
        log.error('dead-letter.not-published', { consumer: fence.consumer, topic: fence.topic, partition: fence.partition, count: again.tooLarge.length })
    }

    await eachUnlessRefused(letters, (part) => persist(where, () => sink.keep(part, fence, options), context))
    await eachUnlessRefused(letters, (part) => persist(where, () => control.bury(part, fence, nextOffset, options), context))
    for (const { record, eventId, table, code } of letters) {
      log.warn('dead-letter.buried', {
        consumer: fence.consumer,
        topic: record.topic,
        partition: record.partition,
        offset: record.offset,
        event_id: eventId,
        table,
        code,
      })
    }
  }

  async function eachUnlessRefused(letters: readonly DeadLetter[], store: (part: readonly DeadLetter[]) => Promise<void>): Promise<void> {
    if (await stored(letters, store)) return
    for (const letter of letters) {
      if ((await stored([letter], store)) || (await stored([withoutContent(letter)], store))) continue
      log.error('dead-letter.not-stored', { topic: letter.record.topic, partition: letter.record.partition, offset: letter.record.offset, code: letter.code })
    }
  }

  async function stored(letters: readonly DeadLetter[], store: (part: readonly DeadLetter[]) => Promise<void>): Promise<boolean> {
    try {
      await store(letters)
      return true
    } catch (error) {
      if (isRefusal(error)) return false
      throw error
    }
  }
}

/** The record as it was, with headers that say why it lies here. */
function messageOf({ record, code, message }: DeadLetter, fence: Fence, failedAt: string): OutboundMessage {
  const original: Record<string, string> = {}
  for (const [name, value] of Object.entries(record.headers)) if (value !== undefined) original[name] = value.toString()
  return {
    topic: deadLetterTopicOf(record.topic),
    key: record.key ?? '',
    value: record.value ?? '',
    headers: {
      ...original,
      ...(record.key === null ? { afluente_key_null: 'true' } : {}),
      ...(record.value === null ? { afluente_value_null: 'true' } : {}),
      afluente_error_code: code,
      afluente_error_message: message,
      afluente_consumer: fence.consumer,
      afluente_topic: record.topic,
      afluente_partition: String(record.partition),
      afluente_offset: record.offset,
      afluente_failed_at: failedAt,
    },
  }
}

function withoutContent(letter: DeadLetter): DeadLetter {
  const record: LogRecord = { ...letter.record, value: null, headers: {} }
  return { ...letter, record, message: `${letter.message} (Stored without its content, which could not be stored; the topic has it at this offset.)` }
}
