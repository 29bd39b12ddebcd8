import { setTimeout as sleep } from 'node:timers/promises'

/** Looks until it is so; rejects at the deadline with what was seen last. */
export async function until(what: string, look: () => Promise<boolean | string>, everyMs: number, timeoutMs: number): Promise<void> {
  const end = performance.now() + timeoutMs
  for (;;) {
    const seen = await look()
    if (seen === true) return
    if (performance.now() > end) throw new Error(`${what}: not within ${Math.round(timeoutMs / 1_000)} s${typeof seen === 'string' ? ` (${seen})` : ''}`)
    await sleep(everyMs)
  }
}
