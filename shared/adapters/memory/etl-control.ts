/** Runs of ETL jobs in memory. */
import { isMoment } from '../../steps/moment.ts'
import type { Clock } from '../../ports/clock.ts'
import type { EtlControl, EtlJobState, EtlRun } from '../../ports/etl-control.ts'

/** What is known of a job beside its runs. */
export interface MemoryEtlJob {
  readonly watermarkSet: { readonly to: string; readonly atMs: number } | null
  readonly definitionHash: string | null
  readonly leasedUntil: string | null
  readonly provenUntil: string | null
}

export interface MemoryEtl {
  /** In the order in which they were started. A test ends a run by writing it here. */
  readonly runs: Map<string, EtlRun>
  readonly jobs: Map<string, MemoryEtlJob>
  readonly audit: { readonly actor: string; readonly action: string; readonly subject: string; readonly details: unknown }[]
}

export function memoryEtl(): MemoryEtl {
  return { runs: new Map(), jobs: new Map(), audit: [] }
}

const NEW_JOB: MemoryEtlJob = { watermarkSet: null, definitionHash: null, leasedUntil: null, provenUntil: null }
const COUNTS = {
  extracted: 0,
  inserted: 0,
  updated: 0,
  unchanged: 0,
  deleted: 0,
  rejected: 0,
  caughtByOverlap: 0,
  caughtByReconcile: 0,
  unknownWords: 0,
  pages: 0,
  seen: 0,
} as const
const NOTHING_YET = { completedAt: null, durationSeconds: null, watermarkEnd: null, expected: null, error: null, errorTraceback: null, retryAt: null } as const

export function memoryEtlControl({ clock, etl }: { readonly etl: MemoryEtl; readonly clock: Clock }): EtlControl {
  const all = () => [...etl.runs.values()].toReversed()
  const jobOf = (name: string) => etl.jobs.get(name) ?? NEW_JOB
  const goingOf = (job: string) => all().find((run) => run.job === job && run.status === 'running')
  const stateOf = (job: string): EtlJobState => {
    const { watermarkSet, ...known } = jobOf(job)
    const ended = all().filter((run) => run.job === job && run.status !== 'running')
    const good = ended.filter((run) => run.status === 'success' && !run.dryRun)
    const marked = good.find(({ watermarkEnd }) => watermarkEnd !== null)
    const isNewer = watermarkSet !== null && (marked === undefined || watermarkSet.atMs > Date.parse(marked.startedAt))
    return {
      job,
      ...known,
      watermark: isNewer ? watermarkSet.to : (marked?.watermarkEnd ?? null),
      running: goingOf(job) ?? null,
      last: ended[0] ?? null,
      lastSuccess: good[0] ?? null,
      lastReconcile: good.find(({ loadType }) => loadType === 'reconcile') ?? null,
      lastCompared: ended.find(({ dryRun, loadType, status }) => loadType === 'reconcile' && status !== 'cancelled' && !dryRun) ?? null,
    }
  }
  return {
    start: async (request, { signal }) => {
      signal.throwIfAborted()
      const known = etl.runs.get(request.id)
      if (known !== undefined) return { status: 'repeated', run: known }
      const going = goingOf(request.job)
      if (going !== undefined) return { status: 'busy', run: going }
      const { watermark } = stateOf(request.job)
      const run: EtlRun = {
        acceptDeletes: false,
        ...request,
        ...COUNTS,
        ...NOTHING_YET,
        status: 'running',
        startedAt: isoOf(clock.now()),
        watermarkStart: watermark,
        cancelAsked: false,
        attempt: 1,
      }
      etl.runs.set(run.id, run)
      return { status: 'started', run }
    },
    cancel: async ({ actor, id }) => {
      const run = etl.runs.get(id)
      if (run === undefined || run.status !== 'running' || run.cancelAsked) return run ?? null
      const asked = { ...run, cancelAsked: true }
      etl.runs.set(id, asked)
      etl.audit.push({ actor, action: 'etl.cancel', subject: run.job, details: { run: id } })
      return asked
    },
    find: async (id) => etl.runs.get(id) ?? null,
    list: async ({ before, job, limit }) => {
      const runs = all()
      const at = before === null ? 0 : runs.findIndex(({ id }) => id === before) + 1
      return (before !== null && at === 0 ? [] : runs.slice(at)).filter((run) => job === null || run.job === job).slice(0, limit)
    },
    running: async () => all().filter(({ status }) => status === 'running'),
    states: async (jobs) => jobs.map(stateOf),
    setWatermark: async ({ actor, job, to }) => {
      const going = goingOf(job)
      if (going !== undefined) return { status: 'busy', run: going }
      const ms = Date.parse(to)
      if (!isMoment(to)) return { status: 'refused', reason: `'${to.slice(0, 40)}' is no time with a zone; write one like 2026-11-29T03:00:00Z.` }
      if (ms > clock.now()) return { status: 'refused', reason: `${to} lies in the future: rows that are written until then would be passed over.` }
      const { watermark: before } = stateOf(job)
      const after = isoOf(ms)
      etl.jobs.set(job, { ...jobOf(job), watermarkSet: { to: after, atMs: clock.now() } })
      etl.audit.push({ actor, action: 'etl.watermark', subject: job, details: { before, after } })
      return { status: 'set', before, after }
    },
  }
}

function isoOf(ms: number): string {
  return new Date(ms).toISOString().replace('Z', '000Z')
}
