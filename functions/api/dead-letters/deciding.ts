/** Deciding about dead letters over HTTP: redrive, edit, discard. Nothing here writes to a sink: a redrive is a job of its consumer's. */
import { type Context, Hono } from 'hono'
import * as z from 'zod'
import { codeOf, explain } from '../../../shared/engine/reason.ts'
import { type Problem, problemResponse } from '../../../shared/engine/problem.ts'
import { statesFor } from '../../../shared/events/dead-letter.ts'
import type { LetterFilter } from '../../../shared/ports/letters.ts'
import type { ApiDeps } from '../deps.ts'
import { ACTOR, bodyOf, declined } from '../reading.ts'
import { createEdit } from './edit.ts'
import { filterShape, isId, knownFilter, MOST_IDS, NO_JOB, NO_LETTER, readAs } from './filter.ts'

const DISCARD_STEP = 5_000
/** A request of the command line waits ten seconds. */
const DISCARD_BUDGET_MS = 6_000

const dryRun = z.boolean().default(false)
const redriveBody = z.strictObject({ ...filterShape, dryRun })
const WHY = 'say why, for whoever looks later'
const discardBody = z.strictObject({ ...filterShape, dryRun, reason: z.string(WHY).trim().min(1, WHY).max(2_000) })
const editBody = z.strictObject({ value: z.string('the whole new event, as text').max(1_000_000), dryRun })

