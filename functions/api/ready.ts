/** Is every part there? Each is asked at once, and none is waited for longer than two seconds. */
import { ask } from './asking.ts'
import type { ApiDeps } from './deps.ts'

export interface Readiness {
  readonly ok: boolean
  readonly parts: readonly { readonly name: string; readonly ok: boolean; readonly latencyMs: number; readonly reason: string | null }[]
}

/** A consumer counts as down while it waits or is halted; one that rests or that an operator stopped does as it was told. */
export async function readiness({ probes, fleet, pipeline, clock }: Pick<ApiDeps, 'probes' | 'fleet' | 'pipeline' | 'clock'>): Promise<Readiness> {
  const looks = probes.map(async ({ name, look }) => {
    const answer = await ask(look, clock)
    return { name, ok: answer.ok, latencyMs: answer.latencyMs, reason: answer.ok ? null : answer.reason }
  })
  const consumers = Object.keys(pipeline.consumers).map(async (consumer) => {
    const name = `consumer ${consumer}`
    const answer = await ask(() => fleet.status(consumer), clock)
    if (!answer.ok) return { name, ok: false, latencyMs: answer.latencyMs, reason: answer.reason }
    const ill = answer.value.filter(({ state }) => state === 'waiting' || state === 'halted')
    return {
      name,
      ok: ill.length === 0,
      latencyMs: answer.latencyMs,
      reason: ill.length === 0 ? null : ill.map(({ instance, state, reason }) => `instance ${instance} is ${state}: ${reason}`).join(' '),
    }
  })
  const parts = await Promise.all([...looks, ...consumers])
  return { ok: parts.every(({ ok }) => ok), parts }
}
