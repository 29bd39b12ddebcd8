import { setTimeout as sleep } from 'node:timers/promises'

/**
 * Asks again and again until the answer is true; false once `withinMs` is over. What the question throws counts as "not yet".
 * For waiting on another process, which can't be awaited.
 */
export async function until(question: () => Promise<boolean>, withinMs: number, everyMs = 40): Promise<boolean> {
  const end = performance.now() + withinMs
  for (;;) {
    if (await question().catch(() => false)) return true
    if (performance.now() >= end) return false
    await sleep(everyMs)
  }
}
