/** The one Worker: HTTP, cron and the Durable Objects that deliver and load. Wiring only. */
import { createApi } from './api/handler.ts'
import { misconfiguredApi } from './api/misconfigured.ts'
import { sweep } from './cron/handler.ts'
import { apiDeps, cronDeps, runtime, soundSettings } from './deps.ts'
import type { Env } from './environment.ts'

export { Deliver } from './deliver/durable-object.ts'
export { Etl } from './etl/durable-object.ts'

/** A cron tick that takes longer has met something that hangs; the next one looks again. */
const SWEEP_BUDGET_MS = 25_000

export default {
  async fetch(request, env, ctx) {
    const settings = attempt(() => soundSettings(env))
    if (!settings.ok) return misconfiguredApi(settings.error).fetch(request)
    const deps = apiDeps(env, settings.value)
    try {
      return await createApi(deps).fetch(request)
    } finally {
      ctx.waitUntil(deps.close())
    }
  },
  async scheduled(_controller, env) {
    const settings = attempt(() => soundSettings(env))
    if (settings.ok) await sweep(cronDeps(env, settings.value), { signal: AbortSignal.timeout(SWEEP_BUDGET_MS) })
    else runtime({ function: 'cron' }).log.error('cron.misconfigured', { reason: settings.error instanceof Error ? settings.error.message : 'unknown' })
  },
} satisfies ExportedHandler<Env>

function attempt<T>(work: () => T): { readonly ok: true; readonly value: T } | { readonly ok: false; readonly error: unknown } {
  try {
    return { ok: true, value: work() }
  } catch (error) {
    return { ok: false, error }
  }
}
