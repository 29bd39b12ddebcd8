/** Backfills in memory, with the promises of the SQL functions `start_backfill`, `hold_backfill`, `send_backfill`, `release_backfill`, `steer_backfill`. */
import { AfluenteError } from '../../engine/errors.ts'
import type { Backfill, BackfillRequest, Backfills, BackfillState, Steering } from '../../ports/backfills.ts'
import type { Clock } from '../../ports/clock.ts'
import type { MemorySource } from './source.ts'

export interface MemoryBackfillsDeps {
  readonly source: MemorySource
  readonly clock: Clock
  readonly captured: readonly string[]
  /** As many changes may wait before there is no room. */
  readonly room?: number
  /** Rows that can't be printed. */
  readonly isBroken?: (key: string) => boolean
}

interface Entry {
  backfill: Omit<Backfill, 'worked'>
  readonly spanMs: number | null
  owner: string | null
  epoch: number
  leasedUntil: number
}

const WANTED: Readonly<Record<Steering, BackfillState>> = { pause: 'paused', resume: 'running', cancel: 'cancelled' }

export function memoryBackfills({ captured, clock, isBroken = () => false, room = 5_000, source }: MemoryBackfillsDeps): Backfills {
  const entries = new Map<number, Entry>()
  const now = () => new Date(clock.now()).toISOString()
  const shown = ({ backfill, leasedUntil }: Entry): Backfill => ({ ...backfill, worked: isOpen(backfill.state) && leasedUntil > clock.now() })

  const begin = ({ condition, estimate, limit, spanMs, table }: BackfillRequest): Entry => {
    const id = entries.size + 1
    const since = spanMs === null ? null : new Date(clock.now() - spanMs).toISOString()
    const counts = { estimate, seen: 0, sent: 0, gone: 0, failed: 0 }
    const backfill = { id, table, condition, since, limit, state: 'running' as const, reached: null, waiting: [], ...counts, beganAt: now(), endedAt: null }
    const entry: Entry = { backfill, spanMs, owner: null, epoch: 0, leasedUntil: Number.NEGATIVE_INFINITY }
    entries.set(id, entry)
    return entry
  }

  return {
    start: async (request, { signal }) => {
      signal.throwIfAborted()
      if (!captured.includes(request.table)) throw new AfluenteError('misconfigured', 'not-captured', `${request.table} is not captured.`)
      const known = [...entries.values()].find(
        ({ backfill, spanMs }) =>
          isOpen(backfill.state) &&
          backfill.table === request.table &&
          backfill.condition === request.condition &&
          backfill.limit === request.limit &&
          spanMs === request.spanMs,
      )
      return shown(known ?? begin(request))
    },
    hold: async ({ id, leaseMs, owner }, { signal }) => {
      signal.throwIfAborted()
      const entry = entries.get(id)
      if (entry === undefined) return { status: 'unknown' }
      if (!isOpen(entry.backfill.state)) return { status: 'ended', backfill: shown(entry) }
      if (entry.leasedUntil > clock.now() && entry.owner !== owner) return { status: 'busy', retryMs: entry.leasedUntil - clock.now(), backfill: shown(entry) }
      entry.owner = owner
      entry.epoch += 1
      entry.leasedUntil = clock.now() + leaseMs
      return { status: 'held', epoch: entry.epoch, backfill: shown(entry) }
    },
    send: async ({ epoch, failed: givenUp, id, keys: asked, leaseMs, reached, seen }, { signal }) => {
      signal.throwIfAborted()
      const entry = entries.get(id)
      if (entry === undefined || entry.epoch !== epoch) return { status: 'fenced' }
      const { backfill } = entry
      if (backfill.state === 'running' && (reached === null || reached !== backfill.reached)) {
        // What no longer waits was sent: the answer may have been lost.
        const present = (all: readonly string[]) => (reached === null ? all.filter((key) => backfill.waiting.includes(key)) : all)
        const [keys, failed] = [present(asked), present(givenUp)]
        if (keys.some(isBroken)) throw new AfluenteError('refused', '22000', 'Rows could not be sent (22000).')
        const { gone, locked, sent } = source.resend(backfill.table, keys)
        entry.backfill = {
          ...backfill,
          waiting: [...backfill.waiting.filter((key) => !keys.includes(key) && !failed.includes(key)), ...locked],
          reached: reached ?? backfill.reached,
          seen: backfill.seen + seen,
          sent: backfill.sent + sent,
          gone: backfill.gone + gone.length,
          failed: backfill.failed + failed.length,
        }
      }
      entry.leasedUntil = clock.now() + leaseMs
      return { status: 'held', backfill: shown(entry), room: source.waiting.length < room }
    },
    release: async ({ done, epoch, id }, { signal }) => {
      signal.throwIfAborted()
      const entry = entries.get(id)
      if (entry === undefined || entry.epoch !== epoch) return null
      entry.leasedUntil = clock.now()
      if (done && entry.backfill.state === 'running' && entry.backfill.waiting.length === 0)
        entry.backfill = { ...entry.backfill, state: 'done', endedAt: now() }
      return shown(entry)
    },
    steer: async (id, action, { signal }) => {
      signal.throwIfAborted()
      const entry = entries.get(id)
      if (entry === undefined) return { status: 'unknown' }
      const { state } = entry.backfill
      if (state === WANTED[action]) return { status: 'unchanged', backfill: shown(entry) }
      if (!isOpen(state)) return { status: 'declined', backfill: shown(entry) }
      entry.backfill = { ...entry.backfill, state: WANTED[action], endedAt: action === 'cancel' ? now() : null }
      return { status: 'done', backfill: shown(entry) }
    },
    list: async ({ signal }) => {
      signal.throwIfAborted()
      return [...entries.values()].toReversed().map(shown)
    },
  }
}

function isOpen(state: BackfillState): boolean {
  return state === 'running' || state === 'paused'
}
