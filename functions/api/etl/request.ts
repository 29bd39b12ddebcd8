/** What a request for a run says, read and checked. */
import * as z from 'zod'
import type { Problem } from '../../../shared/engine/problem.ts'
import type { EtlRequest, EtlRun } from '../../../shared/ports/etl-control.ts'
import { declined, type Read } from '../reading.ts'

const time = z.iso.datetime({ offset: true, error: 'a time is ISO 8601 with its offset, such as 2026-11-29T03:00:00Z' })

const runBody = z.strictObject({
  full: z.boolean().default(false),
  reconcile: z.boolean().default(false),
  from: time.exactOptional(),
  to: time.exactOptional(),
  dryRun: z.boolean().default(false),
  acceptDeletes: z.boolean().default(false),
  /** A person at the command line, or a program. */
  triggeredBy: z.enum(['api', 'manual']).default('api'),
})

export type Asked = Pick<EtlRequest, 'loadType' | 'triggeredBy' | 'from' | 'to' | 'dryRun' | 'acceptDeletes'>

/** Everything that is wrong is told; nothing that contradicts itself is guessed at. */
export function askedOf(body: unknown): Read<Asked> {
  const parsed = runBody.safeParse(body)
  if (!parsed.success) {
    const faults = parsed.error.issues.map(({ message, path }) => `${path.join('.') || 'the body'}: ${message}`)
    return declined(
      422,
      'invalid-request',
      'The request can’t be understood',
      `${faults.join('; ')}. There are full, reconcile, from, to, dryRun, acceptDeletes, triggeredBy.`,
    )
  }
  const { acceptDeletes, dryRun, from = null, full, reconcile, to = null, triggeredBy } = parsed.data
  const spans = from !== null || to !== null
  if ([full, reconcile, spans].filter(Boolean).length > 1)
    return declined(422, 'contradiction', 'The request contradicts itself', 'One of: full, reconcile, a span (from, to).')
  if (from !== null && to !== null && microseconds(from) > microseconds(to))
    return declined(422, 'invalid-span', 'The span ends before it begins', `from is ${from}, to is ${to}.`)
  const loadType = full ? 'full' : reconcile ? 'reconcile' : spans ? 'backfill' : 'incremental'
  return { ok: true, value: { loadType, triggeredBy, from, to, dryRun, acceptDeletes } }
}

const KEY = /^[\x21-\x7e]{1,255}$/

/** The header Idempotency-Key; undefined where there is none. */
export function keyOf(header: string | undefined): Read<string | undefined> {
  if (header === undefined || KEY.test(header)) return { ok: true, value: header }
  return declined(422, 'invalid-key', 'The Idempotency-Key can’t be taken', 'It is 1 to 255 ASCII characters without spaces, such as a uuid.')
}

/** Whether a run is what is asked for, so that the same key may answer with it. The first incremental run of a job is a full one. */
export function isSame(run: EtlRun, asked: Asked): boolean {
  const isFirst = asked.loadType === 'incremental' && run.loadType === 'full' && run.watermarkStart === null
  return (
    (run.loadType === asked.loadType || isFirst) &&
    run.dryRun === asked.dryRun &&
    run.acceptDeletes === (asked.acceptDeletes ?? false) &&
    isSameTime(run.from, asked.from) &&
    isSameTime(run.to, asked.to)
  )
}

export function otherRequest(run: EtlRun): Problem {
  return {
    status: 422,
    slug: 'key-reused',
    title: 'The Idempotency-Key was used for another request',
    detail: `It began run ${run.id} (${run.loadType}), which asked for something else. Take a new key for a new request. Nothing was begun.`,
  }
}

function isSameTime(a: string | null, b: string | null): boolean {
  return a === null || b === null ? a === b : microseconds(a) === microseconds(b)
}

/** Since 1970; a Date alone would cut them to milliseconds. */
function microseconds(text: string): bigint {
  const fraction = /\.(\d+)/.exec(text)?.[1] ?? ''
  return BigInt(Date.parse(text.replace(/\.\d+/, ''))) * 1_000n + BigInt(fraction.padEnd(6, '0').slice(0, 6))
}