export function decidingRoutes(deps: Pick<ApiDeps, 'clock' | 'fleet' | 'letters' | 'log' | 'operations' | 'pipeline' | 'redrives' | 'send'>): Hono {
  const { clock, fleet, letters, log, pipeline, redrives } = deps
  const routes = new Hono()
  const edit = createEdit(deps)
  const optionsOf = (c: Context) => ({ signal: c.req.raw.signal })

  routes.post('/redrive', async (c) => {
    const body = readAs(redriveBody, await bodyOf(c))
    if (!body.ok) return problemResponse(body.problem)
    const { dryRun: counting, ...given } = body.value
    const options = optionsOf(c)
    const filter = await openFilter(given, 'redrive', options)
    if (!filter.ok) return problemResponse(filter.problem)
    const consumers = Object.keys(pipeline.consumers)
    const other = (await consumersNamed(given, options)).find((consumer) => !consumers.includes(consumer))
    if (other !== undefined) return problemResponse(nobodyFor(other, Object.keys(pipeline.etl ?? {})))
    if (counting) {
      const counts = (await letters.count(filter.value, options)).filter(
        ({ consumer, state }) => consumers.includes(consumer) && statesFor('redrive').includes(state),
      )
      return c.json({ dryRun: true, letters: sum(counts), consumers: counts.map(({ consumer, letters: n }) => ({ consumer, letters: n })) })
    }
    const jobs = await redrives.start({ filter: filter.value, consumers, actor: ACTOR }, options)
    const woken = await Promise.all(jobs.map(({ consumer }) => wake(consumer)))
    log.info('api.command', { action: 'dead-letter.redrive', jobs: jobs.length, letters: jobs.reduce((total, job) => total + job.total, 0) })
    return c.json({ dryRun: false, jobs, remarks: woken.flatMap((remark) => (remark === null ? [] : [remark])) }, 202)
  })

  routes.post('/discard', async (c) => {
    const body = readAs(discardBody, await bodyOf(c))
    if (!body.ok) return problemResponse(body.problem)
    const { dryRun: counting, reason, ...given } = body.value
    const options = optionsOf(c)
    if (Object.keys(given).length === 0)
      return problemResponse(
        declined(422, 'no-filter', 'Which letters?', 'Discarding wants ids or a filter: a letter that was discarded never comes back.').problem,
      )
    const filter = await openFilter(given, 'discard', options)
    if (!filter.ok) return problemResponse(filter.problem)
    const left = async () => sum((await letters.count(filter.value, options)).filter(({ state }) => statesFor('discard').includes(state)))
    if (counting) return c.json({ dryRun: true, letters: await left() })
    const until = clock.now() + DISCARD_BUDGET_MS
    let discarded = 0
    for (let step = -1; step !== 0 && clock.now() < until; discarded += step)
      step = await letters.discard({ filter: filter.value, reason, limit: DISCARD_STEP, actor: ACTOR }, options)
    log.info('api.command', { action: 'dead-letter.discard', letters: discarded })
    return c.json({ dryRun: false, discarded, left: await left() })
  })

  routes.post('/jobs/:id/cancel', async (c) => {
    const id = c.req.param('id')
    const job = isId(id) ? await redrives.find(id, optionsOf(c)) : null
    if (job === null) return problemResponse(NO_JOB)
    if (!(await redrives.cancel({ id, actor: ACTOR }, optionsOf(c))))
      return problemResponse({ status: 409, slug: 'job-ended', title: 'The redrive has ended', detail: `It is ${job.state} and can't be cancelled.` })
    log.info('api.command', { action: 'redrive.cancel', job: id })
    return c.json(await redrives.find(id, optionsOf(c)))
  })

  routes.post('/:id/edit', async (c) => {
    const body = readAs(editBody, await bodyOf(c))
    if (!body.ok) return problemResponse(body.problem)
    const letter = isId(c.req.param('id')) ? await letters.find(c.req.param('id'), optionsOf(c)) : null
    if (letter === null) return problemResponse(NO_LETTER)
    const edited = await edit({ letter, value: body.value.value, dryRun: body.value.dryRun, actor: ACTOR }, optionsOf(c))
    return edited.ok ? c.json(edited.value) : problemResponse(edited.problem)
  })
  return routes

  /** A filter for what waits: letters named by id must wait, all of them. */
  async function openFilter(given: LetterFilter, action: 'redrive' | 'discard', options: { readonly signal: AbortSignal }) {
    if (given.state !== undefined && !statesFor(action).includes(given.state))
      return declined(422, 'wrong-state', `No letter that is ${given.state} can be ${PAST[action]}`, `Those that are ${statesFor(action).join(' or ')} can.`)
    const filter = await knownFilter(deps, given, options)
    if (!filter.ok || given.ids === undefined) return filter
    const ended = (await letters.list({ filter: { ids: given.ids }, limit: MOST_IDS, after: null }, options)).letters.filter(
      ({ state }) => !statesFor(action).includes(state),
    )
    if (ended.length === 0) return filter
    return declined(
      409,
      'wrong-state',
      `Not all of them can be ${PAST[action]}`,
      `${ended.map(({ id, state }) => `${id} is ${state}`).join(', ')}. Nothing was done.`,
    )
  }

  /** Whose letters somebody means, where he says so. */
  async function consumersNamed({ consumer, ids }: LetterFilter, options: { readonly signal: AbortSignal }): Promise<readonly string[]> {
    if (ids === undefined) return consumer === undefined ? [] : [consumer]
    return (await letters.list({ filter: { ids }, limit: MOST_IDS, after: null }, options)).letters.map((letter) => letter.consumer)
  }

  /** The job stands; a consumer that can't be woken finds it with the next minute's sweep. Gives a remark where that needs somebody. */
  async function wake(consumer: string): Promise<string | null> {
    try {
      const stopped = (await fleet.wake(consumer)).find(({ state }) => state === 'stopped')
      return stopped === undefined ? null : `The consumer ${consumer} is stopped: its letters wait until POST /api/consumers/${consumer}/resume.`
    } catch (error) {
      log.warn('api.not-woken', { consumer, code: codeOf(error), reason: explain(error) })
      return `The consumer ${consumer} could not be woken; it begins with the next minute's sweep.`
    }
  }
}

const PAST = { redrive: 'redriven', discard: 'discarded' } as const

/** A row that a job rejected comes again by itself; of a consumer that is gone nothing does. */
function nobodyFor(consumer: string, jobs: readonly string[]): Problem {
  const job = jobs.find((name) => consumer === `etl.${name}`)
  if (job === undefined)
    return {
      status: 409,
      slug: 'consumer-gone',
      title: 'The consumer is no longer defined',
      detail: `${consumer} has letters, and nobody who could redrive them. Define it again, or discard them.`,
    }
  return {
    status: 409,
    slug: 'row-of-a-job',
    title: 'A row of an ETL job is read again, not redriven',
    detail: `Mend it in the source of ${job}: the run that reads it then resolves its letter, and npx afluente etl reconcile ${job} reads it at once. Nothing was done.`,
  }
}

function sum(counts: readonly { readonly letters: number }[]): number {
  return counts.reduce((total, { letters }) => total + letters, 0)
}
