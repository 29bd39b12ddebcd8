/** Asking for replays and shadows over HTTP. Nothing here writes to a sink: a replay is a job of its consumer's. */
import { type Context, Hono } from 'hono'
import * as z from 'zod'
import { topicOf } from '../../../shared/engine/define.ts'
import { codeOf, explain } from '../../../shared/engine/reason.ts'
import { type Problem, problemResponse } from '../../../shared/engine/problem.ts'
import { isKeyedBy } from '../../../shared/events/kept-event.ts'
import { keyShapeOf, keyTextOf } from '../../../shared/mappings/key-text.ts'
import type { Cancellable } from '../../../shared/ports/cancellable.ts'
import type { ReplayJob, ReplayRange } from '../../../shared/ports/replays.ts'
import { qualifiedName, type SourceTable } from '../../../shared/tables/table.ts'
import { isId } from '../dead-letters/filter.ts'
import type { ApiDeps } from '../deps.ts'
import { ACTOR, declined, limitOf, type Read } from '../reading.ts'

const time = z.iso.datetime({ offset: true, error: 'a time is ISO 8601 with its offset, such as 2026-11-22T18:00:00Z' })
const question = z.strictObject({
  into: z.string().min(1),
  table: z.string().min(1).exactOptional(),
  key: z.string().max(100_000).exactOptional(),
  since: time.exactOptional(),
  until: time.exactOptional(),
  shadow: z.boolean().default(false),
  dryRun: z.boolean().default(false),
})
const page = z.strictObject({ limit: limitOf(1_000, 20) })

export const NO_REPLAY: Problem = {
  status: 404,
  slug: 'unknown-job',
  title: 'There is no such replay',
  detail: 'npx afluente replay list shows those there are.',
}

export type ReplayDeps = Pick<ApiDeps, 'fleet' | 'log' | 'pipeline' | 'replays' | 'shadows'>

export function replayRoutes(deps: ReplayDeps): Hono {
  const { log, replays } = deps
  const routes = new Hono()
  const optionsOf = (c: Context) => ({ signal: c.req.raw.signal })

  routes.post('/', async (c) => {
    const asked = question.safeParse(await c.req.json().catch(() => undefined))
    if (!asked.success) return problemResponse(badRequest(asked.error))
    const { dryRun, into, shadow } = asked.data
    const ranges = await rangesOf(asked.data, deps, optionsOf(c))
    if (!ranges.ok) return problemResponse(ranges.problem)
    if (dryRun) {
      const counts = await Promise.all(ranges.value.map(async (range) => ({ table: range.table, events: await replays.count(range, optionsOf(c)) })))
      return c.json({ dryRun: true, tables: counts })
    }
    const jobs: ReplayJob[] = []
    for (const range of ranges.value) {
      const job = await replays.start({ kind: shadow ? 'shadow' : 'replay', consumer: into, range, actor: ACTOR }, optionsOf(c))
      if (job !== null) jobs.push(job)
    }
    const remarks = jobs.length < ranges.value.length ? ['Where a shadow stands already, none was begun.'] : []
    const woken = await wakeFor(into, deps)
    log.info('api.command', { action: shadow ? 'shadow.make' : 'replay.start', jobs: jobs.length, consumer: into })
    return c.json({ dryRun: false, jobs, remarks: woken === null ? remarks : [...remarks, woken] }, 202)
  })

  routes.get('/', async (c) => {
    const query = page.safeParse(c.req.query())
    return query.success ? c.json({ jobs: await replays.list(query.data.limit, optionsOf(c)) }) : problemResponse(badRequest(query.error))
  })
  routes.get('/:id', async (c) => {
    const job = isId(c.req.param('id')) ? await replays.find(c.req.param('id'), optionsOf(c)) : null
    return job === null ? problemResponse(NO_REPLAY) : c.json(job)
  })
  routes.post('/:id/cancel', async (c) => {
    const id = c.req.param('id')
    const job = isId(id) ? await replays.find(id, optionsOf(c)) : null
    if (job === null) return problemResponse(NO_REPLAY)
    if (!(await replays.cancel({ id, actor: ACTOR }, optionsOf(c)))) {
      const why = job.state === 'running' ? 'switches just now, which is done in a moment' : `is ${job.state}`
      return problemResponse({ status: 409, slug: 'job-ended', title: 'The replay can’t be cancelled', detail: `Replay ${id} ${why}. Nothing was done.` })
    }
    log.info('api.command', { action: 'replay.cancel', job: id })
    return c.json(await replays.find(id, optionsOf(c)))
  })
  return routes
}

export function badRequest(error: z.ZodError): Problem {
  const detail = error.issues.map(({ path, message }) => `${path.join('.') || 'the body'}: ${message}`).join('; ')
  return { status: 422, slug: 'invalid-request', title: 'The request can’t be understood', detail }
}

