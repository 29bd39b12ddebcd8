/** A backfill on a source in memory, in virtual time. */
import { memoryBackfills } from '../../../shared/adapters/memory/backfills.ts'
import { memoryClock } from '../../../shared/adapters/memory/clock.ts'
import { memorySource } from '../../../shared/adapters/memory/source.ts'
import { memorySourceRows } from '../../../shared/adapters/memory/source-rows.ts'
import { type BackfillDeps, type BackfillEnd, type BackfillRun, type Doing, runBackfill } from '../../../shared/engine/backfill.ts'
import { settle, type Settled, unwrap } from '../../../shared/engine/settled.ts'
import type { Backfills } from '../../../shared/ports/backfills.ts'
import type { SourceRow } from '../../../shared/ports/source-rows.ts'
import { drive } from '../../support/virtual-time.ts'

export const TABLE = 'public.items'
export const signal = new AbortController().signal

export interface Started {
  settled?: Settled<BackfillEnd>
}

export interface Setting {
  readonly rows: number
  readonly limit?: number | null
  readonly broken?: readonly number[]
  readonly room?: number
  readonly wrap?: (backfills: Backfills) => Backfills
}

export function keyOf(id: number): string {
  return `["${String(id).padStart(6, '0')}"]`
}

export async function world({ broken = [], limit = null, room, rows, wrap = (same) => same }: Setting) {
  const clock = memoryClock()
  const source = memorySource({ clock })
  const write = (id: number, after: string | null) => {
    const transaction = source.begin()
    transaction.write({ table: TABLE, key: keyOf(id), after })
    transaction.commit()
  }
  for (let id = 1; id <= rows; id += 1) write(id, `{"id":${id}}`)
  const inserted = source.history.length
  const spoiled = new Set(broken.map(keyOf))
  const plain = memoryBackfills({
    source,
    clock,
    captured: [TABLE],
    isBroken: (key) => spoiled.has(key),
    room: inserted + (room ?? 1_000_000),
  })
  const backfills = wrap(plain)
  const deps: BackfillDeps = {
    backfills,
    rows: memorySourceRows({ source }),
    clock,
    random: () => 0.5,
    log: { info: () => {}, warn: () => {}, error: () => {} },
  }
  const { id } = await plain.start({ table: TABLE, condition: null, spanMs: null, limit, estimate: rows }, { signal })
  const doings: Doing[] = []
  const seen: SourceRow[] = []
  let owners = 0
  const start = (run: Partial<BackfillRun> = {}) => {
    owners += 1
    const started: Started = {}
    const onProgress: BackfillRun['onProgress'] = (_, doing) => void doings.push(doing)
    void settle(runBackfill({ id, owner: `run ${owners}`, signal, onProgress, onRows: (more) => void seen.push(...more), ...run }, deps)).then(
      (settled) => (started.settled = settled),
    )
    return started
  }
  const ended = async (started: Started, withinMs = 600_000): Promise<BackfillEnd> => {
    await drive(clock, () => started.settled !== undefined, withinMs)
    if (started.settled === undefined) throw new Error('It has not ended.')
    return unwrap(started.settled)
  }
  return {
    clock,
    source,
    backfills: plain,
    id,
    doings,
    seen,
    spoil: (rowId: number) => void spoiled.add(keyOf(rowId)),
    start,
    ended,
    /** Lets it go on for so long. */
    go: async (ms: number) => void (await drive(clock, () => false, ms)),
    backfill: async () => {
      const found = (await plain.list({ signal })).find((one) => one.id === id)
      if (found === undefined) throw new Error('It is gone.')
      return found
    },
    reads: () => source.history.filter(({ op }) => op === 'read').map(({ key }) => key),
  }
}
