import type { Event } from '../../events/envelope.ts'
import type { WriteReport } from '../../ports/sink.ts'
import type { BulkOutcome } from './bulk.ts'
import type { ItemError } from './faults.ts'

type Verdict = 'accepted' | 'duplicate' | 'late' | ItemError

export interface KeyVersions {
  /** The highest version of each key that has no verdict yet; empty when all is settled. */
  next(): readonly Event[]
  /**
   * What became of an event that `next` gave. Where it stands, the other versions of its key need no sending, and count as
   * they would have one after another; where it was rejected, the next older one is tried.
   */
  settle(event: Event, outcome: BulkOutcome): void
  /** The batch's counts; `message` makes the words for a rejection. */
  report(message: (error: ItemError) => string): WriteReport
}

/** The events of a batch by key, so that one document is sent a key. */
export function versionsByKey(events: readonly Event[]): KeyVersions {
  const open = new Map<string, number[]>()
  for (const [at, { key }] of events.entries()) {
    const list = open.get(key)
    if (list === undefined) open.set(key, [at])
    else list.push(at)
  }
  const versionAt = (at: number): number => events[at]?.version ?? 0
  for (const list of open.values()) list.sort((one, other) => versionAt(one) - versionAt(other))
  const verdicts = new Map<number, Verdict>()

  return {
    next() {
      return [...open.values()].flatMap((list) => events[list.at(-1) ?? -1] ?? [])
    },
    settle({ key, version }, outcome) {
      const list = open.get(key) ?? []
      if (outcome.status === 'rejected') {
        for (const at of list.filter((each) => versionAt(each) === version)) verdicts.set(at, outcome.error)
        const older = list.filter((at) => versionAt(at) < version)
        if (older.length > 0) open.set(key, older)
        else open.delete(key)
        return
      }
      open.delete(key)
      let highest = outcome.status === 'accepted' ? 0 : (outcome.current ?? Number.POSITIVE_INFINITY)
      for (const at of list.toSorted((one, other) => one - other)) {
        const each = versionAt(at)
        verdicts.set(at, each > highest ? 'accepted' : each === highest ? 'duplicate' : 'late')
        highest = Math.max(highest, each)
      }
    },
    report(message) {
      const count = (wanted: Verdict): number => [...verdicts.values()].filter((verdict) => verdict === wanted).length
      const rejected = [...verdicts].flatMap(([index, verdict]) =>
        typeof verdict === 'string' ? [] : [{ index, code: verdict.type, message: message(verdict) }],
      )
      return {
        accepted: count('accepted'),
        duplicate: count('duplicate'),
        late: count('late'),
        rejected: rejected.toSorted((one, other) => one.index - other.index),
      }
    },
  }
}
