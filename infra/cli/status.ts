import * as z from 'zod'
import { readArguments } from './arguments.ts'
import { jobSchema } from './etl/answers.ts'
import { statusLines } from './status-lines.ts'
import { EXIT, type Verb, WrongUse } from './verb.ts'
import { findWorker } from './worker-api.ts'

const readySchema = z.object({
  ok: z.boolean(),
  parts: z.array(z.object({ name: z.string(), ok: z.boolean(), latencyMs: z.number(), reason: z.string().nullable() })),
  reconciled: z
    .array(z.object({ table: z.string(), ok: z.boolean(), verdict: z.string() }))
    .nullable()
    .default(null),
})

const counters = z.object({ consumed: z.number(), accepted: z.number(), duplicate: z.number(), late: z.number(), dead: z.number() })
const statusSchema = z.object({
  at: z.string(),
  version: z.string(),
  environment: z.string(),
  consumers: z.array(z.object({ name: z.string(), state: z.string(), reason: z.string(), lag: z.number().nullable(), counters: counters.nullable() })),
  outbox: z
    .object({
      rows: z.number(),
      oldestMs: z.number().nullable(),
      failures: z.number(),
      refused: z.string().nullable(),
      keeps: z.enum(['images', 'keys', 'nothing']),
      tables: z.array(
        z.object({
          table: z.string(),
          failures: z.number(),
          problem: z.string().nullable(),
          reconcileSince: z.string().nullable(),
          keysOnlySince: z.string().nullable(),
        }),
      ),
    })
    .nullable(),
  deadLetters: z.array(z.object({ consumer: z.string(), state: z.string(), letters: z.number() })).nullable(),
  purges: z
    .array(
      z.object({
        consumer: z.string(),
        table: z.string(),
        before: z.string().nullable(),
        heldBack: z.array(z.string()),
        lookedAt: z.string().nullable(),
        purged: z.number(),
      }),
    )
    .nullable(),
  etl: z.array(jobSchema).nullable(),
  latency: z.object({ events: z.number(), p50Ms: z.number().nullable(), p99Ms: z.number().nullable() }).nullable(),
  faults: z.array(z.object({ part: z.string(), reason: z.string() })),
})

export type Readiness = z.infer<typeof readySchema>
export type Status = z.infer<typeof statusSchema>

/** The oldest change may wait that long before the status calls it a fault: a sweep comes each minute at the latest. */
const OLDEST_CHANGE_MS = 90_000

export const status: Verb = {
  summary: 'what runs, how far behind it is, and what is wrong',
  usage:
    'npx afluente status [--json] [--url https://…]\n\nExit 0 when all is well, 1 when something is wrong. --url names a deployed Worker and wants AFLUENTE_API_TOKEN.',
  async run({ args, env, out }) {
    const { json, url } = options(args)
    const worker = findWorker(url, env)
    const [ready, status] = await Promise.all([worker.get('/ready', readySchema, [503]), worker.get('/api/status', statusSchema)])
    const faults = faultsOf(ready, status)
    if (json) out(JSON.stringify({ ok: faults.length === 0, worker: worker.url, ...status, parts: ready.parts, reconciled: ready.reconciled, faults }, null, 2))
    else for (const line of statusLines({ worker: worker.url, ready, status, faults })) out(line)
    return faults.length === 0 ? EXIT.well : EXIT.fault
  },
}

/** What somebody has to look at, in words. Dead letters are shown, but the stream goes on: they are no fault of it. */
export function faultsOf(ready: Readiness, { consumers, etl, outbox, faults }: Status): readonly string[] {
  const told = ready.parts.filter((part) => !part.ok).map(({ name, reason }) => `${name}: ${reason ?? 'does not answer'}`)
  const asked = faults.filter(({ part }) => !ready.parts.some(({ name, ok }) => name === part && !ok)).map(({ part, reason }) => `${part}: ${reason}`)
  const stopped = consumers
    .filter(({ state }) => state === 'stopped')
    .map(({ name }) => `consumer ${name}: an operator stopped it; POST /api/consumers/${name}/resume starts it again`)
  const tables = (outbox?.tables ?? []).flatMap(({ table, failures, problem }) => [
    ...(problem === null ? [] : [`${table}: ${problem}`]),
    ...(failures === 0 ? [] : [`${table}: ${failures} change(s) could not be captured; the table is marked for reconciliation`]),
  ])
  const old = outbox?.oldestMs ?? 0
  const waiting =
    old > OLDEST_CHANGE_MS ? [`outbox: its oldest change has waited ${Math.round(old / 1_000)} s; see that the function capture runs and reaches Kafka`] : []
  // /ready tells both as well, unless it asked a moment earlier.
  const standing =
    outbox === null || ready.parts.some(({ name, ok }) => name === 'supabase' && !ok)
      ? []
      : [...(outbox.refused === null ? [] : [`outbox: capture stands still: ${outbox.refused}`]), ...budgetFaults(outbox.keeps)]
  const copies = (ready.reconciled ?? []).flatMap(({ ok, table, verdict }) =>
    ok ? [] : [`${table}: ${verdict}; npx afluente reconcile ${table} looks again, with --repair it mends`],
  )
  const jobs = (etl ?? []).flatMap(({ faults: wrong, job }) => wrong.map(({ hint, problem }) => `etl ${job}: ${problem} · ${hint}`))
  return [...told, ...asked, ...stopped, ...tables, ...standing, ...waiting, ...copies, ...jobs]
}

function budgetFaults(keeps: NonNullable<Status['outbox']>['keeps']): readonly string[] {
  if (keeps === 'images') return []
  const left = keeps === 'keys' ? 'the keys of new changes alone' : 'nothing of new changes'
  return [`outbox: it is above its budget and keeps ${left}; see that the function capture runs and reaches Kafka`]
}

function options(args: readonly string[]): { readonly json: boolean; readonly url: string | undefined } {
  const { positionals, values } = readArguments(args, { json: { type: 'boolean' }, url: { type: 'string' } })
  if (positionals.length > 0) throw new WrongUse(`status takes nothing; '${positionals.join(' ')}' is too much`)
  if (values.url !== undefined && !URL.canParse(values.url)) throw new WrongUse('--url is no URL')
  return { json: values.json === true, url: values.url }
}
