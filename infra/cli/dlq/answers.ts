/** What the Worker answers about dead letters. */
import * as z from 'zod'

const text = z.string().nullable()

const summary = z.object({
  id: z.string(),
  consumer: z.string(),
  topic: z.string(),
  partition: z.number(),
  offset: z.string(),
  eventId: z.string(),
  table: text,
  key: text,
  code: z.string(),
  message: z.string(),
  fingerprint: z.string(),
  attempts: z.number(),
  firstSeen: z.string(),
  lastSeen: z.string(),
  state: z.string(),
  job: text,
  reason: text,
  replacedBy: text,
  endedAt: text,
})
export type Summary = z.infer<typeof summary>

export const pageSchema = z.object({ letters: z.array(summary), next: text })

const group = z.object({
  fingerprint: z.string(),
  consumer: z.string(),
  table: text,
  code: z.string(),
  message: z.string(),
  letters: z.number(),
  firstSeen: z.string(),
  lastSeen: z.string(),
})
export type Group = z.infer<typeof group>
export const groupsSchema = z.object({ groups: z.array(group) })

export const letterSchema = summary.extend({ revealed: z.boolean(), value: z.unknown(), headers: z.record(z.string(), z.string()), publishedAt: text })
export type Whole = z.infer<typeof letterSchema>
export const exportSchema = z.object({ letters: z.array(letterSchema), next: text })

export const jobSchema = z.object({
  id: z.string(),
  consumer: z.string(),
  state: z.enum(['running', 'done', 'cancelled']),
  total: z.number(),
  done: z.number(),
  accepted: z.number(),
  duplicate: z.number(),
  late: z.number(),
  failed: z.number(),
  problem: text,
  createdAt: z.string(),
  finishedAt: text,
})
export type Job = z.infer<typeof jobSchema>
export const jobsSchema = z.object({ jobs: z.array(jobSchema) })

export const redriveSchema = z.discriminatedUnion('dryRun', [
  z.object({ dryRun: z.literal(true), letters: z.number(), consumers: z.array(z.object({ consumer: z.string(), letters: z.number() })) }),
  z.object({ dryRun: z.literal(false), jobs: z.array(jobSchema), remarks: z.array(z.string()) }),
])

export const discardSchema = z.discriminatedUnion('dryRun', [
  z.object({ dryRun: z.literal(true), letters: z.number() }),
  z.object({ dryRun: z.literal(false), discarded: z.number(), left: z.number() }),
])

export const editedSchema = z.object({
  dryRun: z.boolean(),
  replaces: z.string(),
  eventId: z.string(),
  differences: z.array(z.object({ path: z.string(), before: text, after: text })),
})
