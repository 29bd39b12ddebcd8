import { timeOf } from './arguments.ts'
import { oneId, parsed } from './dlq/options.ts'
import { begunSchema, jobSchema, jobsSchema } from './replay/answers.ts'
import { watched } from './replay/watch.ts'
import { jobLine, reportLines } from './replay/words.ts'
import { count } from './backfill/words.ts'
import { EXIT, type Exit, type Verb, type VerbContext, WrongUse } from './verb.ts'
import { findWorker } from './worker-api.ts'

const ACTIONS = { list, show, cancel } as const

export const replay: Verb = {
  summary: 'sends past events once more into one consumer, or into a shadow of it',
  usage: `npx afluente replay --from TIME [--to TIME] [--table T] [--key K] --into CONSUMER [--dry-run] [--detach]
npx afluente replay [--from TIME] [--to TIME] [--table T] --into CONSUMER --shadow [--detach]
npx afluente replay list [--limit 20] · show ID · cancel ID

Events come from bronze and go in like any other: what is newer stays, and twice is once. A TIME is 2026-11-22T18:00:00Z, or how long ago: 2h.
  --from, --to   events that occurred then; --all for every one there is
  --key          of one row: the value of its primary key, or a JSON array of several
  --shadow       into a copy beside the live table or index, made with the definition as it is now; then tells what would differ.
                 npx afluente shadow swap makes it the live one, shadow drop removes it
  --dry-run      counts
All take --json and --url https://… (a deployed Worker; wants AFLUENTE_API_TOKEN). The replay runs in the Worker and goes on when this
command ends. Exit 0 when all was applied, 1 when not, 2 for wrong use: nothing was done then.`,
  async run(context) {
    const [first = '', ...rest] = context.args
    if (first === 'list' || first === 'show' || first === 'cancel') return ACTIONS[first]({ ...context, args: rest })
    return begin(context)
  },
}

async function begin({ args, env, out, seat }: VerbContext): Promise<Exit> {
  const { values, positionals } = parsed(args, {
    from: { type: 'string' },
    to: { type: 'string' },
    table: { type: 'string' },
    key: { type: 'string' },
    into: { type: 'string' },
    all: { type: 'boolean' },
    shadow: { type: 'boolean' },
    'dry-run': { type: 'boolean' },
    detach: { type: 'boolean' },
  })
  if (positionals.length > 0) throw new WrongUse(`'${positionals.join(' ')}' is too much`)
  const { from, into, key, table, to } = values
  if (into === undefined) throw new WrongUse('Into which consumer? Name it with --into')
  if (from === undefined && to === undefined && key === undefined && values.all !== true && values.shadow !== true)
    throw new WrongUse('Which events? Name --from, --to or --key, or --all')
  const now = Date.now()
  const asked = {
    into,
    ...(table === undefined ? {} : { table }),
    ...(key === undefined ? {} : { key }),
    ...(from === undefined ? {} : { since: timeOf('from', from, now) }),
    ...(to === undefined ? {} : { until: timeOf('to', to, now) }),
    shadow: values.shadow === true,
    dryRun: values['dry-run'] === true,
  }
  const json = values.json === true
  const worker = findWorker(values.url, env)
  const answer = await worker.post('/api/replays', asked, begunSchema)
  if (answer.dryRun) {
    if (json) out(JSON.stringify(answer, null, 2))
    else for (const one of answer.tables) out(`${count(one.events)} event(s) of ${one.table} would be replayed into ${into}; nothing was done`)
    return EXIT.well
  }
  const say = json ? () => {} : out
  for (const remark of answer.remarks) say(remark)
  const jobs = []
  // The Worker does them in this order.
  for (const job of answer.jobs) {
    const ended = values.detach === true ? job : await watched(worker, job, say, seat)
    jobs.push(ended)
    if (!json) for (const line of [jobLine(ended), ...reportLines(ended)]) out(line)
  }
  if (json) out(JSON.stringify({ ...answer, jobs }, null, 2))
  return values.detach === true || jobs.every(({ failed, state }) => state === 'done' && failed === 0) ? EXIT.well : EXIT.fault
}

async function list({ args, env, out }: VerbContext): Promise<Exit> {
  const { values, positionals } = parsed(args, { limit: { type: 'string' } })
  if (positionals.length > 0) throw new WrongUse(`'${positionals.join(' ')}' is too much`)
  const found = await findWorker(values.url, env).get(`/api/replays?limit=${encodeURIComponent(values.limit ?? '20')}`, jobsSchema)
  if (values.json === true) out(JSON.stringify(found, null, 2))
  else for (const line of found.jobs.length === 0 ? ['no replays'] : found.jobs.map(jobLine)) out(line)
  return EXIT.well
}

async function show({ args, env, out }: VerbContext): Promise<Exit> {
  const { values, positionals } = parsed(args, {})
  const job = await findWorker(values.url, env).get(`/api/replays/${oneId(positionals, 'replay')}`, jobSchema)
  if (values.json === true) out(JSON.stringify(job, null, 2))
  else for (const line of [jobLine(job), ...reportLines(job)]) out(line)
  return EXIT.well
}

async function cancel({ args, env, out }: VerbContext): Promise<Exit> {
  const { values, positionals } = parsed(args, {})
  const job = await findWorker(values.url, env).post(`/api/replays/${oneId(positionals, 'replay')}/cancel`, {}, jobSchema)
  out(values.json === true ? JSON.stringify(job, null, 2) : jobLine(job))
  return EXIT.well
}
