/** Commits offsets beside the handlers: one commit under way at a time, the newest offset of each partition, never one that was not marked. */
import type { Clock } from '../../ports/clock.ts'

export interface PartitionOffset {
  readonly topic: string
  readonly partition: number
  /** The offset of the next record to read. */
  readonly offset: string
}

export interface Commits {
  /** The records before this offset are settled in the sink. */
  mark(offset: PartitionOffset): void
  /** Forgets what was marked and not committed: the group has given the partitions anew. */
  clear(): void
  /** Commits what is marked, now. Never throws: what could not be committed is read again. */
  flush(): Promise<void>
}

export interface CommitsDeps {
  readonly commit: (offsets: readonly PartitionOffset[]) => Promise<void>
  readonly onFailure: (error: unknown) => void
  readonly clock: Clock
  /** How long marks gather before they are committed together. A late commit costs a re-read, never a record. */
  readonly gatherMs: number
}

export function createCommits({ commit, onFailure, clock, gatherMs }: CommitsDeps): Commits {
  const marked = new Map<string, PartitionOffset>()
  let gathering: Promise<void> | null = null
  let hurry = new AbortController()

  const commitMarked = async () => {
    const offsets = [...marked.values()]
    marked.clear()
    if (offsets.length === 0) return
    try {
      await commit(offsets)
    } catch (error) {
      onFailure(error)
    }
  }

  const gather = async () => {
    while (marked.size > 0) {
      await clock.sleep(gatherMs, { signal: hurry.signal })
      await commitMarked()
    }
    gathering = null
  }

  return {
    mark: (offset) => {
      marked.set(`${offset.topic}:${offset.partition}`, offset)
      gathering ??= gather()
    },
    clear: () => marked.clear(),
    flush: async () => {
      hurry.abort()
      await gathering
      await commitMarked()
      hurry = new AbortController()
    },
  }
}
