/** What the Worker answers about ETL jobs. */
import * as z from 'zod'

const text = z.string().nullable()

export const runSchema = z.object({
  id: z.string(),
  job: z.string(),
  loadType: z.string(),
  triggeredBy: z.string(),
  status: z.enum(['running', 'success', 'failed', 'cancelled']),
  startedAt: z.string(),
  completedAt: text,
  durationSeconds: z.number().nullable(),
  watermarkStart: text,
  watermarkEnd: text,
  from: text,
  to: text,
  dryRun: z.boolean(),
  cancelAsked: z.boolean(),
  extracted: z.number(),
  inserted: z.number(),
  updated: z.number(),
  unchanged: z.number(),
  deleted: z.number(),
  rejected: z.number(),
  caughtByOverlap: z.number(),
  caughtByReconcile: z.number(),
  unknownWords: z.number(),
  pages: z.number(),
  seen: z.number(),
  expected: z.number().nullable(),
  attempt: z.number(),
  error: text,
  errorTraceback: text,
  retryAt: text,
  codeVersion: text,
})
export type Run = z.infer<typeof runSchema>

export const begunSchema = z.object({ run: runSchema, remarks: z.array(z.string()) })
export const runsSchema = z.object({ runs: z.array(runSchema), next: text })
/** Or the problem, where no run of this job has the id. */
export const foundSchema = z.union([runSchema, z.object({ type: z.literal('urn:afluente:problem:unknown-run') })])

const planned = z.object({ cron: z.string(), timeZone: z.string(), next: z.array(z.string()) }).nullable()

export const jobSchema = z.object({
  job: z.string(),
  source: z.string(),
  into: z.string(),
  schedule: planned,
  reconcile: planned,
  watermark: text,
  running: runSchema.nullable(),
  last: runSchema.nullable(),
  lastSuccess: runSchema.nullable(),
  ok: z.boolean(),
  faults: z.array(z.object({ problem: z.string(), hint: z.string() })),
})
export type Job = z.infer<typeof jobSchema>
export const jobsSchema = z.object({ at: z.string(), ok: z.boolean(), jobs: z.array(jobSchema) })

export const watermarkSchema = z.object({ job: z.string(), watermark: text, provenUntil: text })
export const setSchema = z.object({ job: z.string(), before: text, after: z.string() })
