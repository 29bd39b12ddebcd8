/** The HTTP side: somebody asks. Knows no runtime. */
import { type Context, Hono } from 'hono'
import { bodyLimit } from 'hono/body-limit'
import { isAfluenteError } from '../../shared/engine/errors.ts'
import { codeOf, explain } from '../../shared/engine/reason.ts'
import { problemResponse } from '../../shared/engine/problem.ts'
import { bearerOf, isSameSecret } from '../../shared/engine/secret.ts'
import { ask } from './asking.ts'
import { decidingRoutes } from './dead-letters/deciding.ts'
import { lookingRoutes } from './dead-letters/looking.ts'
import type { ApiDeps, Fleet } from './deps.ts'
import { jobRoutes } from './etl/jobs.ts'
import { runRoutes } from './etl/runs.ts'
import { metricsText } from './metrics.ts'
import { readiness } from './ready.ts'
import { replayRoutes } from './replays/asking.ts'
import { shadowRoutes } from './replays/shadows.ts'
import { summaryOf, survey } from './survey.ts'
import { traceRoute } from './trace.ts'

const MAX_BODY_BYTES = 1024 * 1024
const LATENCY_WINDOW_MS = 60_000

/** Everything but /health wants the operator's token. Errors are problem+json; none shows a stack. */
export function createApi(deps: ApiDeps): Hono {
  const api = new Hono()
  const { clock, log, pipeline } = deps

  api.get('/health', (c) => c.json({ ok: true }))

  api.use(async (c, next) => {
    if (!(await isSameSecret(bearerOf(c.req.header('authorization')), deps.token))) {
      return problemResponse({
        status: 401,
        slug: 'unauthorized',
        title: 'The token is missing or wrong',
        detail: 'Send the header Authorization: Bearer <AFLUENTE_API_TOKEN>.',
        headers: { 'www-authenticate': 'Bearer' },
      })
    }
    return next()
  })
  api.use(
    bodyLimit({
      maxSize: MAX_BODY_BYTES,
      onError: () => problemResponse({ status: 413, slug: 'too-large', title: 'The body is too large', detail: `At most ${MAX_BODY_BYTES} bytes are taken.` }),
    }),
  )
  api.use(async (c, next) => {
    if (c.req.method !== 'GET' && !isJson(await c.req.text())) {
      return problemResponse({ status: 422, slug: 'malformed-json', title: 'The body is not JSON', detail: 'Send JSON, or no body at all.' })
    }
    return next()
  })

  api.get('/ready', async (c) => {
    const ready = await readiness(deps)
    return c.json(ready, ready.ok ? 200 : 503)
  })
  api.get('/metrics', async (c) => c.text(metricsText(await survey(deps), deps), 200, { 'content-type': 'text/plain; version=0.0.4; charset=utf-8' }))
  api.get('/api/consumers', async (c) => {
    const { consumers, faults } = await survey(deps)
    return c.json({ consumers: consumers.map((consumer) => ({ ...summaryOf(consumer), partitions: consumer.partitions })), faults })
  })
  api.get('/api/status', async (c) => {
    const [{ consumers, outbox, deadLetters, purges, etl, faults }, latency] = await Promise.all([
      survey(deps),
      ask((options) => deps.operations.latency(LATENCY_WINDOW_MS, options), clock),
    ])
    return c.json({
      at: new Date(clock.now()).toISOString(),
      version: deps.version,
      environment: deps.environment,
      consumers: consumers.map(summaryOf),
      outbox: outbox.ok ? outbox.value : null,
      deadLetters: deadLetters.ok ? deadLetters.value : null,
      purges: purges.ok ? purges.value : null,
      etl: etl.ok ? etl.value : null,
      latency: latency.ok ? latency.value : null,
      faults,
    })
  })

  /** An operator must be able to act while the database is down: the log keeps what the table can't. */
  const audit = async (action: string, subject: string) => {
    const audited = await ask((options) => deps.operations.audit({ actor: 'operator', action, subject }, options), clock)
    log.info('api.command', { action, subject, audited: audited.ok })
  }

  const command = (action: keyof Fleet) => async (c: Context<object, `/api/consumers/:name/${string}`>) => {
    const name = c.req.param('name')
    if (!Object.hasOwn(pipeline.consumers, name)) {
      return problemResponse({
        status: 404,
        slug: 'unknown-consumer',
        title: 'There is no such consumer',
        detail: `There are: ${Object.keys(pipeline.consumers).join(', ')}.`,
      })
    }
    await audit(`consumer.${action}`, name)
    return c.json({ consumer: name, instances: await deps.fleet[action](name) })
  }
  api.post('/api/consumers/:name/wake', command('wake'))
  api.post('/api/consumers/:name/stop', command('stop'))
  api.post('/api/consumers/:name/resume', command('resume'))
  api.post('/api/capture/ring', async (c) => {
    await audit('capture.ring', 'capture')
    await deps.ring({ signal: c.req.raw.signal })
    return c.json({ ok: true }, 202)
  })

  api.route('/api/dead-letters', lookingRoutes(deps))
  api.route('/api/dead-letters', decidingRoutes(deps))
  api.route('/api/replays', replayRoutes(deps))
  api.route('/api/shadows', shadowRoutes(deps))
  api.route('/api/trace', traceRoute(deps))
  api.route('/api/etl', jobRoutes(deps))
  api.route('/api/etl', runRoutes(deps))

  api.notFound((c) =>
    problemResponse({ status: 404, slug: 'not-found', title: 'There is nothing here', detail: `${c.req.method} ${c.req.path} is no route of this API.` }),
  )
  api.onError((error) => {
    log.error('api.failed', { code: codeOf(error), reason: explain(error) })
    if (isAfluenteError(error) && error.kind === 'unavailable')
      return problemResponse({ status: 503, slug: 'unavailable', title: 'A part does not answer', detail: error.message })
    if (isAfluenteError(error) && error.kind === 'misconfigured')
      return problemResponse({ status: 500, slug: 'misconfigured', title: 'A part is not as the definition says', detail: error.message })
    return problemResponse({ status: 500, slug: 'internal', title: 'Something went wrong here', detail: 'The log of this moment says more.' })
  })
  return api
}

function isJson(text: string): boolean {
  if (text === '') return true
  try {
    JSON.parse(text)
    return true
  } catch {
    return false
  }
}
