/** ETL jobs over HTTP: what they are, how they are, and their watermarks. */
import { type Context, Hono } from 'hono'
import * as z from 'zod'
import { definitionHash } from '../../../shared/engine/etl-definition.ts'
import { problemResponse } from '../../../shared/engine/problem.ts'
import type { Cancellable } from '../../../shared/ports/cancellable.ts'
import { type Answer, ask } from '../asking.ts'
import type { ApiDeps } from '../deps.ts'
import { ACTOR, bodyOf } from '../reading.ts'
import { type EtlSurvey, etlSurvey } from './health.ts'
import { busyProblem, jobNamed } from './words.ts'

const watermarkBody = z.strictObject({ to: z.string().min(1).max(64) })

/** Every job of the definition with its judgement. Throws where the control tables do not answer. */
export async function surveyEtl({ clock, etl, pipeline }: Pick<ApiDeps, 'clock' | 'etl' | 'pipeline'>, options: Cancellable): Promise<readonly EtlSurvey[]> {
  const jobs = Object.entries(pipeline.etl ?? {})
  if (jobs.length === 0) return []
  const names = jobs.map(([name]) => name)
  const [states, ...objects] = await Promise.all([etl.control.states(names, options), ...names.map((name) => ask(() => etl.objects.status(name), clock))])
  const now = clock.now()
  return await Promise.all(
    jobs.flatMap(([, definition], at) => {
      const [state, object] = [states[at], objects[at]]
      if (state === undefined) return []
      const sinceMs = object?.ok === true ? Date.parse(object.value.since) : null
      return [definitionHash(definition).then((hash) => etlSurvey({ definition, state, sinceMs, hash, now }))]
    }),
  )
}

/** The same, never thrown. */
export function askEtl(deps: Pick<ApiDeps, 'clock' | 'etl' | 'pipeline'>): Promise<Answer<readonly EtlSurvey[]>> {
  return ask((options) => surveyEtl(deps, options), deps.clock)
}

export function jobRoutes(deps: Pick<ApiDeps, 'clock' | 'etl' | 'log' | 'pipeline'>): Hono {
  const { etl, log, pipeline } = deps
  const routes = new Hono()
  const optionsOf = (c: Context) => ({ signal: c.req.raw.signal })

  routes.get('/', async (c) => {
    const jobs = await surveyEtl(deps, optionsOf(c))
    return c.json({ at: new Date(deps.clock.now()).toISOString(), ok: jobs.every(({ ok }) => ok), jobs })
  })

  routes.get('/:job', async (c) => {
    const job = jobNamed(pipeline, c.req.param('job'))
    if (!job.ok) return problemResponse(job.problem)
    return c.json((await surveyEtl(deps, optionsOf(c))).find((one) => one.job === job.value))
  })

  routes.get('/:job/watermark', async (c) => {
    const job = jobNamed(pipeline, c.req.param('job'))
    if (!job.ok) return problemResponse(job.problem)
    const [state] = await etl.control.states([job.value], optionsOf(c))
    return c.json({ job: job.value, watermark: state?.watermark ?? null, provenUntil: state?.provenUntil ?? null })
  })

  routes.put('/:job/watermark', async (c) => {
    const job = jobNamed(pipeline, c.req.param('job'))
    if (!job.ok) return problemResponse(job.problem)
    const body = watermarkBody.safeParse(await bodyOf(c))
    if (!body.success)
      return problemResponse({ status: 422, slug: 'invalid-request', title: 'The request can’t be understood', detail: 'Send {"to": "2026-11-29T03:00:00Z"}.' })
    const set = await etl.control.setWatermark({ job: job.value, to: body.data.to, actor: ACTOR }, optionsOf(c))
    if (set.status === 'busy') return problemResponse(busyProblem(set.run))
    if (set.status === 'refused')
      return problemResponse({ status: 422, slug: 'watermark-refused', title: 'The watermark can’t be set', detail: `${set.reason} Nothing was changed.` })
    log.info('api.command', { action: 'etl.watermark', job: job.value, before: set.before, after: set.after })
    return c.json({ job: job.value, before: set.before, after: set.after })
  })
  return routes
}
