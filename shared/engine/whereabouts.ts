/** Where the changes of one key are: put together from what the outbox, bronze, the dead letters and each sink say. Pure. */
import type { Floor, Progress } from '../ports/control.ts'
import type { Copy, KeptEvent, TracedLetter, WaitingChange } from '../ports/traces.ts'

export const fates = {
  waiting: 'waits in the topic',
  applied: 'applied, and stands',
  replaced: 'applied, and replaced since',
  skipped: 'skipped: a newer version was there before it',
  settled: 'refused at first; something newer stands by now',
  truncated: 'dead: the table was truncated after it',
  dead: 'dead letter',
  kept: 'kept in bronze',
  missing: 'read, and nothing of the key is there: reconcile the table',
  purged: 'applied; the deleted row is purged',
  unknown: 'unknown: a part did not answer',
} as const
/** What became of a change in one consumer. */
export type Fate = keyof typeof fates

export interface Arrival {
  readonly consumer: string
  readonly fate: Fate
  /** When its sink took it, where that is known. */
  readonly at: string | null
  /** From the moment it was published until then. */
  readonly ms: number | null
  /** The letter it became, whatever has been done about it since. */
  readonly letter: Pick<TracedLetter, 'id' | 'code' | 'state' | 'attempts' | 'firstSeen'> | null
}

export interface TracedChange {
  readonly eventId: string
  readonly version: number
  readonly op: string | null
  readonly occurredAt: string | null
  readonly claimedAt: string | null
  readonly publishedAt: string | null
  /** It lies in the outbox, as far as is known: not claimed, not published or not acknowledged yet. */
  readonly inOutbox: boolean
  readonly topic: string | null
  readonly partition: number | null
  readonly offset: string | null
  readonly traceparent: string | null
  /** From the change to its claim, and from its claim to Kafka. */
  readonly waitedMs: number | null
  readonly publishMs: number | null
  readonly consumers: readonly Arrival[]
}

/** A consumer that reads the table's topic. */
export interface Reader {
  readonly name: string
  /** Every event it takes is in bronze. */
  readonly bronze: boolean
  /** It keeps the present row of each key. */
  readonly keepsCopy: boolean
  /** What its sink has of the key; undefined when it could not be asked. */
  readonly copy: Copy | null | undefined
}

/** Of parts that could not be asked: undefined. */
export interface Sightings {
  readonly table: string
  readonly waiting: readonly WaitingChange[]
  readonly events: readonly KeptEvent[] | undefined
  readonly letters: readonly TracedLetter[]
  readonly floor: Floor | undefined
  readonly progress: readonly Progress[] | undefined
  readonly readers: readonly Reader[]
}

/** Oldest first. A sink that is ahead of bronze shows its event as well. */
export function changesOf(seen: Sightings): readonly TracedChange[] {
  const kept = new Map((seen.events ?? []).map((event) => [event.eventId, event]))
  const waiting = new Map(seen.waiting.map((change) => [`${seen.table}:${change.version}`, change]))
  const copies = seen.readers.flatMap(({ copy }) => copy?.eventId ?? [])
  const ids = new Set([...kept.keys(), ...waiting.keys(), ...seen.letters.map(({ eventId }) => eventId), ...copies])
  return [...ids]
    .map((eventId) => {
      const event = kept.get(eventId)
      const change = waiting.get(eventId)
      const version = event?.version ?? change?.version ?? versionOf(eventId)
      const letter = seen.letters.find((one) => one.eventId === eventId)
      const { claimedAt = null, publishedAt = null } = event ?? {}
      const occurredAt = event?.occurredAt ?? change?.occurredAt ?? null
      const place = event ?? letter
      return {
        eventId,
        version,
        op: event?.op ?? change?.op ?? null,
        occurredAt,
        claimedAt,
        publishedAt,
        inOutbox: change !== undefined,
        topic: place?.topic ?? null,
        partition: place?.partition ?? null,
        offset: place?.offset ?? null,
        traceparent: event?.traceparent ?? change?.traceparent ?? null,
        waitedMs: msBetween(occurredAt, claimedAt),
        publishMs: msBetween(claimedAt, publishedAt),
        consumers: seen.readers.map((reader) => arrivalOf({ eventId, version, event, op: event?.op ?? change?.op ?? null }, reader, seen)),
      }
    })
    .toSorted((a, b) => a.version - b.version)
}

