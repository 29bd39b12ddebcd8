/** `afluente etl run` and `reconcile`: asks for a run, and watches it. It works in the Worker, and goes on when this command ends. */
import { setTimeout as sleep } from 'node:timers/promises'
import { readArguments, timeOf } from '../arguments.ts'
import { rateMeter } from '../backfill/rate-meter.ts'
import { movingLine } from '../backfill/words.ts'
import { patient } from '../patience.ts'
import { EXIT, type Exit, type VerbContext, WrongUse } from '../verb.ts'
import { findWorker, type WorkerApi } from '../worker-api.ts'
import { begunSchema, type Run, runSchema } from './answers.ts'
import { commonOptions, only } from './look.ts'
import { endLines } from './words.ts'

const LOOK_MS = 150
/** A run that is over in a moment is not waited for longer than that. */
const FIRST_LOOK_MS = 20
const PLAIN_LINE_MS = 10_000
/** A Worker that does not answer for so long is left to itself. */
const PATIENCE_MS = 30_000
const NEVER = new AbortController().signal

const runOptions = { ...commonOptions, 'dry-run': { type: 'boolean' }, detach: { type: 'boolean' }, yes: { type: 'boolean' } } as const

export async function run(context: VerbContext): Promise<Exit> {
  const options = { ...runOptions, full: { type: 'boolean' }, from: { type: 'string' }, to: { type: 'string' } } as const
  const { positionals, values } = readArguments(context.args, options)
  const job = only(positionals, 'Which job? npx afluente etl list shows them')
  if (values.full === true && (values.from ?? values.to) !== undefined) throw new WrongUse('--full loads everything: it takes no --from and no --to')
  const now = Date.now()
  const span = Object.fromEntries(
    (['from', 'to'] as const).flatMap((name) => (values[name] === undefined ? [] : [[name, timeOf(name, values[name], now)] as const])),
  )
  return begin(job, { ...span, ...(values.full === true ? { full: true } : {}) }, values, context)
}

export async function reconcile(context: VerbContext): Promise<Exit> {
  const { positionals, values } = readArguments(context.args, runOptions)
  return begin(only(positionals, 'Which job? npx afluente etl list shows them'), { reconcile: true }, values, context)
}

interface How {
  readonly json?: boolean
  readonly url?: string
  readonly 'dry-run'?: boolean
  readonly detach?: boolean
  readonly yes?: boolean
}

async function begin(job: string, asked: Readonly<Record<string, unknown>>, how: How, context: VerbContext): Promise<Exit> {
  const { env, out } = context
  const worker = findWorker(how.url, env)
  const json = how.json === true
  const body = { ...asked, dryRun: how['dry-run'] === true, ...(how.yes === true ? { acceptDeletes: true } : {}), triggeredBy: 'manual' }
  const begun = await worker.post(`/api/etl/${encodeURIComponent(job)}/runs`, body, begunSchema)
  if (!json) for (const remark of begun.remarks) out(remark)
  if (how.detach === true) {
    out(json ? JSON.stringify(begun, null, 2) : `run ${begun.run.id} of ${job} is going: npx afluente etl show ${begun.run.id}`)
    return EXIT.well
  }
  const end = await watched(worker, begun.run, json, context)
  if (json) out(JSON.stringify(end, null, 2))
  else if (end.status === 'running')
    out(`run ${end.id} of ${job} goes on in the Worker: npx afluente etl show ${end.id}; npx afluente etl cancel ${job} ends it`)
  else for (const line of endLines(end)) out(line)
  return end.status === 'success' ? EXIT.well : EXIT.fault
}

/** Until it has ended, or nobody wants to wait any longer. */
async function watched(worker: WorkerApi, begun: Run, json: boolean, { out, seat }: VerbContext): Promise<Run> {
  const signal = seat?.signal ?? NEVER
  const meter = rateMeter(Date.now, begun.seen)
  let toldAt = Date.now()
  let fault: string | null = null
  let run = begun
  let seenAt = Date.now()
  const look = patient(json ? () => {} : out)
  try {
    for (let wait = FIRST_LOOK_MS; run.status === 'running' && !signal.aborted; wait = Math.min(wait * 2, LOOK_MS)) {
      await sleep(wait, undefined, { signal }).catch(() => undefined)
      const found = await look(() => worker.get(`/api/etl/${begun.job}/runs/${begun.id}`, runSchema), run)
      if (found !== run) seenAt = Date.now()
      else if (Date.now() - seenAt > PATIENCE_MS) return run
      run = found
      const line = movingLine(run.job, { seen: run.seen, total: run.expected, about: run.loadType === 'full', perSecond: meter(run.seen) })
      if (run.error !== fault) {
        fault = run.error
        if (!json && fault !== null && run.status === 'running') out(`! it tries again at ${run.retryAt ?? 'once'}: ${fault}`)
      }
      if (seat?.moving !== undefined) seat.moving(line)
      else if (!json && Date.now() - toldAt >= PLAIN_LINE_MS) {
        toldAt = Date.now()
        out(line)
      }
    }
  } finally {
    seat?.moving?.(null)
  }
  return run
}
