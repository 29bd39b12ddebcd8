/** Watches a job of the Worker: it goes on when this command ends. */
import { setTimeout as sleep } from 'node:timers/promises'
import { rateMeter } from '../backfill/rate-meter.ts'
import { patient } from '../patience.ts'
import type { Seat } from '../verb.ts'
import type { WorkerApi } from '../worker-api.ts'
import { type Job, jobSchema } from './answers.ts'
import { progressLine } from './words.ts'

const LOOK_MS = 200
/** Where there is no terminal, a line each so often. */
const SAY_MS = 2_000
/** A job that nothing has moved for so long is left to itself. */
const PATIENCE_MS = 30_000

/** Until it has ended, or nothing moves, or Ctrl-C. */
export async function watched(worker: WorkerApi, begun: Job, say: (line: string) => void, seat: Seat | undefined): Promise<Job> {
  const rate = rateMeter(Date.now, begun.done)
  let [moved, was, said] = [Date.now(), '', Date.now()]
  const look = patient(say)
  for (let job = begun; ; job = await look(() => worker.get(`/api/replays/${begun.id}`, jobSchema), job)) {
    const now = Date.now()
    const at = `${job.phase} ${job.done} ${job.steps} ${job.problem ?? ''}`
    if (at !== was) {
      moved = now
      if (job.problem !== null && job.state === 'running') say(`replay ${job.id} is held up: ${job.problem}`)
    }
    was = at
    if (job.state !== 'running') {
      seat?.moving?.(null)
      return job
    }
    const line = progressLine(job, rate(job.done))
    if (seat?.moving !== undefined) seat.moving(line)
    else if (now - said > SAY_MS) {
      say(line)
      said = now
    }
    if (now - moved > PATIENCE_MS || seat?.signal.aborted === true) {
      seat?.moving?.(null)
      say(`replay ${job.id} goes on by itself: npx afluente replay show ${job.id}`)
      return job
    }
    await sleep(LOOK_MS, undefined, seat === undefined ? {} : { signal: seat.signal }).catch(() => undefined)
  }
}
