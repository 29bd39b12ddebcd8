/** Until when tombstones may be purged: nothing older than them may still come. Pure. */
import type { Progress } from '../ports/control.ts'
import type { Backlog } from '../ports/outbox.ts'
import type { Horizon, Replays, UnsettledLetters } from '../ports/purges.ts'
import type { Watermark } from '../ports/watermarks.ts'

/** What a part said, or why it said nothing. */
export type Said<T> = { readonly ok: true; readonly value: T } | { readonly ok: false; readonly reason: string }

/** Of one table and one consumer's sink. Moments are milliseconds since 1970. */
export interface Sighted {
  readonly nowMs: number
  /** How long topics are to keep records, by the definition. */
  readonly retentionMs: number
  readonly topic: string
  /** Everybody who writes that sink's copy of the table. */
  readonly writers: readonly string[]
  /** Before which no topic of the table (its dead letters' included) holds a record. */
  readonly recordsSinceMs: Said<number>
  readonly watermarks: Said<readonly Watermark[]>
  readonly progress: Said<readonly Progress[]>
  readonly outbox: Said<Pick<Backlog, 'oldestMs' | 'refused'>>
  readonly letters: Said<UnsettledLetters>
  readonly replays: Said<Replays>
}

const DAY_MS = 86_400_000

/** Beyond the retention: brokers take a while to drop what is over, and people a weekend to see what is wrong. */
const MARGIN_MS = DAY_MS
/** What is seen somewhere is held against the sinks' clocks: those of functions differ, and a function that was paused publishes late, within its few minutes of life. */
export const SKEW_MS = 3_600_000

/** The latest moment before which a tombstone may go when nothing holds it back. */
export function oldestKept({ nowMs, retentionMs }: Pick<Sighted, 'nowMs' | 'retentionMs'>): number {
  return nowMs - retentionMs - MARGIN_MS
}

/**
 * A tombstone is needed while an older event of its key can come. Such an event was published, or waits, from before the sink took the
 * deletion; so the horizon lies before whatever is oldest of what Kafka still holds, of what waits in the outbox and of the letters that
 * may be redriven, and before nothing at all while one of them isn't known. The places only ever lose old events, so a horizon that was
 * right stays right. Bronze alone keeps them for ever: a replay leaves out what a delete in bronze outlived, and nothing is purged while one runs or a shadow stands.
 */
export function horizonOf(seen: Sighted): Horizon {
  const natural = oldestKept(seen)
  const found = limits(seen).filter(({ ms }) => ms < natural)
  const ms = Math.min(natural, ...found.map((limit) => limit.ms))
  return { before: ms === Number.NEGATIVE_INFINITY ? null : iso(ms), heldBack: found.map(({ why }) => why) }
}

interface Limit {
  readonly ms: number
  readonly why: string
}

const nothingGoes = (why: string): Limit => ({ ms: Number.NEGATIVE_INFINITY, why })

function limits(seen: Sighted): readonly Limit[] {
  const { letters, nowMs, outbox, recordsSinceMs, replays, topic, writers } = seen
  return [
    of(recordsSinceMs, 'what Kafka still holds', (ms) => [
      { ms: ms - SKEW_MS, why: `Kafka still holds records of ${topic} from ${iso(ms)} or a little later on` },
    ]),
    ...unread(seen),
    of(outbox, 'what waits in the outbox', ({ oldestMs, refused }) => [
      ...(refused === null ? [] : [nothingGoes(`capture stands still, and what waits in the outbox is of another time: ${refused}`)]),
      ...(oldestMs === null
        ? []
        : [
            {
              ms: nowMs - oldestMs - SKEW_MS,
              why: `a change has waited in the outbox since ${iso(nowMs - oldestMs)}; see that the function capture runs and reaches Kafka`,
            },
          ]),
    ]),
    of(letters, 'which dead letters may come back', ({ letters: count, oldestMs }) =>
      oldestMs === null
        ? []
        : [
            {
              ms: oldestMs - SKEW_MS,
              why: `${count} dead letter(s) of ${writers.join(', ')} may be redriven, the oldest of ${iso(oldestMs)}; redrive or discard them (npx afluente dlq list)`,
            },
          ],
    ),
    of(replays, 'whether a replay runs', ({ running, shadows }) => [
      ...(running === 0 ? [] : [nothingGoes(`${running} replay(s) of the table run (npx afluente replay list)`)]),
      ...(shadows === 0 ? [] : [nothingGoes('a shadow of the table stands; swap or drop it (npx afluente shadow list)')]),
    ]),
  ].flat()
}

/** What a consumer has not settled and Kafka no longer holds may be in its memory still, however long it has waited for its sink. */
function unread({ progress, topic, watermarks, writers }: Sighted): readonly Limit[] {
  return of(watermarks, 'what Kafka still holds', (marks) =>
    of(progress, 'how far the consumers are', (all) =>
      marks
        .filter((mark) => mark.topic === topic)
        .flatMap(({ low, partition }) =>
          all
            .filter((one) => one.topic === topic && one.partition === partition && writers.includes(one.consumer) && BigInt(one.nextOffset) < low)
            .map(({ consumer, nextOffset }) =>
              nothingGoes(
                `${consumer} has not settled ${topic}, partition ${partition}, from offset ${nextOffset} on, and Kafka no longer holds all of that; see that the consumer runs`,
              ),
            ),
        ),
    ),
  )
}

function of<T>(said: Said<T>, what: string, limitsOf: (value: T) => readonly Limit[]): readonly Limit[] {
  return said.ok ? limitsOf(said.value) : [nothingGoes(`it is not known ${what}: ${said.reason}`)]
}

function iso(ms: number): string {
  return new Date(Math.max(0, Math.floor(ms))).toISOString()
}
