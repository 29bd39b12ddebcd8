/** Waits until nothing is under way any more: nothing in the outbox, every event settled by each consumer, and told to Kafka. */
import { setTimeout as sleep } from 'node:timers/promises'
import type { Flow, FlowReader } from './flow.ts'

export interface Rest {
  readonly flow: Flow
  readonly ms: number
}

/** Rejects, with what is still under way, when it doesn't come to rest in time. */
export async function settle(reader: FlowReader, { withinMs, signal }: { readonly withinMs: number; readonly signal: AbortSignal }): Promise<Rest> {
  const began = performance.now()
  let last = 'no part answered'
  while (performance.now() - began < withinMs) {
    signal.throwIfAborted()
    const flow = await reader.read().catch((error: unknown) => void (last = error instanceof Error ? error.message : String(error)))
    if (flow !== undefined) {
      const told = flow.ends
        .filter(({ offset }) => offset > 0n)
        .every((end) => flow.committed.filter((at) => at.topic === end.topic && at.partition === end.partition && at.offset === end.offset).length === 2)
      if (flow.outbox === 0 && flow.lag === 0 && told) return { flow, ms: performance.now() - began }
      last = `${flow.outbox} in the outbox, ${flow.lag} to settle${told ? '' : ', offsets not committed'}`
    }
    await sleep(200)
  }
  throw new Error(`it did not come to rest within ${withinMs / 1_000} s: ${last}`)
}
