/** A member of a group over topics in memory, with the promises of the port. A run whose handler throws ends with that error. */
import { AfluenteError } from '../../engine/errors.ts'
import type { HandleBatch, Subscription, SubscriptionRun } from '../../ports/subscription.ts'
import type { Assignment, Member, MemoryGroup, Place } from './group.ts'
import type { MemoryTopics } from './topics.ts'

export interface MemorySubscriptionDeps {
  readonly topics: MemoryTopics
  readonly group: MemoryGroup
  readonly subscribe: readonly string[]
  /** What the group calls this member when it throws it out. */
  readonly member?: string
  /** How many records a batch holds at most. */
  readonly batchRecords?: number
}

export function memorySubscription({ topics, group, subscribe, member: name, batchRecords = 500 }: MemorySubscriptionDeps): Subscription {
  /** One partition under one assignment, batch by batch: until `end`, until the signal aborts, or until the group won't take a commit. */
  const consume = async (member: Member, assignment: Assignment, place: Place, end: number, handle: HandleBatch, signal: AbortSignal): Promise<void> => {
    const heartbeat = async () => {
      if (member.assignment() !== assignment) throw lost()
    }
    for (let offset = member.position(place); offset < end && !signal.aborted;) {
      const records = topics.read(place.topic, place.partition, offset, Math.min(batchRecords, end - offset))
      if (records.length === 0) {
        await topics.appended(signal)
        continue
      }
      const highWatermark = String(topics.end(place.topic, place.partition))
      await handle({ ...place, records, highWatermark, generation: assignment.generation }, { signal, heartbeat })
      offset += records.length
      if (!(await member.commit(assignment, place, offset))) throw lost()
    }
  }

  /** Works on an assignment until it ends; true when the run is over with it. */
  const hold = async (member: Member, assignment: Assignment, run: SubscriptionRun, ends: Ends, handle: HandleBatch): Promise<boolean> => {
    const failed = new AbortController()
    const over = AbortSignal.any([run.signal, assignment.revoked, failed.signal])
    const work = assignment.partitions.map((place) => consume(member, assignment, place, ends(place), handle, over))
    if (!run.untilEnd) work.push(aborted(over))
    const failures: unknown[] = []
    await Promise.all(
      work.map((one) =>
        one.catch((error: unknown) => {
          failures.push(error)
          failed.abort()
        }),
      ),
    )
    if (failures.length > 0 && !assignment.revoked.aborted && !run.signal.aborted) throw failures[0]
    return run.signal.aborted || !assignment.revoked.aborted
  }

  return {
    run: async (handle, options) => {
      if (options.signal.aborted) return
      const member = group.join(subscribe, name)
      const ends = options.untilEnd ? endsNow(topics, subscribe) : () => Number.POSITIVE_INFINITY
      try {
        for (;;) {
          const assignment = member.assignment()
          if (assignment === null) throw lost()
          options.onReady?.()
          if (await hold(member, assignment, options, ends, handle)) return
        }
      } finally {
        member.leave()
      }
    },
  }
}

function lost(): Error {
  return new AfluenteError('fenced', 'generation', 'The group has given the partition to somebody else. Run again to join anew.')
}

function aborted(signal: AbortSignal): Promise<void> {
  return new Promise((resolve) => {
    if (signal.aborted) resolve()
    else signal.addEventListener('abort', () => resolve(), { once: true })
  })
}

type Ends = (place: Place) => number

function endsNow(topics: MemoryTopics, subscribe: readonly string[]): Ends {
  const ends = new Map(
    subscribe.flatMap((topic) => Array.from({ length: topics.partitions }, (_, partition) => [`${topic}:${partition}`, topics.end(topic, partition)] as const)),
  )
  return ({ topic, partition }) => ends.get(`${topic}:${partition}`) ?? 0
}
