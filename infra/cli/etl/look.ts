/** `afluente etl list`, `runs`, `show` and `health`: looking changes nothing. */
import { readArguments } from '../arguments.ts'
import { queryOf } from '../dlq/options.ts'
import { EXIT, type Exit, type VerbContext, WrongUse } from '../verb.ts'
import { findWorker, type WorkerApi } from '../worker-api.ts'
import { foundSchema, type Job, jobsSchema, type Run, runsSchema } from './answers.ts'
import { faultLines, jobLines, runLine, showLines } from './words.ts'

export const commonOptions = { json: { type: 'boolean' }, url: { type: 'string' } } as const

export async function list({ args, env, out }: VerbContext): Promise<Exit> {
  const { positionals, values } = readArguments(args, commonOptions)
  nothingMore(positionals)
  const answer = await findWorker(values.url, env).get('/api/etl', jobsSchema)
  if (values.json === true) out(JSON.stringify(answer, null, 2))
  else for (const line of answer.jobs.length === 0 ? ['the definition has no ETL jobs'] : answer.jobs.flatMap(jobLines)) out(line)
  return EXIT.well
}

export async function health({ args, env, out }: VerbContext): Promise<Exit> {
  const { positionals, values } = readArguments(args, commonOptions)
  nothingMore(positionals)
  const { at, jobs, ok } = await findWorker(values.url, env).get('/api/etl', jobsSchema)
  if (values.json === true) out(JSON.stringify({ at, ok, jobs: jobs.map(({ faults, job, ok: well }) => ({ job, ok: well, faults })) }, null, 2))
  else for (const line of jobs.flatMap(healthLines)) out(line)
  return ok ? EXIT.well : EXIT.fault
}

export async function runs({ args, env, out }: VerbContext): Promise<Exit> {
  const { positionals, values } = readArguments(args, { ...commonOptions, limit: { type: 'string' }, cursor: { type: 'string' } })
  const [job, ...more] = positionals
  nothingMore(more)
  if (job === undefined && values.cursor !== undefined) throw new WrongUse('--cursor goes on with the runs of one job: name it')
  const worker = findWorker(values.url, env)
  const names = job === undefined ? await namesOf(worker) : [job]
  const pages = await Promise.all(
    names.map((name) => worker.get(`/api/etl/${encodeURIComponent(name)}/runs${queryOf({}, { limit: values.limit, cursor: values.cursor })}`, runsSchema)),
  )
  const found = pages.flatMap((page) => page.runs)
  if (values.json === true) out(JSON.stringify({ runs: found, next: job === undefined ? null : (pages[0]?.next ?? null) }, null, 2))
  else {
    for (const line of found.length === 0 ? ['no runs yet'] : found.map((run) => `${run.job}  ${runLine(run)}`)) out(line)
    for (const [at, { next }] of pages.entries()) if (next !== null) out(`more: npx afluente etl runs ${names[at]} --cursor ${next}`)
  }
  return EXIT.well
}

export async function show({ args, env, out }: VerbContext): Promise<Exit> {
  const { positionals, values } = readArguments(args, commonOptions)
  const run = await runNamed(findWorker(values.url, env), only(positionals, 'Which run? Name its id'))
  if (values.json === true) out(JSON.stringify(run, null, 2))
  else for (const line of showLines(run)) out(line)
  return EXIT.well
}

/** A run of any job. */
export async function runNamed(worker: WorkerApi, id: string): Promise<Run> {
  for (const job of await namesOf(worker)) {
    const found = await worker.get(`/api/etl/${job}/runs/${encodeURIComponent(id)}`, foundSchema, [404])
    if (!('type' in found)) return found
  }
  throw new WrongUse(`There is no run ${id}. npx afluente etl runs shows those there are.`, { showsUsage: false })
}

export function only(positionals: readonly string[], question: string): string {
  const [one, ...more] = positionals
  if (one === undefined) throw new WrongUse(question)
  nothingMore(more)
  return one
}

async function namesOf(worker: WorkerApi): Promise<readonly string[]> {
  return (await worker.get('/api/etl', jobsSchema)).jobs.map(({ job }) => job)
}

function nothingMore(positionals: readonly string[]): void {
  if (positionals.length > 0) throw new WrongUse(`'${positionals.join(' ')}' is too much`)
}

function healthLines({ faults, job, lastSuccess, ok, running, watermark }: Job): readonly string[] {
  const last = lastSuccess === null ? 'no run has ended well yet' : `last good run ${lastSuccess.startedAt.slice(0, 19)}Z`
  const going = running === null ? '' : `, run ${running.id} is going`
  return [`${ok ? '✓' : '✗'} ${job}: ${last}${going}, watermark ${watermark ?? 'none'}`, ...faults.flatMap(faultLines)]
}
