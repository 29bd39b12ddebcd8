/** Waiting in tests: look until it is so, never for a fixed time. */
import { setTimeout as sleep } from 'node:timers/promises'

const BETWEEN_LOOKS_MS = 20

/**
 * Looks again and again until `look` gives something: anything but `false`, `null` or `undefined`, which is then the result.
 * A look that throws (a failed expectation, a server that isn't up) counts as "not yet"; at the deadline its error is the cause.
 */
export async function eventually<T>(what: string, look: () => T | Promise<T>, timeoutMs = 20_000): Promise<NonNullable<T>> {
  const deadline = Date.now() + timeoutMs
  for (;;) {
    let last: unknown
    try {
      const seen = await look()
      if (seen !== false && seen !== null && seen !== undefined) return seen
      last = `the last look gave ${String(seen)}`
    } catch (error) {
      last = error
    }
    if (Date.now() >= deadline) {
      throw new Error(`Waited ${timeoutMs} ms in vain: ${what}. ${last instanceof Error ? last.message : String(last)}`, { cause: last })
    }
    await sleep(BETWEEN_LOOKS_MS)
  }
}