/** The job stands; a consumer that can't be woken finds it with the next minute's sweep. Gives a remark where that needs somebody. */
export async function wakeFor(consumer: string, { fleet, log }: Pick<ReplayDeps, 'fleet' | 'log'>): Promise<string | null> {
  try {
    const stopped = (await fleet.wake(consumer)).find(({ state }) => state === 'stopped')
    return stopped === undefined ? null : `The consumer ${consumer} is stopped: its jobs wait until POST /api/consumers/${consumer}/resume.`
  } catch (error) {
    log.warn('api.not-woken', { consumer, code: codeOf(error), reason: explain(error) })
    return `The consumer ${consumer} could not be woken; it begins with the next minute's sweep.`
  }
}

/** A range for each table that is meant, once everything that is named is there and fits together. */
async function rangesOf(asked: z.infer<typeof question>, deps: ReplayDeps, options: Cancellable): Promise<Read<readonly ReplayRange[]>> {
  const { into, key, shadow, since = null, until = null } = asked
  const consumer = Object.hasOwn(deps.pipeline.consumers, into) ? deps.pipeline.consumers[into] : undefined
  if (consumer === undefined)
    return declined(404, 'unknown-consumer', 'There is no such consumer', `There are: ${Object.keys(deps.pipeline.consumers).join(', ')}.`)
  if (consumer.sink.kind === 'postgres' && !consumer.sink.silver)
    return declined(422, 'no-rows', 'The consumer keeps no rows', `${into} keeps events alone, and has them: there is nothing that a replay could bring.`)
  if (since !== null && until !== null && Date.parse(since) >= Date.parse(until))
    return declined(422, 'empty-range', 'There is no such time', `since ${since} is not before until ${until}.`)
  const tables = tablesOf(asked.table, into, deps)
  if (!tables.ok) return tables
  const [first, ...more] = tables.value
  if (key !== undefined && (first === undefined || more.length > 0))
    return declined(422, 'no-table', 'Of which table is the key?', `Name one: ${tables.value.map(qualifiedName).join(', ')}.`)
  if (key !== undefined && shadow) return declined(422, 'one-key', 'A shadow is of a whole table', 'Leave the key out, or replay it without a shadow.')
  const keyText = first === undefined || key === undefined ? null : keyTextOf(first, key)
  if (first !== undefined && key !== undefined && keyText === null)
    return declined(422, 'no-key', 'That is no key of the table', `${qualifiedName(first)} wants ${keyShapeOf(first)}.`)
  const ranges = tables.value.map((table) => ({ table: qualifiedName(table), key: keyText, since, until }))
  if (shadow) {
    const standing = (await deps.replays.shadows(options)).filter((one) => one.consumer === into && ranges.some(({ table }) => table === one.table))
    if (standing.length > 0)
      return declined(
        409,
        'shadow-there',
        'There is a shadow already',
        `${standing.map(({ table }) => `${into} has one of ${table}`).join(', ')}. Swap or drop it first: npx afluente shadow list. Nothing was done.`,
      )
  }
  for (const [at, range] of ranges.entries()) {
    const table = tables.value[at]
    const strange = (await deps.replays.ends(range, options)).find((event) => table !== undefined && !isKeyedBy(table.key, event))
    if (strange !== undefined && table !== undefined)
      return declined(
        422,
        'other-key',
        'The consumer has another key',
        `Events of ${range.table} in that range (${strange.eventId}) are keyed otherwise than by ${table.key.join(', ')}: they would land beside their rows. Choose a range after the key was changed, or send the rows anew: npx afluente backfill ${table.name}. Nothing was done.`,
      )
  }
  return { ok: true, value: ranges }
}

/** The tables of the consumer whose events somebody keeps. */
export function tablesOf(name: string | undefined, consumer: string, { pipeline }: Pick<ReplayDeps, 'pipeline'>): Read<readonly SourceTable[]> {
  const reads = pipeline.consumers[consumer]?.reads ?? []
  const kept = new Set(Object.values(pipeline.consumers).flatMap(({ sink, reads: topics }) => (sink.kind === 'postgres' && sink.bronze ? topics : [])))
  const read = pipeline.tables.filter((table) => reads.includes(topicOf(table)))
  const wanted = name === undefined ? read : read.filter((table) => table.name === name || qualifiedName(table) === name)
  if (wanted.length === 0) return declined(404, 'unknown-table', 'There is no such table', `${consumer} has ${read.map(qualifiedName).join(', ')}.`)
  const unkept = wanted.filter((table) => !kept.has(topicOf(table)))
  if (unkept.length > 0)
    return declined(422, 'not-kept', 'No events are kept', `No consumer keeps the events of ${unkept.map(qualifiedName).join(', ')} in bronze.`)
  return { ok: true, value: wanted }
}
