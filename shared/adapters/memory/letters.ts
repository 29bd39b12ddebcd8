/** The dead letters in memory, as people look at them and decide about them. */
import { type LetterAction, likenessOf, nextState } from '../../events/dead-letter.ts'
import type { Clock } from '../../ports/clock.ts'
import type { Letter, LetterFilter, LetterGroup, LetterPage, Letters, LetterSummary } from '../../ports/letters.ts'
import type { DeadLetter } from '../../ports/sink.ts'
import type { BuriedLetter, MemoryAnalytics } from './analytics.ts'
import { hashOf } from './hash.ts'

export function memoryLetters({ analytics, clock }: { readonly analytics: MemoryAnalytics; readonly clock: Clock }): Letters {
  const newest = (filter: LetterFilter) => lettersOf(analytics, filter).toReversed()
  const page = <T>(filter: LetterFilter, limit: number, after: string | null, as: (letter: BuriedLetter) => T): LetterPage<T> => {
    const found = newest(filter).filter(({ id }) => after === null || id < Number(after))
    const letters = found.slice(0, limit)
    return { letters: letters.map(as), next: found.length > limit ? String(letters.at(-1)?.id) : null }
  }
  const audit = (actor: string, action: string, subject: string, details: Readonly<Record<string, unknown>>) =>
    void analytics.audit.push({ actor, action, subject, details })

  return {
    list: async ({ filter, limit, after }) => page(filter, limit, after, summaryOf),
    read: async ({ filter, limit, after }) => page(filter, limit, after, letterOf),
    find: async (id) => {
      const found = lettersOf(analytics, { ids: [id] })[0]
      return found === undefined ? null : letterOf(found)
    },
    groups: async (filter, limit) =>
      [...Map.groupBy(newest(filter).map(summaryOf), ({ fingerprint }) => fingerprint).values()]
        .map(groupOf)
        .toSorted((a, b) => b.letters - a.letters || (a.fingerprint < b.fingerprint ? -1 : 1))
        .slice(0, limit),
    count: async (filter) =>
      [...Map.groupBy(lettersOf(analytics, filter), ({ consumer, state }) => `${consumer} ${state}`)]
        .toSorted(([a], [b]) => (a < b ? -1 : 1))
        .flatMap(([, letters]) => letters.slice(0, 1).map(({ consumer, state }) => ({ consumer, state, letters: letters.length }))),
    discard: async ({ filter, reason, limit, actor }) => {
      const chosen = lettersOf(analytics, filter)
        .filter(({ state }) => nextState(state, 'discard') !== null)
        .slice(0, limit)
      for (const letter of chosen) change(analytics, letter, 'discard', { reason, endedMs: clock.now() })
      const [first, last] = [chosen[0], chosen.at(-1)]
      if (first !== undefined && last !== undefined)
        audit(actor, 'dead-letter.discard', first === last ? String(first.id) : `${first.id}–${last.id}`, { filter, reason, letters: chosen.length })
      return chosen.length
    },
    replace: async ({ id, eventId, actor }) => {
      const [letter] = lettersOf(analytics, { ids: [id] })
      if (letter === undefined || !change(analytics, letter, 'replace', { replacedBy: eventId, endedMs: clock.now() })) return false
      audit(actor, 'dead-letter.edit', id, { event: letter.eventId, replaced_by: eventId })
      return true
    },
  }
}

/** The same record again, which is the same event in the same place, is the same letter with one attempt more. */
export function buryLetter(analytics: MemoryAnalytics, consumer: string, letter: DeadLetter, nowMs: number): void {
  const at = placeOf(consumer, letter)
  const before = analytics.letters.get(at)
  const state = before === undefined ? 'open' : (nextState(before.state, 'bury') ?? before.state)
  const fresh = { id: analytics.letters.size + 1, firstSeenMs: nowMs, job: null, reason: null, replacedBy: null, endedMs: null, attempts: 0 }
  const kept = before ?? fresh
  analytics.letters.set(at, {
    ...letter,
    ...(before === undefined ? {} : { record: before.record, table: before.table }),
    id: kept.id,
    consumer,
    attempts: kept.attempts + 1,
    state,
    firstSeenMs: kept.firstSeenMs,
    lastSeenMs: nowMs,
    job: kept.job,
    reason: kept.reason,
    replacedBy: kept.replacedBy,
    endedMs: before?.state === state ? kept.endedMs : null,
  })
}

/** Does what the table of transitions allows; false, and nothing, where it doesn't. */
export function change(analytics: MemoryAnalytics, letter: BuriedLetter, action: LetterAction, more: Partial<BuriedLetter>): boolean {
  const state = nextState(letter.state, action)
  if (state === null) return false
  analytics.letters.set(placeOf(letter.consumer, letter), { ...letter, ...more, state })
  return true
}

/** What the filter names, the oldest first. */
export function lettersOf(analytics: MemoryAnalytics, { consumer, fingerprint, ids, since, state, table, until }: LetterFilter): readonly BuriedLetter[] {
  return [...analytics.letters.values()]
    .filter(
      (letter) =>
        (ids === undefined || ids.includes(String(letter.id))) &&
        (consumer === undefined || letter.consumer === consumer) &&
        (table === undefined || letter.table === table) &&
        (fingerprint === undefined || fingerprintOf(letter) === fingerprint) &&
        (state === undefined || letter.state === state) &&
        (since === undefined || letter.firstSeenMs >= Date.parse(since)) &&
        (until === undefined || letter.firstSeenMs < Date.parse(until)),
    )
    .toSorted((a, b) => a.id - b.id)
}

export function letterOf(letter: BuriedLetter): Letter {
  return { ...summaryOf(letter), record: letter.record }
}

function summaryOf(letter: BuriedLetter): LetterSummary {
  const { consumer, eventId, table, code, message, attempts, state, reason, replacedBy, record } = letter
  const { topic, partition, offset, key } = record
  return {
    id: String(letter.id),
    consumer,
    topic,
    partition,
    offset,
    eventId,
    table,
    key,
    code,
    message,
    fingerprint: fingerprintOf(letter),
    attempts,
    firstSeen: iso(letter.firstSeenMs),
    lastSeen: iso(letter.lastSeenMs),
    state,
    job: letter.job === null ? null : String(letter.job),
    reason,
    replacedBy,
    endedAt: letter.endedMs === null ? null : iso(letter.endedMs),
  }
}

/** Of letters that fail alike, the newest first. */
function groupOf(letters: readonly LetterSummary[]): LetterGroup {
  const [latest, ...others] = letters
  if (latest === undefined) throw new Error('a group without letters')
  const { fingerprint, consumer, table, code, message } = latest
  const seen = (of: (letter: LetterSummary) => string) => [latest, ...others].map(of).toSorted()
  return {
    fingerprint,
    consumer,
    table,
    code,
    message,
    letters: letters.length,
    firstSeen: seen(({ firstSeen }) => firstSeen)[0] ?? '',
    lastSeen: seen(({ lastSeen }) => lastSeen).at(-1) ?? '',
  }
}

function fingerprintOf(letter: BuriedLetter): string {
  return hashOf(likenessOf(letter, letter.consumer)).toString(16)
}

function placeOf(consumer: string, { eventId, record }: DeadLetter): string {
  return `${consumer} ${record.topic}:${record.partition}:${record.offset} ${eventId}`
}

function iso(ms: number): string {
  return new Date(ms).toISOString()
}
