/** Sends keys for one backfill under one epoch, and knows what the database said last. */
import type { Backfill, Backfills, Sending } from '../ports/backfills.ts'
import type { Clock } from '../ports/clock.ts'
import type { Pace } from './backfill-pace.ts'
import { isRefusal } from './errors.ts'

export interface SenderDeps {
  readonly backfills: Backfills
  readonly id: number
  readonly epoch: number
  readonly leaseMs: number
  /** As it was when it was taken. */
  readonly backfill: Backfill
  /** Tries until the database answers. */
  readonly persistently: <T>(what: string, work: () => Promise<T>) => Promise<T>
  readonly pace: Pace
  readonly clock: Clock
  readonly signal: AbortSignal
}

export interface Sender {
  readonly backfill: Backfill
  readonly room: boolean
  /** Somebody else has it now. */
  readonly lost: boolean
  /** Whether something was sent since this was asked last. */
  moved(): boolean
  /** `isNew`: seen for the first time, and in the order of the keys. Rows that can't be printed are found by halves, and counted; the rest goes. */
  send(keys: readonly string[], isNew: boolean): Promise<void>
  /** The lease alone. */
  renew(): Promise<void>
}

export function createSender({ backfills, backfill: taken, clock, epoch, id, leaseMs, pace, persistently, signal }: SenderDeps): Sender {
  let backfill = taken
  let room = true
  let lost = false
  let moved = false

  const ask = async (sending: Pick<Sending, 'keys' | 'seen' | 'reached' | 'failed'>): Promise<void> => {
    const answer = await persistently('send', () => backfills.send({ id, epoch, leaseMs, ...sending }, { signal }))
    if (answer.status === 'fenced') lost = true
    else ({ backfill, room } = answer)
  }

  const send = async (keys: readonly string[], isNew: boolean): Promise<void> => {
    const last = keys.at(-1)
    if (last === undefined || lost || signal.aborted) return
    const of = isNew ? { seen: keys.length, reached: last } : { seen: 0, reached: null }
    const beganAt = clock.now()
    try {
      await ask({ keys, failed: [], ...of })
      pace.sent(keys.length, clock.now() - beganAt)
      moved = true
    } catch (error) {
      if (!isRefusal(error)) throw error
      if (keys.length === 1) return ask({ keys: [], failed: keys, ...of })
      pace.tooMany(keys.length)
      const half = Math.ceil(keys.length / 2)
      await send(keys.slice(0, half), isNew)
      await send(keys.slice(half), isNew)
    }
  }

  return {
    get backfill() {
      return backfill
    },
    get room() {
      return room
    },
    get lost() {
      return lost
    },
    moved: () => {
      const before = moved
      moved = false
      return before
    },
    send,
    renew: () => ask({ keys: [], seen: 0, reached: null, failed: [] }),
  }
}
