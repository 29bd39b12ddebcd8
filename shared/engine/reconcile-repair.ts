/** Repairs what a reconcile found, through the outbox alone: rows are sent again under new versions, what the source has not is deleted under one. */
import type { Cancellable } from '../ports/cancellable.ts'
import type { DrawnDeletes } from '../ports/reconcile.ts'
import type { Finding } from '../ports/reconciliations.ts'
import { AfluenteError, isRefusal } from './errors.ts'
import type { ComparedTable, Persistently, ReconcileDeps } from './reconcile-deps.ts'

export interface RepairDeps extends Pick<ReconcileDeps, 'outbox' | 'clock'> {
  readonly of: ComparedTable
  readonly persistently: Persistently
  readonly onSent: (done: number, total: number) => Promise<void>
}

/** A writer who wants a row of a call waits for the call. */
const ROWS_AT_ONCE = 500
const DELETES_AT_ONCE = 500
/** Changes that may wait for Kafka before more is sent. */
const ROOM = 1_000
const WAIT_MS = { first: 50, most: 1_000 } as const
/** For whoever holds a row, a transaction from before, or the room in the outbox. */
const PATIENCE_MS = 60_000

/** Resolves when all of it is in the outbox; what can't be sent is left out. Throws `unavailable` where it waited in vain: what was sent by then stays so. */
export async function repair(findings: readonly Finding[], deps: RepairDeps, options: Cancellable): Promise<void> {
  const deletes = new Set(findings.filter(({ what }) => what === 'extra').map(({ key }) => key))
  const rows = [...new Set(findings.filter(({ key }) => !deletes.has(key)).map(({ key }) => key))]
  const total = rows.length + deletes.size
  let done = 0
  const told = async (count: number) => deps.onSent((done += count), total)
  for (let at = 0; at < rows.length; at += ROWS_AT_ONCE) {
    const part = rows.slice(at, at + ROWS_AT_ONCE)
    await sendable(part, (keys) => sendRows(keys, deps, options))
    await told(part.length)
  }
  for (let at = 0; at < deletes.size; at += DELETES_AT_ONCE) {
    const part = [...deletes].slice(at, at + DELETES_AT_ONCE)
    await sendable(part, (keys) => sendDeletes(keys, deps, options))
    await told(part.length)
  }
}

/** Rows that somebody holds are asked for again. Those that are gone have ended by a change of their own. */
async function sendRows(keys: readonly string[], deps: RepairDeps, options: Cancellable): Promise<void> {
  const { of, outbox, persistently } = deps
  let wanted = keys
  await patiently('rows that somebody holds, or room in the outbox', deps, options, async () => {
    const { left } = await persistently('drained', () => outbox.drained(null, options))
    if (left > ROOM) return false
    const { keeps, locked } = await persistently('resend', () => outbox.resend(of.table, wanted, options))
    wanted = keeps === 'nothing' ? wanted : locked
    return wanted.length === 0
  })
}

/** Versions are drawn first; they are sent when everybody has ended who may have drawn a lower one, and where the key is still not there. */
async function sendDeletes(keys: readonly string[], deps: RepairDeps, options: Cancellable): Promise<void> {
  const { of, outbox, persistently } = deps
  const drawn: DrawnDeletes = await persistently('draw', () => outbox.drawDeletes(of.table, keys, options))
  await patiently('a transaction that was open before', deps, options, () => persistently('delete', () => outbox.sendDeletes(of.table, drawn, options)))
}

async function patiently(forWhat: string, { clock }: RepairDeps, options: Cancellable, work: () => Promise<boolean>): Promise<void> {
  const until = clock.now() + PATIENCE_MS
  for (let waitMs: number = WAIT_MS.first; !(await work()); waitMs = Math.min(WAIT_MS.most, waitMs * 2)) {
    if (clock.now() > until)
      throw new AfluenteError(
        'unavailable',
        'waited',
        `The repair waited for ${forWhat}, for ${PATIENCE_MS / 1_000} s, and gave up. Reconcile again with --repair; what was sent stays sent.`,
      )
    await clock.sleep(waitMs, options)
    options.signal.throwIfAborted()
  }
}

/** Keys that are refused are found by halves; the rest goes. */
async function sendable(keys: readonly string[], send: (keys: readonly string[]) => Promise<void>): Promise<void> {
  if (keys.length === 0) return
  try {
    await send(keys)
  } catch (error) {
    if (!isRefusal(error)) throw error
    if (keys.length === 1) return
    const half = Math.ceil(keys.length / 2)
    await sendable(keys.slice(0, half), send)
    await sendable(keys.slice(half), send)
  }
}
