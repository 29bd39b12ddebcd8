/** Runs of ETL jobs over HTTP: begun, looked at, cancelled. Nothing here works on one: that is done by the job's own object. */
import { type Context, Hono } from 'hono'
import * as z from 'zod'
import { type Problem, problemResponse } from '../../../shared/engine/problem.ts'
import { codeOf, explain } from '../../../shared/engine/reason.ts'
import type { EtlRun } from '../../../shared/ports/etl-control.ts'
import { runIdOf } from '../../etl/run-id.ts'
import type { ApiDeps } from '../deps.ts'
import { ACTOR, bodyOf } from '../reading.ts'
import { askedOf, isSame, keyOf, otherRequest } from './request.ts'
import { busyProblem, jobNamed, runAddress } from './words.ts'

const PAGE = 20
const MOST = 200
const UUID = /^[0-9a-f]{8}(?:-[0-9a-f]{4}){3}-[0-9a-f]{12}$/

const pageQuery = z.strictObject({
  limit: z.coerce.number().int().min(1).max(MOST).default(PAGE),
  cursor: z.string().regex(UUID, 'a cursor is what `next` said').optional(),
})

export function runRoutes(deps: Pick<ApiDeps, 'etl' | 'log' | 'newId' | 'pipeline' | 'version'>): Hono {
  const { etl, log, newId, pipeline, version } = deps
  const routes = new Hono()
  const optionsOf = (c: Context) => ({ signal: c.req.raw.signal })

  routes.post('/:job/runs', async (c) => {
    const job = jobNamed(pipeline, c.req.param('job'))
    if (!job.ok) return problemResponse(job.problem)
    const [asked, key] = [askedOf(await bodyOf(c)), keyOf(c.req.header('idempotency-key'))]
    if (!asked.ok) return problemResponse(asked.problem)
    if (!key.ok) return problemResponse(key.problem)
    // The same key makes the same id, and an id is one run for ever: nothing has to be remembered beside it.
    const id = key.value === undefined ? newId() : await runIdOf(['asked', job.value, key.value])
    const started = await etl.control.start({ id, job: job.value, ...asked.value, codeVersion: version }, optionsOf(c))
    if (started.status === 'busy') return problemResponse(busyProblem(started.run))
    if (started.status === 'repeated' && !isSame(started.run, asked.value)) return problemResponse(otherRequest(started.run))
    if (started.status === 'started') log.info('api.command', { action: 'etl.run', job: job.value, run: id, load_type: asked.value.loadType })
    const remarks = started.run.status === 'running' ? await hurried(job.value) : []
    c.header('location', runAddress(started.run))
    return c.json({ run: shown(started.run), repeated: started.status === 'repeated', remarks }, 202)
  })

  routes.get('/:job/runs', async (c) => {
    const job = jobNamed(pipeline, c.req.param('job'))
    if (!job.ok) return problemResponse(job.problem)
    const query = pageQuery.safeParse(c.req.query())
    if (!query.success) return problemResponse(invalidPage(query.error))
    const { cursor = null, limit } = query.data
    const found = await etl.control.list({ job: job.value, limit: limit + 1, before: cursor }, optionsOf(c))
    const runs = found.slice(0, limit)
    return c.json({ runs: runs.map(shown), next: found.length > limit ? (runs.at(-1)?.id ?? null) : null })
  })

  routes.get('/:job/runs/:id', async (c) => {
    const found = await runOf(c)
    return found.ok ? c.json(shown(found.value)) : problemResponse(found.problem)
  })

  routes.post('/:job/runs/:id/cancel', async (c) => {
    const found = await runOf(c)
    if (!found.ok) return problemResponse(found.problem)
    const { id, job, status } = found.value
    const asked = status === 'running' ? await etl.control.cancel({ id, actor: ACTOR }, optionsOf(c)) : found.value
    if (asked === null || asked.status !== 'running')
      return problemResponse({ status: 409, slug: 'run-ended', title: 'The run has ended', detail: `It is ${asked?.status ?? status} and can't be cancelled.` })
    log.info('api.command', { action: 'etl.cancel', job, run: id })
    return c.json({ run: shown(asked), remarks: await hurried(job) }, 202)
  })
  return routes

  /** A run of the job that the address names. */
  async function runOf(c: Context) {
    const job = jobNamed(pipeline, c.req.param('job') ?? '')
    if (!job.ok) return job
    const id = c.req.param('id') ?? ''
    const run = UUID.test(id) ? await etl.control.find(id, optionsOf(c)) : null
    return run === null || run.job !== job.value ? ({ ok: false, problem: NO_RUN } as const) : ({ ok: true, value: run } as const)
  }

  /** The run stands; where its object can't be woken it begins with the next minute's sweep. */
  async function hurried(job: string): Promise<readonly string[]> {
    try {
      await etl.objects.hurry(job)
      return []
    } catch (error) {
      log.warn('api.not-woken', { job, code: codeOf(error), reason: explain(error) })
      return [`The job ${job} could not be woken; its run is taken up with the next minute's sweep.`]
    }
  }
}

const NO_RUN: Problem = { status: 404, slug: 'unknown-run', title: 'There is no such run', detail: 'npx afluente etl runs shows those there are.' }

function invalidPage(error: z.ZodError): Problem {
  const detail = error.issues.map(({ message, path }) => `${path.join('.') || 'the query'}: ${message}`).join('; ')
  return { status: 422, slug: 'invalid-request', title: 'The request can’t be understood', detail }
}

function shown(run: EtlRun) {
  return { ...run, url: runAddress(run) }
}
