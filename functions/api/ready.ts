/** Is every part there? Each is asked at once, and none is waited for longer than two seconds. */
import { isClean, verdictText } from '../../shared/engine/reconcile-verdict.ts'
import { AfluenteError } from '../../shared/engine/errors.ts'
import type { Verdict } from '../../shared/ports/reconciliations.ts'
import type { Keeps, Outbox } from '../../shared/ports/outbox.ts'
import { ask } from './asking.ts'
import type { ApiDeps, Probe } from './deps.ts'
import { askEtl } from './etl/jobs.ts'

export interface Readiness {
  readonly ok: boolean
  /** `reason` says why a part is down; of one that is well it is a remark. */
  readonly parts: readonly { readonly name: string; readonly ok: boolean; readonly latencyMs: number; readonly reason: string | null }[]
  /** Whether the copies are right, as of the last reconcile of each table; null where the analytics database did not answer. A wrong copy is no part that is down. */
  readonly reconciled: readonly Reconciled[] | null
  /** The same of ETL jobs: one that failed or is overdue makes a copy old, and is no part that is down. Null where nobody knows. */
  readonly etl: readonly EtlReadiness[] | null
}

export interface EtlReadiness {
  readonly job: string
  readonly ok: boolean
  /** What is wrong, and what to do. */
  readonly reason: string | null
}

export interface Reconciled {
  /** `<schema>.<table>` */
  readonly table: string
  readonly ok: boolean
  /** `0 missing, 0 different, 0 extra of 1 000 000, as of 12:03:11`; and that a later one failed, which says nothing of the copies. */
  readonly verdict: string
}

/** A consumer counts as down while it waits or is halted; one that rests or that an operator stopped does as it was told. */
export async function readiness(deps: Pick<ApiDeps, 'probes' | 'fleet' | 'pipeline' | 'clock' | 'etl' | 'reconciliations'>): Promise<Readiness> {
  const { clock, fleet, pipeline, probes, reconciliations } = deps
  const verdicts = ask((options) => reconciliations.latest(options), clock)
  const looks = probes.map(async ({ name, look }) => {
    const answer = await ask(look, clock)
    return { name, ok: answer.ok, latencyMs: answer.latencyMs, reason: answer.ok ? remark(answer.value) : answer.reason }
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
  const jobs = etlOf(deps)
  const parts = await Promise.all([...looks, ...consumers])
  const found = await verdicts
  const reconciled = found.ok ? found.value.map((verdict) => reconciledOf(verdict, clock.now())) : null
  return { ok: parts.every(({ ok }) => ok), parts, reconciled, etl: await jobs }
}

function reconciledOf({ outcome, problem, table }: Verdict, nowMs: number): Reconciled {
  const failed = problem === null ? [] : [`the last reconcile failed: ${problem}`]
  return {
    table,
    ok: outcome === null || isClean(outcome),
    verdict: [...(outcome === null ? [] : [verdictText(outcome, nowMs)]), ...failed].join('; '),
  }
}

/** A job is not well when its last run failed, when it is overdue or held up, and when its table was filled by another definition. */
async function etlOf(deps: Pick<ApiDeps, 'clock' | 'etl' | 'pipeline'>): Promise<Readiness['etl']> {
  if (Object.keys(deps.pipeline.etl ?? {}).length === 0) return []
  const answer = await askEtl(deps)
  if (!answer.ok) return null
  return answer.value.map(({ faults, job, ok }) => ({ job, ok, reason: ok ? null : faults.map(({ hint, problem }) => `${problem} · ${hint}`).join(' · ') }))
}

const REMARKS = {
  images: null,
  keys: 'The outbox is above its budget and keeps the keys of new changes alone: the present rows will arrive, what they were in between will not.',
  nothing: 'The outbox is far above its budget and keeps nothing of new changes: their tables are marked for reconciliation.',
} as const satisfies Readonly<Record<Keeps, string | null>>

/** The source database: it answers, and its outbox may be read. */
export function sourceProbe(outbox: Pick<Outbox, 'backlog'>): Probe {
  return {
    name: 'supabase',
    look: async (options) => {
      const { keeps, refused } = await outbox.backlog(options)
      if (refused !== null) throw new AfluenteError('misconfigured', 'refused', `Capture stands still: ${refused}`)
      if (keeps === 'nothing') throw new AfluenteError('unavailable', 'outbox-full', REMARKS.nothing)
      return REMARKS[keeps]
    },
  }
}

function remark(value: unknown): string | null {
  return typeof value === 'string' ? value : null
}
