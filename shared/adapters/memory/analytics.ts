/** What an analytics database holds, in memory: bronze, silver, and the control tables of schema `ops`. */
import type { LogRecord } from '../../events/envelope.ts'
import type { LetterState } from '../../events/dead-letter.ts'
import type { Floor, Progress } from '../../ports/control.ts'
import type { AuditEntry } from '../../ports/operations.ts'
import type { RedriveJob } from '../../ports/redrives.ts'
import type { ReplayJob, ShadowEntry } from '../../ports/replays.ts'
import type { DeadLetter, Fence, WriteReport } from '../../ports/sink.ts'
import { AfluenteError } from '../../engine/errors.ts'

export interface BronzeRow {
  readonly eventId: string
  readonly record: LogRecord
}

/** The present row of a key. A deleted one stays, with its version, so that a late update can't bring it back. */
export interface SilverRow {
  readonly version: number
  readonly eventId: string
  readonly after: string | null
}

export interface BuriedLetter extends DeadLetter {
  readonly id: number
  readonly consumer: string
  readonly attempts: number
  readonly state: LetterState
  readonly firstSeenMs: number
  readonly lastSeenMs: number
  /** The redrive that took it last. */
  readonly job: number | null
  readonly reason: string | null
  readonly replacedBy: string | null
  readonly endedMs: number | null
}

/** A redrive, and the ids between which its letters lie: above `position`, up to `upTo`. */
export interface StoredRedrive extends RedriveJob {
  readonly position: number
  readonly upTo: number
}

/** A replay, and the event ids between which it reads: above `position`, up to `upTo`. */
export interface StoredReplay extends ReplayJob {
  readonly position: string
  readonly upTo: string
}

export interface MemoryAnalytics {
  readonly bronze: Map<string, BronzeRow>
  /** By table, then by key. */
  readonly silver: Map<string, Map<string, SilverRow>>
  /** By consumer and the place of the record. */
  readonly letters: Map<string, BuriedLetter>
  readonly redrives: Map<string, StoredRedrive>
  readonly replays: Map<string, StoredReplay>
  /** By consumer and table. */
  readonly shadows: Map<string, ShadowEntry>
  readonly audit: (AuditEntry & { readonly details: Readonly<Record<string, unknown>> })[]
  readonly progress: Map<string, Progress>
  readonly epochs: Map<string, number>
  /** By table. */
  readonly floors: Map<string, Floor>
}

export function memoryAnalytics(): MemoryAnalytics {
  return {
    bronze: new Map(),
    silver: new Map(),
    letters: new Map(),
    redrives: new Map(),
    replays: new Map(),
    shadows: new Map(),
    audit: [],
    progress: new Map(),
    epochs: new Map(),
    floors: new Map(),
  }
}

export function placeOf({ consumer, topic, partition }: Pick<Fence, 'consumer' | 'topic' | 'partition'>): string {
  return `${consumer} ${topic}:${partition}`
}

/** Throws `fenced` unless the fence's epoch is the one that was given out last. */
export function assertEpoch(analytics: MemoryAnalytics, fence: Fence): void {
  const present = analytics.epochs.get(placeOf(fence)) ?? 0
  if (fence.epoch === present) return
  throw new AfluenteError(
    'fenced',
    'epoch',
    `${placeOf(fence)} is held under epoch ${present}; this write came under ${fence.epoch}. Stop, and take the partition anew.`,
  )
}

/** Adds to a partition's counters. Its offset never goes back. */
export function count(
  analytics: MemoryAnalytics,
  fence: Fence,
  nextOffset: string,
  settled: Pick<WriteReport, 'accepted' | 'duplicate' | 'late'> & { readonly consumed: number; readonly dead: number },
  nowMs: number,
): void {
  const before = analytics.progress.get(placeOf(fence))
  const reached = BigInt(nextOffset)
  analytics.progress.set(placeOf(fence), {
    consumer: fence.consumer,
    topic: fence.topic,
    partition: fence.partition,
    epoch: fence.epoch,
    nextOffset: before !== undefined && BigInt(before.nextOffset) > reached ? before.nextOffset : nextOffset,
    consumed: (before?.consumed ?? 0) + settled.consumed,
    accepted: (before?.accepted ?? 0) + settled.accepted,
    duplicate: (before?.duplicate ?? 0) + settled.duplicate,
    late: (before?.late ?? 0) + settled.late,
    dead: (before?.dead ?? 0) + settled.dead,
    updatedAt: new Date(nowMs).toISOString(),
  })
}
