import { fates } from '../../shared/engine/whereabouts.ts'
import type { Trace } from './trace.ts'

type Change = Trace['changes'][number]

/** The trace for people: versions, places and times, no values but the key that was asked for. */
export function traceLines(trace: Trace): readonly string[] {
  const { changes, consumers, faults, floor, found, key, more, table } = trace
  return [
    `${table} ${key}`,
    ...(found ? [] : ['  nothing is known of this key: it is not in the outbox, not in bronze, in no sink and no dead letter']),
    ...(more ? ['  … older ones: --limit N'] : []),
    ...changes.flatMap((change) => ['', ...changeLines(change)]),
    '',
    ...(floor === null || floor.version === 0 ? [] : [`the table was truncated at version ${floor.version}, ${floor.occurredAt ?? ''}: nothing below lives`]),
    ...consumers.map((consumer) => `${consumer.name} ${standing(consumer)}`),
    ...faults.map(({ part, reason }) => `✗ ${part} could not be asked: ${reason}`),
  ]
}

function changeLines(change: Change): readonly string[] {
  const { claimedAt, consumers, inOutbox, occurredAt, offset, op, partition, publishedAt, publishMs, topic, traceparent, version, waitedMs } = change
  const pair = (name: string, words: string) => `  ${name.padEnd(14)} ${words}`
  return [
    `${op ?? 'change'} ${version}`,
    pair('occurred', occurredAt ?? 'unknown'),
    ...(claimedAt === null ? [] : [pair('claimed', `${claimedAt}${after(waitedMs)}`)]),
    ...(publishedAt === null ? [] : [pair('published', `${publishedAt}${after(publishMs)}`)]),
    ...(topic === null ? [] : [pair('stands at', `${topic}, partition ${partition ?? '?'}, offset ${offset ?? '?'}`)]),
    ...(inOutbox ? [pair('outbox', topic === null ? 'waits there' : 'not acknowledged yet')] : []),
    ...(inOutbox && topic === null ? [] : consumers.map((arrival) => pair(arrival.consumer, arrivalWords(arrival)))),
    ...(traceparent === null ? [] : [pair('traceparent', traceparent)]),
  ]
}

function arrivalWords({ at, fate, letter, ms }: Change['consumers'][number]): string {
  const dead =
    letter === null
      ? ''
      : `${fate === 'dead' ? '' : '; dead letter'} ${letter.id} (${letter.state}, ${letter.code}${letter.attempts === 1 ? '' : `, ${letter.attempts} attempts`})`
  return `${at === null ? '' : `${at}${after(ms)}  `}${fates[fate]}${dead}`
}

function after(ms: number | null): string {
  return ms === null ? '' : `  ${ms < 0 ? '' : '+'}${ms} ms`
}

function standing({ behind, copy, partition }: Trace['consumers'][number]): string {
  const has = copy === null ? 'has nothing of it' : `stands at ${copy.version}${copy.deleted ? ', deleted' : ''}`
  if (behind === null) return `${has}; how far it has read is unknown`
  return behind === 0
    ? `${has}, and has read partition ${partition ?? '?'} to its end`
    : `${has}, and has ${behind} record(s) of partition ${partition ?? '?'} still to read: a later change may be among them`
}
