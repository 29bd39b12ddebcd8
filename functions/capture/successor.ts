/** Calls a fresh invocation of capture, which takes a shard over. */
import { AfluenteError } from '../../shared/engine/errors.ts'
import type { Cancellable } from '../../shared/ports/cancellable.ts'
import { HANDOVER_HEADER } from './handler.ts'

export interface SuccessorDeps {
  readonly supabaseUrl: string
  readonly secret: string
  /** A fresh isolate has to boot and connect in that time. */
  readonly timeoutMs?: number
}

/** Resolves when the successor has connected and waits for the shard. Errors: `unavailable`. */
export function startSuccessorOf({ secret, supabaseUrl, timeoutMs = 15_000 }: SuccessorDeps): (shard: number, options: Cancellable) => Promise<void> {
  return async (shard, { signal }) => {
    const answer = await fetch(`${supabaseUrl}/functions/v1/capture?shard=${shard}`, {
      method: 'POST',
      headers: { authorization: `Bearer ${secret}`, [HANDOVER_HEADER]: '1', 'content-type': 'application/json' },
      body: '{}',
      signal: AbortSignal.any([signal, AbortSignal.timeout(timeoutMs)]),
    }).catch((error: unknown) => {
      throw new AfluenteError('unavailable', 'network', 'The successor did not answer: is SUPABASE_URL right, and is capture deployed?', { cause: error })
    })
    await answer.body?.cancel()
    if (answer.status !== 202) throw new AfluenteError('unavailable', `HTTP ${answer.status}`, `The successor answered HTTP ${answer.status}.`)
  }
}
