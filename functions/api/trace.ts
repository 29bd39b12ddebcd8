/** "Where is my row?" over HTTP. A POST, since a key may be a person's, and addresses are logged on their way. */
import { Hono } from 'hono'
import * as z from 'zod'
import { keyPartitioner } from '../../shared/adapters/kafka/partitioner.ts'
import { topicOf } from '../../shared/engine/define.ts'
import { problemResponse } from '../../shared/engine/problem.ts'
import { changesOf, type Reader } from '../../shared/engine/whereabouts.ts'
import { keyShapeOf, keyTextOf } from '../../shared/mappings/key-text.ts'
import type { Progress } from '../../shared/ports/control.ts'
import type { KeyOf } from '../../shared/ports/traces.ts'
import type { Watermark } from '../../shared/ports/watermarks.ts'
import { qualifiedName } from '../../shared/tables/table.ts'
import { type Answer, ask, valueOf } from './asking.ts'
import type { ApiDeps } from './deps.ts'

const TIMEOUT_MS = 8_000
const DEFAULT_LIMIT = 20

const question = z.strictObject({ table: z.string(), key: z.string().max(100_000), limit: z.number().int().min(1).max(1_000).default(DEFAULT_LIMIT) })

export function traceRoute(deps: ApiDeps): Hono {
  const { pipeline } = deps
  const route = new Hono()
  route.post('/', async (c) => {
    const asked = question.safeParse(await c.req.json().catch(() => undefined))
    if (!asked.success)
      return problemResponse({ status: 422, slug: 'bad-question', title: 'The question can’t be read', detail: 'Send {"table", "key", "limit"?: 1 to 1000}.' })
    const { key: given, limit, table: name } = asked.data
    const table = pipeline.tables.find((one) => one.name === name || qualifiedName(one) === name)
    if (table === undefined) {
      const there = pipeline.tables.map(qualifiedName).join(', ')
      return problemResponse({ status: 404, slug: 'unknown-table', title: 'There is no such table', detail: `The definition has ${there}.` })
    }
    const key = keyTextOf(table, given)
    if (key === null)
      return problemResponse({
        status: 422,
        slug: 'no-key',
        title: 'That is no key of the table',
        detail: `${qualifiedName(table)} wants ${keyShapeOf(table)}.`,
      })
    return c.json(await trace({ table, key }, limit, deps))
  })
  return route
}

/** Never throws: what can't be known now stands in `faults`. */
async function trace(of: KeyOf, limit: number, deps: ApiDeps) {
  const { clock, control, pipeline, traces, watermarks } = deps
  const topic = topicOf(of.table)
  const asking = <T>(question: (options: { readonly signal: AbortSignal }) => Promise<T>) => ask(question, clock, TIMEOUT_MS)
  const consumers = Object.entries(pipeline.consumers).filter(([, { reads }]) => reads.includes(topic))
  const [waiting, events, letters, floors, progress, marks, ...copies] = await Promise.all([
    asking((options) => traces.waiting(of, limit, options)),
    asking((options) => traces.events(of, limit + 1, options)),
    asking((options) => traces.letters(of, limit, options)),
    asking((options) => control.floors(options)),
    asking((options) => control.progress(options)),
    asking((options) => watermarks.read([topic], options)),
    ...consumers.map(([name]) => asking(async (options) => (await traces.copies[name]?.copy(of, options)) ?? null)),
  ])
  const readers = consumers.map(([name, { sink }], at): Reader => {
    const copy = copies[at]
    return {
      name,
      bronze: sink.kind === 'postgres' && sink.bronze,
      keepsCopy: traces.copies[name] !== undefined,
      copy: copy?.ok === true ? copy.value : undefined,
    }
  })
  const found = valueOf(events)
  const table = qualifiedName(of.table)
  const floor = valueOf(floors)?.find((one) => one.table === table)
  const changes = changesOf({
    table,
    waiting: valueOf(waiting) ?? [],
    events: found ?? undefined,
    letters: valueOf(letters) ?? [],
    floor,
    progress: valueOf(progress) ?? undefined,
    readers,
  })
  const parts: readonly (readonly [string, Answer<unknown> | undefined])[] = [
    ['outbox', waiting],
    ['bronze', events],
    ['dead letters', letters],
    ['floors', floors],
    ['progress', progress],
    ['kafka', marks],
    ...consumers.map(([name], at) => [`sink of ${name}`, copies[at]] as const),
  ]
  return {
    at: new Date(clock.now()).toISOString(),
    table,
    key: of.key,
    found: changes.length > 0,
    more: (found ?? []).length > limit || changes.length > limit,
    floor: floor ?? null,
    changes: changes.slice(-limit),
    consumers: readers.map(({ copy, name }) => ({ name, copy: copy ?? null, ...behind(name, topic, of.key, valueOf(progress), valueOf(marks)) })),
    faults: parts.flatMap(([part, answer]) => (answer === undefined || answer.ok ? [] : [{ part, reason: answer.reason }])),
  }
}

/** How many records of the key's partition a consumer has still to read: among them there may be changes that bronze does not know yet. */
function behind(consumer: string, topic: string, key: string, progress: readonly Progress[] | null, marks: readonly Watermark[] | null) {
  if (progress === null || marks === null || marks.length === 0) return { partition: null, behind: null }
  const partition = keyPartitioner()({ message: { key }, partitionMetadata: marks })
  const mark = marks.find((one) => one.partition === partition)
  if (mark === undefined) return { partition, behind: null }
  const next = BigInt(progress.find((one) => one.consumer === consumer && one.topic === topic && one.partition === partition)?.nextOffset ?? '0')
  const from = next > mark.low ? next : mark.low
  return { partition, behind: mark.high > from ? Number(mark.high - from) : 0 }
}
