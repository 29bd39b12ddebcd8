/** Looking at dead letters and at their redrives over HTTP: changes nothing, and shows no value that nobody asked for. */
import { type Context, Hono } from 'hono'
import * as z from 'zod'
import { problemResponse } from '../../../shared/engine/problem.ts'
import type { ApiDeps } from '../deps.ts'
import { ACTOR, limitOf } from '../reading.ts'
import { isId, knownFilter, NO_JOB, NO_LETTER, queryShape, readAs } from './filter.ts'
import { letterView, type View } from './view.ts'

const PAGE = 100
const MOST = 1_000

const page = {
  limit: limitOf(MOST, PAGE),
  cursor: z
    .string()
    .regex(/^\d{1,18}$/, 'a cursor is what `next` said')
    .optional(),
}
const reveal = z.enum(['true', 'false']).default('false')
const listQuery = z.strictObject({ ...queryShape, ...page })
const exportQuery = z.strictObject({ ...queryShape, ...page, reveal })
const groupsQuery = z.strictObject({ ...queryShape, limit: page.limit })
const showQuery = z.strictObject({ reveal })
const jobsQuery = z.strictObject({ limit: page.limit })

export function lookingRoutes(deps: Pick<ApiDeps, 'letters' | 'redrives' | 'operations' | 'pipeline'>): Hono {
  const { letters, operations, redrives } = deps
  const routes = new Hono()
  const optionsOf = (c: Context) => ({ signal: c.req.raw.signal })

  routes.get('/', async (c) => {
    const query = readAs(listQuery, c.req.query())
    if (!query.ok) return problemResponse(query.problem)
    const { cursor = null, limit, ...given } = query.value
    const filter = await knownFilter(deps, given, optionsOf(c))
    if (!filter.ok) return problemResponse(filter.problem)
    return c.json(await letters.list({ filter: filter.value, limit, after: cursor }, optionsOf(c)))
  })

  routes.get('/groups', async (c) => {
    const query = readAs(groupsQuery, c.req.query())
    if (!query.ok) return problemResponse(query.problem)
    const { limit, ...given } = query.value
    const filter = await knownFilter(deps, given, optionsOf(c))
    if (!filter.ok) return problemResponse(filter.problem)
    return c.json({ groups: await letters.groups(filter.value, limit, optionsOf(c)) })
  })

  /** With the records, page by page; their values only where that is asked for, and then it stands in the audit first. */
  routes.get('/export', async (c) => {
    const query = readAs(exportQuery, c.req.query())
    if (!query.ok) return problemResponse(query.problem)
    const { cursor = null, limit, reveal, ...given } = query.value
    const filter = await knownFilter(deps, given, optionsOf(c))
    if (!filter.ok) return problemResponse(filter.problem)
    const revealed = reveal === 'true'
    if (revealed)
      await operations.audit(
        { actor: ACTOR, action: 'dead-letter.export', subject: 'revealed', details: { filter: filter.value, limit, after: cursor } },
        optionsOf(c),
      )
    const found = await letters.read({ filter: filter.value, limit, after: cursor }, optionsOf(c))
    return c.json({ letters: found.letters.map((letter) => letterView(letter, revealed)), next: found.next })
  })

  routes.get('/jobs', async (c) => {
    const query = readAs(jobsQuery, c.req.query())
    return query.ok ? c.json({ jobs: await redrives.list(query.value.limit, optionsOf(c)) }) : problemResponse(query.problem)
  })
  routes.get('/jobs/:id', async (c) => {
    const job = isId(c.req.param('id')) ? await redrives.find(c.req.param('id'), optionsOf(c)) : null
    return job === null ? problemResponse(NO_JOB) : c.json(job)
  })

  routes.get('/:id', async (c) => {
    const query = readAs(showQuery, c.req.query())
    if (!query.ok) return problemResponse(query.problem)
    const letter = isId(c.req.param('id')) ? await letters.find(c.req.param('id'), optionsOf(c)) : null
    if (letter === null) return problemResponse(NO_LETTER)
    const revealed = query.value.reveal === 'true'
    if (revealed) await operations.audit({ actor: ACTOR, action: 'dead-letter.reveal', subject: letter.id, details: { event: letter.eventId } }, optionsOf(c))
    return c.json<View>(letterView(letter, revealed))
  })
  return routes
}
