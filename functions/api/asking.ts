/** Asking parts that may be down: each on its own, none for longer than its time, and what failed is told instead of thrown. */
import { isAfluenteError } from '../../shared/engine/errors.ts'
import { explain } from '../../shared/engine/reason.ts'
import type { Cancellable } from '../../shared/ports/cancellable.ts'
import type { Clock } from '../../shared/ports/clock.ts'

export type Answer<T> =
  | { readonly ok: true; readonly value: T; readonly latencyMs: number }
  | { readonly ok: false; readonly reason: string; readonly latencyMs: number }

export const ASK_TIMEOUT_MS = 2_000

/** Never throws. A part that does not listen to its signal is left behind when its time is over. */
export async function ask<T>(question: (options: Cancellable) => Promise<T>, clock: Clock, timeoutMs = ASK_TIMEOUT_MS): Promise<Answer<T>> {
  const began = clock.now()
  const controller = new AbortController()
  const late = Promise.withResolvers<never>()
  const timer = setTimeout(() => {
    controller.abort()
    late.reject(new TooLate())
  }, timeoutMs)
  try {
    const value = await Promise.race([question({ signal: controller.signal }), late.promise])
    return { ok: true, value, latencyMs: clock.now() - began }
  } catch (error) {
    const reason = error instanceof TooLate || (controller.signal.aborted && !isAfluenteError(error)) ? `No answer within ${timeoutMs} ms.` : explain(error)
    return { ok: false, reason, latencyMs: clock.now() - began }
  } finally {
    clearTimeout(timer)
    late.promise.catch(() => undefined)
  }
}

class TooLate extends Error {
  override readonly name = 'TooLate'
}

export function valueOf<T>(answer: Answer<T>): T | null {
  return answer.ok ? answer.value : null
}
