/** Reads a side of a comparison stretch by stretch: each in a statement of about a second, so that nobody's limit for statements is met. */
import type { Clock } from '../ports/clock.ts'
import type { Pages } from '../ports/reconcile.ts'
import { codeOf } from './reason.ts'
import type { Persistently } from './reconcile-deps.ts'

export interface ReadingDeps {
  readonly clock: Clock
  readonly persistently: Persistently
  /** Told after each stretch; false ends the reading there. */
  readonly onStretch: (next: number | null, total: number) => Promise<boolean>
}

const FIRST = 512
const MOST = 16_384
const TARGET_MS = 1_000
/** The server ended the statement, since it took too long. */
const TOO_LONG = '57014'

/** From page `from` to the end. `read` answers nothing: it keeps what it read, once a stretch. */
export async function readPages(
  from: number,
  total: number,
  read: (pages: Pages) => Promise<void>,
  { clock, onStretch, persistently }: ReadingDeps,
): Promise<void> {
  let size = FIRST
  for (let next: number | null = from; next !== null;) {
    const to: number = next + size
    // The last stretch has no end: the table may have grown.
    const pages: Pages = { from: next, to: to >= total ? null : to }
    const beganAt = clock.now()
    const ended = await persistently('read', async () => {
      try {
        await read(pages)
        return true
      } catch (error) {
        if (codeOf(error) !== TOO_LONG || size === 1) throw error
        return false
      }
    })
    const tookMs = Math.max(1, clock.now() - beganAt)
    if (ended) next = pages.to
    size = Math.max(1, Math.min(MOST, Math.round(size * (ended ? Math.max(0.25, Math.min(2, TARGET_MS / tookMs)) : 0.25))))
    if (ended && !(await onStretch(next, total))) return
  }
}
