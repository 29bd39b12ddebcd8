import { parsed } from './dlq/options.ts'
import { droppedSchema, type ShadowEntry, shadowsSchema, swapSchema } from './replay/answers.ts'
import { watched } from './replay/watch.ts'
import { jobLine, reportLines } from './replay/words.ts'
import { EXIT, type Exit, type Verb, type VerbContext, WrongUse } from './verb.ts'
import { findWorker } from './worker-api.ts'

const verbs = { list, swap, drop } as const

export const shadow: Verb = {
  summary: 'copies beside live tables and indices: what differs, swap, drop',
  usage: `npx afluente shadow list                                    which there are, and how they differ from the live ones
npx afluente shadow swap [TABLE] [--consumer C] [--detach]  makes one the live one; the live one becomes the shadow, and can be swapped back
npx afluente shadow drop [TABLE] [--consumer C]             removes one

A shadow is made by npx afluente replay --into CONSUMER --shadow. A swap first takes along what the live one has newer, then readers and
writers go over at one moment. TABLE and --consumer may be left out where only one shadow is meant. All take --json and --url https://…
(a deployed Worker; wants AFLUENTE_API_TOKEN). Exit 0 well, 1 when the swap has not come to its end, 2 wrong use: nothing was done then.`,
  async run(context) {
    const [name = '', ...args] = context.args
    if (name === 'list' || name === 'swap' || name === 'drop') return verbs[name]({ ...context, args })
    throw new WrongUse(name === '' ? `shadow: what? There are ${Object.keys(verbs).join(', ')}` : `shadow has no '${name}'`)
  },
}

async function list({ args, env, out }: VerbContext): Promise<Exit> {
  const { values } = parsed(args, {})
  const found = await findWorker(values.url, env).get('/api/shadows', shadowsSchema)
  if (values.json === true) {
    out(JSON.stringify(found, null, 2))
    return EXIT.well
  }
  if (found.shadows.length === 0) out('no shadows')
  for (const { lastJob, ...entry } of found.shadows) {
    out(entryLine(entry))
    if (lastJob !== null) for (const line of [jobLine(lastJob), ...reportLines(lastJob)]) out(`  ${line}`)
  }
  return EXIT.well
}

async function swap({ args, env, out, seat }: VerbContext): Promise<Exit> {
  const { asked, values } = which(args)
  const json = values.json === true
  const say = json ? () => {} : out
  const worker = findWorker(values.url, env)
  const { job, remarks } = await worker.post('/api/shadows/swap', asked, swapSchema)
  for (const remark of remarks) say(remark)
  const ended = values.detach === true ? job : await watched(worker, job, say, seat)
  out(json ? JSON.stringify({ job: ended, remarks }, null, 2) : jobLine(ended))
  return values.detach === true || ended.state === 'done' ? EXIT.well : EXIT.fault
}

async function drop({ args, env, out }: VerbContext): Promise<Exit> {
  const { asked, values } = which(args)
  const { dropped } = await findWorker(values.url, env).post('/api/shadows/drop', asked, droppedSchema)
  out(values.json === true ? JSON.stringify({ dropped }, null, 2) : goneLine(dropped))
  return EXIT.well
}

function which(args: readonly string[]) {
  const { values, positionals } = parsed(args, { consumer: { type: 'string' }, detach: { type: 'boolean' } })
  const [table, ...more] = positionals
  if (more.length > 0) throw new WrongUse(`One table at a time; '${more.join(' ')}' is too much`)
  const { consumer } = values
  return { asked: { ...(table === undefined ? {} : { table }), ...(consumer === undefined ? {} : { consumer }) }, values }
}

const STATES = { filling: 'is being filled', ready: 'may be swapped', former: 'was the live one until the last swap' } as const

function goneLine({ consumer, live, shadow: name, state, table }: ShadowEntry): string {
  const was = state === 'former' ? ', which was the live one until the last swap' : ''
  return `removed: ${name ?? 'a shadow that was not made yet'} of ${consumer}${was}; ${live ?? table} is live`
}

function entryLine({ consumer, live, madeAt, shadow: name, state, table }: ShadowEntry): string {
  return `${table} of ${consumer}: ${name ?? 'not made yet'} beside ${live ?? 'the live one'}, since ${madeAt.slice(0, 19)}Z, ${STATES[state]}`
}
