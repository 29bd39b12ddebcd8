import { ACTOR, declined, type Read } from '../reading.ts'
/** Shadows over HTTP: which there are and how they differ, the swap (a job of the consumer's), and the end of one. */
import { type Context, Hono } from 'hono'
import * as z from 'zod'
import { type Problem, problemResponse } from '../../../shared/engine/problem.ts'
import type { Cancellable } from '../../../shared/ports/cancellable.ts'
import type { ShadowEntry } from '../../../shared/ports/replays.ts'
import { qualifiedName } from '../../../shared/tables/table.ts'
import { badRequest, type ReplayDeps, wakeFor } from './asking.ts'

const which = z.strictObject({ table: z.string().min(1).exactOptional(), consumer: z.string().min(1).exactOptional() })

export function shadowRoutes(deps: ReplayDeps): Hono {
  const { log, pipeline, replays, shadows } = deps
  const routes = new Hono()
  const optionsOf = (c: Context) => ({ signal: c.req.raw.signal })

  /** Each with the last job that was asked for it. */
  routes.get('/', async (c) => {
    const found = await replays.shadows(optionsOf(c))
    return c.json({ shadows: await Promise.all(found.map(async (shadow) => ({ ...shadow, lastJob: await replays.find(shadow.job, optionsOf(c)) }))) })
  })

  routes.post('/swap', async (c) => {
    const one = await named(await c.req.json().catch(() => undefined), optionsOf(c))
    if (!one.ok) return problemResponse(one.problem)
    const { consumer, table } = one.value
    const job = await replays.swap({ consumer, table, actor: ACTOR }, optionsOf(c))
    if (job === null) return problemResponse(notNow(one.value))
    const remark = await wakeFor(consumer, deps)
    log.info('api.command', { action: 'shadow.swap', job: job.id, consumer, table })
    return c.json({ job, remarks: remark === null ? [] : [remark] }, 202)
  })

  routes.post('/drop', async (c) => {
    const one = await named(await c.req.json().catch(() => undefined), optionsOf(c))
    if (!one.ok) return problemResponse(one.problem)
    const { consumer, live, shadow } = one.value
    const table = pipeline.tables.find((candidate) => qualifiedName(candidate) === one.value.table)
    const job = await replays.find(one.value.job, optionsOf(c))
    if (job?.state === 'running') return problemResponse(notNow(one.value))
    // Removed first: what is forgotten and still there nobody would find again.
    const sink = shadows[consumer]
    if (table !== undefined && live !== null && shadow !== null && sink !== undefined) await sink().drop({ table, names: { live, shadow } }, optionsOf(c))
    if (!(await replays.forget({ consumer, table: one.value.table, actor: ACTOR }, optionsOf(c)))) return problemResponse(notNow(one.value))
    log.info('api.command', { action: 'shadow.drop', consumer, table: one.value.table })
    return c.json({ dropped: one.value })
  })
  return routes

  /** The one that the request names; of several none is guessed. */
  async function named(body: unknown, options: Cancellable): Promise<Read<ShadowEntry>> {
    const asked = which.safeParse(body)
    if (!asked.success) return { ok: false, problem: badRequest(asked.error) }
    const { consumer, table } = asked.data
    const all = await replays.shadows(options)
    const found = all.filter(
      (one) => (consumer === undefined || one.consumer === consumer) && (table === undefined || one.table === table || one.table.endsWith(`.${table}`)),
    )
    const [only, ...more] = found
    if (only !== undefined && more.length === 0) return { ok: true, value: only }
    if (only === undefined)
      return declined(
        404,
        'unknown-shadow',
        'There is no such shadow',
        all.length === 0 ? 'There is none at all.' : `There are: ${all.map(nameOf).join(', ')}.`,
      )
    return declined(422, 'which-shadow', 'Which shadow?', `Name its table and its consumer: there are ${found.map(nameOf).join(', ')}.`)
  }
}

function nameOf({ consumer, table }: ShadowEntry): string {
  return `${table} of ${consumer}`
}

function notNow(shadow: ShadowEntry): Problem {
  const detail = `${nameOf(shadow)} is ${shadow.state}, and replay ${shadow.job} was the last that was asked for it: npx afluente replay show ${shadow.job}. Nothing was done.`
  return { status: 409, slug: 'shadow-busy', title: 'The shadow is not ready for that', detail }
}
