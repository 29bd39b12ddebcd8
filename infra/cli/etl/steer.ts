/** `afluente etl watermark` and `cancel`. */
import { readArguments } from '../arguments.ts'
import { EXIT, type Exit, type VerbContext, WrongUse } from '../verb.ts'
import { findWorker, type WorkerApi } from '../worker-api.ts'
import { begunSchema, jobSchema, type Run, setSchema, watermarkSchema } from './answers.ts'
import { commonOptions, only, runNamed } from './look.ts'

const UUID = /^[0-9a-f]{8}(?:-[0-9a-f]{4}){3}-[0-9a-f]{12}$/

export async function watermark({ args, env, out }: VerbContext): Promise<Exit> {
  const { positionals, values } = readArguments(args, { ...commonOptions, set: { type: 'string' }, yes: { type: 'boolean' } })
  const job = only(positionals, 'Which job? npx afluente etl list shows them')
  const path = `/api/etl/${encodeURIComponent(job)}/watermark`
  if (values.set === undefined) {
    if (values.yes === true) throw new WrongUse('--yes goes with --set')
    const found = await findWorker(values.url, env).get(path, watermarkSchema)
    out(values.json === true ? JSON.stringify(found, null, 2) : `${job}: ${found.watermark ?? 'none yet: the first run loads everything'}`)
    return EXIT.well
  }
  if (values.yes !== true)
    throw new WrongUse(
      `The next run of ${job} would begin at ${values.set}. An earlier one reads rows again, which harms nothing; a later one passes rows over until the next reconcile. Say it again with --yes. Nothing was done.`,
      { showsUsage: false },
    )
  const { after, before } = await findWorker(values.url, env).put(path, { to: values.set }, setSchema)
  out(values.json === true ? JSON.stringify({ job, before, after }, null, 2) : `${job}: the watermark was ${before ?? 'none'} and is ${after}`)
  return EXIT.well
}

export async function cancel({ args, env, out }: VerbContext): Promise<Exit> {
  const { positionals, values } = readArguments(args, commonOptions)
  const name = only(positionals, 'Which run? Name a job, or the id of a run')
  const worker = findWorker(values.url, env)
  const { id, job } = UUID.test(name) ? await runNamed(worker, name) : await runOf(worker, name)
  const { remarks, run } = await worker.post(`/api/etl/${job}/runs/${id}/cancel`, {}, begunSchema)
  if (values.json === true) out(JSON.stringify({ run, remarks }, null, 2))
  else for (const line of [...remarks, `run ${id} of ${job} ends before its next page; what it has written stays, and its watermark is where it was`]) out(line)
  return EXIT.well
}

/** The run of a job that is going. */
async function runOf(worker: WorkerApi, job: string): Promise<Run> {
  const { running } = await worker.get(`/api/etl/${encodeURIComponent(job)}`, jobSchema)
  if (running === null) throw new WrongUse(`No run of ${job} is going. Nothing was done.`, { showsUsage: false })
  return running
}