interface Sought {
  readonly eventId: string
  readonly version: number
  readonly op: string | null
  readonly event: KeptEvent | undefined
}

function arrivalOf(sought: Sought, reader: Reader, seen: Sightings): Arrival {
  const { event, eventId } = sought
  const letter = seen.letters.find((one) => one.eventId === eventId && one.consumer === reader.name) ?? null
  const fate = letter === null ? fateOf(sought, reader, seen) : fateOfRefused(letter, fateOf(sought, reader, seen))
  const stands = fate === 'applied' ? (reader.copy?.syncedAt ?? null) : null
  const arrived = reader.bronze && ['applied', 'replaced', 'skipped', 'truncated', 'kept', 'purged'].includes(fate) ? (event?.receivedAt ?? null) : null
  const at = fate === 'dead' ? (letter?.firstSeen ?? null) : (stands ?? arrived)
  return {
    consumer: reader.name,
    fate,
    at,
    ms: msBetween(event?.publishedAt ?? null, at),
    letter: letter && { id: letter.id, code: letter.code, state: letter.state, attempts: letter.attempts, firstSeen: letter.firstSeen },
  }
}

/** A redrive that came to its end may have found something newer, or have stood for a while: nothing tells which. Bronze had it before that. */
function fateOfRefused({ state }: Pick<TracedLetter, 'state'>, fate: Fate): Fate {
  if (state !== 'resolved') return 'dead'
  return fate === 'replaced' || fate === 'skipped' ? 'settled' : fate
}

/**
 * A sink tells only what stands now. Of a change below that, the log tells whether it was applied for a while: it was, unless a higher
 * version of the key stands before it in its partition.
 */
function fateOf({ event, op, version }: Sought, reader: Reader, seen: Sightings): Fate {
  const { copy } = reader
  if (copy === undefined && reader.keepsCopy) return 'unknown'
  if (copy !== null && copy?.version === version) return 'applied'
  const read = wasRead(event, reader, seen)
  if (read === undefined) return 'unknown'
  const newerStands = copy !== null && copy !== undefined && copy.version > version
  if (!read && !newerStands) return 'waiting'
  if (!reader.keepsCopy) return 'kept'
  if (version <= (seen.floor?.version ?? 0)) return 'truncated'
  if (newerStands || (copy === null && wasDeleted(version, reader, seen)))
    return event !== undefined && overtaken(event, seen.events ?? []) ? 'skipped' : 'replaced'
  return op === 'delete' ? 'purged' : 'missing'
}

/** By a later delete that was read, and whose tombstone is purged: nothing of the key has to be there. */
function wasDeleted(version: number, reader: Reader, seen: Sightings): boolean {
  return (seen.events ?? []).some((later) => later.op === 'delete' && later.version > version && wasRead(later, reader, seen) === true)
}

/** Undefined when it can't be known. */
function wasRead(event: KeptEvent | undefined, { bronze, name }: Reader, { events, progress }: Sightings): boolean | undefined {
  if (events === undefined || progress === undefined) return undefined
  if (bronze) return event !== undefined
  if (event === undefined) return false
  const at = progress.find(({ consumer, topic, partition }) => consumer === name && topic === event.topic && partition === event.partition)
  return at !== undefined && BigInt(at.nextOffset) > BigInt(event.offset)
}

function overtaken(event: KeptEvent, events: readonly KeptEvent[]): boolean {
  return events.some(
    (other) =>
      other.version > event.version && other.topic === event.topic && other.partition === event.partition && BigInt(other.offset) < BigInt(event.offset),
  )
}

function versionOf(eventId: string): number {
  const version = Number(eventId.slice(eventId.lastIndexOf(':') + 1))
  return Number.isSafeInteger(version) ? version : 0
}

/** To a tenth of a millisecond. The clocks are of several machines, so it may be below zero. */
function msBetween(from: string | null, to: string | null): number | null {
  const ms = from === null || to === null ? Number.NaN : microsOf(to) - microsOf(from)
  return Number.isFinite(ms) ? Math.round(ms / 100) / 10 : null
}

function microsOf(text: string): number {
  return Date.parse(text) * 1_000 + Number(/\.\d{3}(\d{3})/.exec(text)?.[1] ?? 0)
}
