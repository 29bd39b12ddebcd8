/** What the Worker answers about replays and shadows. */
import * as z from 'zod'

const text = z.string().nullable()
const count = z.number()

const difference = z.object({
  key: z.string(),
  liveVersion: count.nullable(),
  shadowVersion: count.nullable(),
  columns: z.record(z.string(), z.object({ live: z.unknown(), shadow: z.unknown() })),
})
export type Difference = z.infer<typeof difference>

const differences = z.object({
  live: count,
  shadow: count,
  onlyLive: count,
  onlyShadow: count,
  different: count,
  newer: count,
  samples: z.object({ onlyLive: z.array(difference), onlyShadow: z.array(difference), different: z.array(difference) }),
})
export type Differences = z.infer<typeof differences>

export const jobSchema = z.object({
  id: z.string(),
  kind: z.enum(['replay', 'shadow', 'swap']),
  consumer: z.string(),
  table: z.string(),
  state: z.enum(['running', 'done', 'cancelled']),
  phase: z.enum(['filling', 'comparing', 'following', 'switching']),
  total: count,
  done: count,
  accepted: count,
  duplicate: count,
  late: count,
  failed: count,
  steps: count,
  problem: text,
  report: z.object({
    failures: z.array(z.object({ eventId: z.string(), code: z.string(), message: z.string() })).optional(),
    differences: differences.optional(),
  }),
  createdAt: z.string(),
  finishedAt: text,
})
export type Job = z.infer<typeof jobSchema>
export const jobsSchema = z.object({ jobs: z.array(jobSchema) })

export const begunSchema = z.discriminatedUnion('dryRun', [
  z.object({ dryRun: z.literal(true), tables: z.array(z.object({ table: z.string(), events: count })) }),
  z.object({ dryRun: z.literal(false), jobs: z.array(jobSchema), remarks: z.array(z.string()) }),
])

const shadow = z.object({
  consumer: z.string(),
  table: z.string(),
  live: text,
  shadow: text,
  state: z.enum(['filling', 'ready', 'former']),
  job: z.string(),
  madeAt: z.string(),
})
export type ShadowEntry = z.infer<typeof shadow>
export const shadowsSchema = z.object({ shadows: z.array(shadow.extend({ lastJob: jobSchema.nullable() })) })
export const swapSchema = z.object({ job: jobSchema, remarks: z.array(z.string()) })
export const droppedSchema = z.object({ dropped: shadow })
