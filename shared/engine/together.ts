import type { Cancellable } from '../ports/cancellable.ts'
import { settle, unwrap } from './settled.ts'

/** Works side by side. Where one fails the others' signal aborts, all are waited for, and what failed first is thrown. */
export async function together<T>(works: readonly ((options: Cancellable) => Promise<T>)[], { signal }: Cancellable): Promise<readonly T[]> {
  const failed = new AbortController()
  const options = { signal: AbortSignal.any([signal, failed.signal]) }
  const settled = await Promise.all(
    works.map(async (work) => {
      const ended = await settle(work(options))
      // The first reason stays.
      if (!ended.ok) failed.abort(ended.error)
      return ended
    }),
  )
  if (failed.signal.aborted) throw failed.signal.reason
  return settled.map(unwrap)
}
