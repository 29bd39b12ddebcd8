import * as z from 'zod'
import { fates, type Fate } from '../../shared/engine/whereabouts.ts'
import { readArguments } from './arguments.ts'
import { traceLines } from './trace-lines.ts'
import { EXIT, type Exit, type Verb, WrongUse } from './verb.ts'
import { findWorker } from './worker-api.ts'

const text = z.string().nullable()
const ms = z.number().nullable()
const isFate = (value: string): value is Fate => Object.hasOwn(fates, value)

const letter = z.object({ id: z.string(), code: z.string(), state: z.string(), attempts: z.number(), firstSeen: z.string() })
const change = z.object({
  eventId: z.string(),
  version: z.number(),
  op: text,
  occurredAt: text,
  claimedAt: text,
  publishedAt: text,
  inOutbox: z.boolean(),
  topic: text,
  partition: z.number().nullable(),
  offset: text,
  traceparent: text,
  waitedMs: ms,
  publishMs: ms,
  consumers: z.array(z.object({ consumer: z.string(), fate: z.string().refine(isFate), at: text, ms, letter: letter.nullable() })),
})

const traceSchema = z.object({
  at: z.string(),
  table: z.string(),
  key: z.string(),
  found: z.boolean(),
  more: z.boolean(),
  floor: z.object({ version: z.number(), occurredAt: text }).nullable(),
  changes: z.array(change),
  consumers: z.array(
    z.object({
      name: z.string(),
      copy: z.object({ version: z.number(), deleted: z.boolean(), syncedAt: text }).nullable(),
      partition: z.number().nullable(),
      behind: z.number().nullable(),
    }),
  ),
  faults: z.array(z.object({ part: z.string(), reason: z.string() })),
})
export type Trace = z.infer<typeof traceSchema>

/** What somebody has to look at when it is the latest change's. */
const BAD: readonly Fate[] = ['dead', 'missing']

export const trace: Verb = {
  summary: 'where the changes of one row are, and how long each step took',
  usage: `npx afluente trace TABLE KEY [--limit 20] [--json] [--url https://…]

The latest changes of the row, oldest first: when each was claimed and published, where it stands in Kafka, and what became of it in each
consumer. KEY is the value of the primary key, or for a key of several columns its JSON array: '["a", 7]'. No values of the row are shown.
--url names a deployed Worker and wants AFLUENTE_API_TOKEN. Exit 0 when the row is found and its latest change is well; 1 when there is
nothing of it, when that change is a dead letter or gone from a sink, or when a part could not be asked; 2 for an unknown table.`,
  async run({ args, env, out }) {
    const { json, key, limit, table, url } = options(args)
    const found = await findWorker(url, env).post('/api/trace', { table, key, limit }, traceSchema)
    if (json) out(JSON.stringify(found, null, 2))
    else for (const line of traceLines(found)) out(line)
    return exitOf(found)
  },
}

function exitOf({ changes, faults, found }: Trace): Exit {
  const bad = changes.at(-1)?.consumers.some(({ fate }) => BAD.includes(fate)) === true
  return found && faults.length === 0 && !bad ? EXIT.well : EXIT.fault
}

function options(args: readonly string[]) {
  const { positionals, values } = readArguments(args, { json: { type: 'boolean' }, limit: { type: 'string' }, url: { type: 'string' } })
  const [table, key, ...more] = positionals
  if (table === undefined || key === undefined) throw new WrongUse('Which row? Name a table and a key')
  if (more.length > 0) throw new WrongUse(`'${more.join(' ')}' is too much: put a key with blanks in quotes`)
  if (values.url !== undefined && !URL.canParse(values.url)) throw new WrongUse('--url is no URL')
  const limit = Number(values.limit ?? '20')
  if (!Number.isInteger(limit) || limit < 1 || limit > 1_000) throw new WrongUse('--limit is a number from 1 to 1000')
  return { json: values.json === true, key, limit, table, url: values.url }
}
