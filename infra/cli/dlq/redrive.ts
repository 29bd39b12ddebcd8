/** `afluente dlq redrive` and `jobs`: asks for a redrive, and watches how it goes. The redrive itself runs in the Worker, and goes on when this command ends. */
import { setTimeout as sleep } from 'node:timers/promises'
import { patient } from '../patience.ts'
import { EXIT, type Exit, type VerbContext, WrongUse } from '../verb.ts'
import { findWorker, type WorkerApi } from '../worker-api.ts'
import { type Job, jobSchema, jobsSchema, redriveSchema } from './answers.ts'
import { filterOf, filterOptions, oneId, parsed, queryOf } from './options.ts'

const LOOK_MS = 200
/** A job that nothing has moved for so long is left to itself. */
const PATIENCE_MS = 30_000

export async function redrive({ args, env, out }: VerbContext): Promise<Exit> {
  const options = { ...filterOptions, all: { type: 'boolean' }, 'dry-run': { type: 'boolean' }, detach: { type: 'boolean' } } as const
  const { values, positionals } = parsed(args, options)
  const filter = filterOf(values, positionals, Date.now())
  if (Object.keys(filter).length === 0 && values.all !== true) throw new WrongUse('Which letters? Name ids, a filter, or --all')
  const worker = findWorker(values.url, env)
  const say = values.json === true ? () => {} : out
  const answer = await worker.post('/api/dead-letters/redrive', { ...filter, dryRun: values['dry-run'] === true }, redriveSchema)
  if (answer.dryRun) {
    if (values.json === true) out(JSON.stringify(answer, null, 2))
    else
      out(
        `${answer.letters} letter(s) would be redriven${answer.consumers.map(({ consumer, letters }) => `, ${letters} of the consumer ${consumer}`).join('')}; nothing was done`,
      )
    return EXIT.well
  }
  for (const remark of answer.remarks) say(remark)
  if (answer.jobs.length === 0) say('Nothing waits to be redriven.')
  const jobs = values.detach === true ? answer.jobs : await Promise.all(answer.jobs.map((job) => watched(worker, job, say)))
  if (values.json === true) out(JSON.stringify({ ...answer, jobs }, null, 2))
  else for (const job of jobs) out(jobLine(job))
  return jobs.every((job) => values.detach === true || (job.state === 'done' && job.failed === 0)) ? EXIT.well : EXIT.fault
}

export async function jobs({ args, env, out }: VerbContext): Promise<Exit> {
  const { values, positionals } = parsed(args, { cancel: { type: 'boolean' }, limit: { type: 'string' } })
  const worker = findWorker(values.url, env)
  if (positionals.length === 0) {
    if (values.cancel === true) throw new WrongUse('Which redrive? Name one id')
    const found = await worker.get(`/api/dead-letters/jobs${queryOf({}, { limit: values.limit ?? '20' })}`, jobsSchema)
    if (values.json === true) out(JSON.stringify(found, null, 2))
    else for (const line of found.jobs.length === 0 ? ['no redrives'] : found.jobs.map(jobLine)) out(line)
    return EXIT.well
  }
  const id = oneId(positionals, 'redrive')
  const job =
    values.cancel === true
      ? await worker.post(`/api/dead-letters/jobs/${id}/cancel`, {}, jobSchema)
      : await worker.get(`/api/dead-letters/jobs/${id}`, jobSchema)
  out(values.json === true ? JSON.stringify(job, null, 2) : jobLine(job))
  return EXIT.well
}

/** Until it has ended, or nothing moves. */
async function watched(worker: WorkerApi, begun: Job, say: (line: string) => void): Promise<Job> {
  let told = ''
  let [moved, done] = [Date.now(), begun.done]
  const look = patient(say)
  for (let job = begun; ; job = await look(() => worker.get(`/api/dead-letters/jobs/${begun.id}`, jobSchema), job)) {
    if (job.state !== 'running') return job
    if (job.done !== done) [moved, done] = [Date.now(), job.done]
    const now = job.problem === null ? progressOf(job) : `redrive ${job.id} is held up: ${job.problem}`
    if (now !== told && (told === '' || job.problem !== null || job.done > 0)) say(now)
    told = now
    if (Date.now() - moved > PATIENCE_MS) {
      say(`redrive ${job.id} does not move; it goes on by itself: npx afluente dlq jobs ${job.id}`)
      return job
    }
    await sleep(LOOK_MS)
  }
}

function progressOf({ consumer, done, id, total }: Job): string {
  return `redrive ${id} (${consumer}): ${done} of ${total}`
}

function jobLine(job: Job): string {
  const { accepted, done, duplicate, failed, late, problem, state, total } = job
  const others = state === 'done' && done < total ? `, ${total - done} settled by others meanwhile` : ''
  return `${progressOf(job)} ${state}: ${accepted} accepted, ${duplicate} known before, ${late} overtaken by newer ones, ${failed} failed again${others}${problem === null ? '' : ` (held up: ${problem})`}${failed === 0 ? '' : `; why: npx afluente dlq list --consumer ${job.consumer}`}`
}
