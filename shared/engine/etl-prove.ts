/**
 * Up to when a source can be trusted to show everything: a moment counts once each transaction that was open at it has ended, for whoever began
 * later writes later cursors. Noted, then looked at again: now, or in the next run.
 */
import type { Clock } from '../ports/clock.ts'
import type { EtlSource, Noted } from '../ports/etl-source.ts'

export interface Proof {
  /** The moment that is proven; null: none yet. */
  readonly proven: string | null
  /** To be looked at by the next run; null: there is nothing left to prove. */
  readonly noted: Noted | null
  /** The source's clock now. */
  readonly now: string
}

export interface ProveDeps {
  readonly source: Pick<EtlSource, 'note' | 'stillOpen'>
  readonly clock: Clock
  readonly signal: AbortSignal
  /** How long it is worth to wait for those who are open. */
  readonly patienceMs: number
}

const LOOK_MS = { first: 2, most: 100 } as const

/** `before`: what an earlier run noted, and had proven. Must be called before the first page is read. */
export async function prove(
  before: { readonly noted: Noted | null; readonly proven: string | null },
  { clock, patienceMs, signal, source }: ProveDeps,
): Promise<Proof> {
  const earlier = before.noted === null ? null : { ...before.noted, open: await source.stillOpen(before.noted, { signal }) }
  const fallback = earlier?.open.length === 0 ? earlier.at : before.proven
  let present = await source.note({ signal })
  const until = clock.now() + patienceMs
  for (let waitMs: number = LOOK_MS.first; present.open.length > 0 && clock.now() < until; waitMs = Math.min(waitMs * 2, LOOK_MS.most)) {
    await clock.sleep(waitMs, { signal })
    signal.throwIfAborted()
    present = { ...present, open: await source.stillOpen(present, { signal }) }
  }
  if (present.open.length === 0) return { proven: present.at, noted: null, now: present.at }
  // The older one is proven first, and whoever holds it up holds up the newer one as well.
  return { proven: fallback, noted: earlier === null || earlier.open.length === 0 ? present : earlier, now: present.at }
}
