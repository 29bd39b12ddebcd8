/** Which letters a request means: read, checked, and found to name only what there is. */
import * as z from 'zod'
import { letterStates } from '../../../shared/events/dead-letter.ts'
import type { Problem } from '../../../shared/engine/problem.ts'
import type { Cancellable } from '../../../shared/ports/cancellable.ts'
import type { LetterFilter } from '../../../shared/ports/letters.ts'
import { qualifiedName } from '../../../shared/tables/table.ts'
import type { ApiDeps } from '../deps.ts'
import { declined, type Read } from '../reading.ts'

export const MOST_IDS = 1_000

const id = z
  .string()
  .regex(/^\d{1,18}$/, 'an id is a number')
  .transform((text) => BigInt(text).toString())
const time = z.iso.datetime({ offset: true, error: 'a time is ISO 8601 with its offset, such as 2026-11-22T18:00:00Z' })

/** The members of a filter, as a body has them. */
export const filterShape = {
  ids: z.array(id).min(1).max(MOST_IDS).exactOptional(),
  consumer: z.string().min(1).exactOptional(),
  table: z.string().min(1).exactOptional(),
  fingerprint: z.string().min(1).exactOptional(),
  state: z.enum(letterStates).exactOptional(),
  since: time.exactOptional(),
  until: time.exactOptional(),
}

/** As a query has them: ids with commas between. */
export const queryShape = {
  ...filterShape,
  ids: z
    .string()
    .transform((text) => text.split(','))
    .pipe(filterShape.ids.unwrap())
    .exactOptional(),
}

/** Reads a query or body by its schema; all that is wrong with it is told at once. */
export function readAs<T extends z.ZodRawShape>(schema: z.ZodObject<T>, input: unknown): Read<z.output<z.ZodObject<T>>> {
  const parsed = schema.safeParse(input)
  if (parsed.success) return { ok: true, value: parsed.data }
  const unknown = parsed.error.issues.flatMap((issue) => (issue.code === 'unrecognized_keys' ? issue.keys : []))
  if (unknown.length > 0)
    return declined(422, 'unknown-filter', 'There is no such filter', `${unknown.join(', ')}: there are ${Object.keys(schema.shape).join(', ')}.`)
  return declined(
    422,
    'invalid-request',
    'The request can’t be understood',
    parsed.error.issues.map(({ path, message }) => `${path.join('.') || 'the body'}: ${message}`).join('; '),
  )
}

/**
 * The filter with its table's full name, once everything it names is there: a consumer, table or fingerprint is there when the definition or
 * any letter has it. Asks the database for nothing that the definition knows.
 */
export async function knownFilter(
  { letters, pipeline }: Pick<ApiDeps, 'letters' | 'pipeline'>,
  given: LetterFilter,
  options: Cancellable,
): Promise<Read<LetterFilter>> {
  const { consumer, fingerprint, ids } = given
  const tables = pipeline.tables.map(qualifiedName)
  const table = given.table === undefined ? undefined : (tables.find((name) => name === given.table || name.endsWith(`.${given.table}`)) ?? given.table)
  const none = async (filter: LetterFilter) => (await letters.count(filter, options)).length === 0
  if (consumer !== undefined && !Object.hasOwn(pipeline.consumers, consumer) && (await none({ consumer })))
    return declined(404, 'unknown-consumer', 'There is no such consumer', `There are: ${Object.keys(pipeline.consumers).join(', ')}.`)
  if (table !== undefined && !tables.includes(table) && (await none({ table })))
    return declined(404, 'unknown-table', 'There is no such table', `Neither the definition nor any letter has ${table}. Defined: ${tables.join(', ')}.`)
  if (fingerprint !== undefined && (await none({ fingerprint })))
    return declined(404, 'unknown-fingerprint', 'No letter has this fingerprint', 'npx afluente dlq list --groups shows those there are.')
  if (ids !== undefined) {
    const found = new Set((await letters.list({ filter: { ids }, limit: MOST_IDS, after: null }, options)).letters.map((letter) => letter.id))
    const missing = ids.filter((one) => !found.has(one))
    if (missing.length > 0) return declined(404, 'unknown-letter', 'There is no such letter', `No letter has the id ${missing.join(', ')}.`)
  }
  return { ok: true, value: table === undefined ? given : { ...given, table } }
}

export const NO_LETTER: Problem = {
  status: 404,
  slug: 'unknown-letter',
  title: 'There is no such letter',
  detail: 'npx afluente dlq list shows those there are.',
}
export const NO_JOB: Problem = { status: 404, slug: 'unknown-job', title: 'There is no such redrive', detail: 'npx afluente dlq jobs shows those there are.' }

export function isId(text: string): boolean {
  return /^\d{1,18}$/.test(text)
}
