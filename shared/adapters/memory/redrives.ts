/** Redrives in memory. */
import { nextState } from '../../events/dead-letter.ts'
import type { Clock } from '../../ports/clock.ts'
import type { RedriveJob, Redrives } from '../../ports/redrives.ts'
import { assertEpoch, type BuriedLetter, count, type MemoryAnalytics, type StoredRedrive } from './analytics.ts'
import { change, letterOf, lettersOf } from './letters.ts'

export function memoryRedrives({ analytics, clock }: { readonly analytics: MemoryAnalytics; readonly clock: Clock }): Redrives {
  const now = () => new Date(clock.now()).toISOString()
  const changeJob = (id: string, changes: Partial<StoredRedrive>) => {
    const job = analytics.redrives.get(id)
    if (job?.state === 'running') analytics.redrives.set(id, { ...job, ...changes, updatedAt: now() })
    return job?.state === 'running'
  }
  const jobs = () => [...analytics.redrives.values()].map(shown)

  return {
    start: async ({ filter, consumers, actor }) => {
      const open = lettersOf(analytics, filter).filter(({ consumer, state }) => consumers.includes(consumer) && nextState(state, 'redrive') !== null)
      const started = [...Map.groupBy(open, ({ consumer }) => consumer)].toSorted(([a], [b]) => (a < b ? -1 : 1))
      return started.map(([consumer, letters]) => {
        const id = String(analytics.redrives.size + 1)
        const ends = { position: (letters[0]?.id ?? 0) - 1, upTo: letters.at(-1)?.id ?? 0 }
        const at = now()
        const counts = { total: letters.length, done: 0, accepted: 0, duplicate: 0, late: 0, failed: 0 }
        const job: StoredRedrive = {
          id,
          consumer,
          filter,
          state: 'running',
          ...counts,
          problem: null,
          actor,
          createdAt: at,
          updatedAt: at,
          finishedAt: null,
          ...ends,
        }
        analytics.redrives.set(id, job)
        analytics.audit.push({ actor, action: 'dead-letter.redrive', subject: consumer, details: { job: id, filter, letters: letters.length } })
        return shown(job)
      })
    },
    running: async (consumer) => jobs().filter((job) => job.consumer === consumer && job.state === 'running'),
    list: async (limit) => jobs().toReversed().slice(0, limit),
    find: async (id) => jobs().find((job) => job.id === id) ?? null,
    take: async ({ id }, after, limit, { signal }) => {
      signal.throwIfAborted()
      const job = analytics.redrives.get(id)
      if (job?.state !== 'running') return []
      const position = Math.max(job.position, Number(after ?? 0))
      analytics.redrives.set(id, { ...job, position })
      const { state: _, ...filter } = job.filter
      const own = (letter: BuriedLetter) =>
        letter.state === 'redriven' ? letter.job === Number(id) : nextState(letter.state, 'redrive') !== null && letter.job !== Number(id)
      const taken = lettersOf(analytics, { ...filter, consumer: job.consumer }).filter((letter) => letter.id > position && letter.id <= job.upTo && own(letter))
      return taken.slice(0, limit).map((letter) => {
        change(analytics, letter, 'redrive', { job: Number(id) })
        return { ...letterOf(letter), state: 'redriven' as const, job: id }
      })
    },
    settle: async ({ job, fence, landed, failed, report }, { signal }) => {
      signal.throwIfAborted()
      assertEpoch(analytics, fence)
      const mine = (id: string) => lettersOf(analytics, { ids: [id] }).filter((letter) => letter.job === Number(job))
      const changed = [
        ...landed.flatMap(mine).map((letter) => change(analytics, letter, 'land', { endedMs: clock.now() })),
        ...failed.flatMap(({ id, ...why }) =>
          mine(id).map((letter) => change(analytics, letter, 'fail', { ...why, attempts: letter.attempts + 1, lastSeenMs: clock.now() })),
        ),
      ].includes(true)
      const stored = analytics.redrives.get(job)
      if (!changed || stored === undefined) return
      const dead = failed.length
      count(analytics, fence, '0', { accepted: 0, duplicate: 0, late: 0, consumed: dead, dead }, clock.now())
      analytics.redrives.set(job, {
        ...stored,
        done: stored.done + landed.length + dead,
        accepted: stored.accepted + report.accepted,
        duplicate: stored.duplicate + report.duplicate,
        late: stored.late + report.late,
        failed: stored.failed + dead,
        problem: null,
        updatedAt: now(),
      })
    },
    hold: async (id, problem) => void changeJob(id, { problem }),
    finish: async (id) => void changeJob(id, { state: 'done', problem: null, finishedAt: now() }),
    cancel: async ({ id, actor }) => {
      const consumer = analytics.redrives.get(id)?.consumer
      if (!changeJob(id, { state: 'cancelled', problem: null, finishedAt: now() })) return false
      for (const letter of lettersOf(analytics, { state: 'redriven' })) if (letter.job === Number(id)) change(analytics, letter, 'release', {})
      analytics.audit.push({ actor, action: 'redrive.cancel', subject: id, details: { consumer } })
      return true
    },
  }
}

function shown(stored: StoredRedrive): RedriveJob {
  const { position: _, upTo: __, ...job } = stored
  return job
}
