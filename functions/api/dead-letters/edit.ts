/** Corrects an application event: another event is sent in its place. A row's event is never edited: its truth is in the source. */
import { APPLICATION_TOPIC, applicationEventFaults, type Difference, differencesOf, replacementOf } from '../../../shared/events/application-event.ts'
import { nextState } from '../../../shared/events/dead-letter.ts'
import type { Cancellable } from '../../../shared/ports/cancellable.ts'
import type { Letter } from '../../../shared/ports/letters.ts'
import type { ApiDeps } from '../deps.ts'
import { declined, type Read } from '../reading.ts'

export interface Edited {
  readonly dryRun: boolean
  readonly replaces: string
  /** The id of the event that takes its place. */
  readonly eventId: string
  readonly differences: readonly Difference[]
}

interface Edit {
  readonly letter: Letter
  /** The whole new content. */
  readonly value: string
  readonly dryRun: boolean
  readonly actor: string
}

/** Checks, sends, then ends the letter: interrupted between the two, the same edit again has effect once, since the same content has the same event id. */
export function createEdit({ letters, log, operations, send }: Pick<ApiDeps, 'letters' | 'log' | 'operations' | 'send'>) {
  return async ({ letter, value, dryRun, actor }: Edit, options: Cancellable): Promise<Read<Edited>> => {
    if (letter.topic !== APPLICATION_TOPIC)
      return declined(
        422,
        'row-event',
        'A row’s event can’t be edited',
        `Letter ${letter.id} is of ${letter.table ?? letter.topic}: its truth is in the source. Mend the row there, or the mapping or constraint that refuses it, then redrive the letter. It is as it was.`,
      )
    if (nextState(letter.state, 'replace') === null)
      return declined(409, 'wrong-state', 'The letter does not wait', `Letter ${letter.id} is ${letter.state}. It is as it was.`)
    const faults = applicationEventFaults(value)
    if (faults.length > 0) return declined(422, 'invalid-event', 'That is no application event', `${faults.join('; ')}. The letter is as it was.`)
    const differences = differencesOf(letter.record.value, value)
    if (differences.length === 0)
      return declined(422, 'nothing-changed', 'Nothing is changed', 'The content is the same. To send it again as it is, redrive the letter.')

    const message = replacementOf(letter.record, letter.eventId, value, await digestOf(value))
    const eventId = message.headers['ce_id'] ?? ''
    const edited: Edited = { dryRun, replaces: letter.eventId, eventId, differences }
    if (dryRun) {
      // The difference shows what the event held.
      await operations.audit({ actor, action: 'dead-letter.reveal', subject: letter.id, details: { event: letter.eventId } }, options)
      return { ok: true, value: edited }
    }
    if (!(await send(message, options))) return declined(422, 'too-large', 'The event is too large for its topic', 'The letter is as it was.')
    const ended = await letters.replace({ id: letter.id, eventId, actor }, options)
    log.info('api.command', { action: 'dead-letter.edit', letter: letter.id, ended })
    return { ok: true, value: edited }
  }
}

async function digestOf(text: string): Promise<string> {
  const digest = await crypto.subtle.digest('SHA-256', new TextEncoder().encode(text))
  return [...new Uint8Array(digest)].map((byte) => byte.toString(16).padStart(2, '0')).join('')
}
