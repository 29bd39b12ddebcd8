/** Replays in memory, from the bronze of an analytics database in memory. */
import { decode } from '../../events/envelope.ts'
import type { KeptEvent } from '../../events/kept-event.ts'
import type { Clock } from '../../ports/clock.ts'
import type { ReplayJob, ReplayRange, Replays } from '../../ports/replays.ts'
import { assertEpoch, count, type MemoryAnalytics, type StoredReplay } from './analytics.ts'

const MOST_FAILURES = 20

export function memoryReplays({ analytics, clock }: { readonly analytics: MemoryAnalytics; readonly clock: Clock }): Replays {
  const now = () => new Date(clock.now()).toISOString()
  const stored = () => [...analytics.replays.values()]
  const change = (id: string, changes: Partial<StoredReplay>, may: (job: StoredReplay) => boolean = () => true) => {
    const job = analytics.replays.get(id)
    if (job?.state !== 'running' || !may(job)) return false
    analytics.replays.set(id, { ...job, ...changes, updatedAt: now() })
    return true
  }
  const begin = (of: Pick<StoredReplay, 'kind' | 'consumer' | 'actor' | 'phase' | 'position' | 'upTo' | 'total'> & ReplayRange): StoredReplay => {
    const id = String(analytics.replays.size + 1)
    const counts = { done: 0, accepted: 0, duplicate: 0, late: 0, failed: 0, steps: 0 }
    const job: StoredReplay = { ...of, ...counts, id, state: 'running', problem: null, report: {}, createdAt: now(), updatedAt: now(), finishedAt: null }
    analytics.replays.set(id, job)
    return job
  }
  const isBusy = (consumer: string, table: string) =>
    stored().some((job) => job.consumer === consumer && job.table === table && job.kind !== 'replay' && job.state === 'running')

  return {
    count: async (range) => eventsOf(analytics, range).length,
    ends: async (range) => {
      const rows = eventsOf(analytics, range).filter(({ op }) => op !== 'truncate')
      return [...rows.slice(0, 1), ...rows.slice(-1)]
    },
    start: async ({ kind, consumer, range, actor }) => {
      const place = `${consumer} ${range.table}`
      if (kind === 'shadow' && analytics.shadows.has(place)) return null
      const found = eventsOf(analytics, range)
      const ends = { position: '', upTo: found.at(-1)?.eventId ?? '' }
      const job = begin({ ...range, kind, consumer, actor, phase: 'filling', ...ends, total: found.length })
      if (kind === 'shadow')
        analytics.shadows.set(place, { consumer, table: range.table, live: null, shadow: null, state: 'filling', job: job.id, madeAt: now() })
      analytics.audit.push({
        actor,
        action: kind === 'shadow' ? 'shadow.make' : 'replay.start',
        subject: consumer,
        details: { job: job.id, table: range.table },
      })
      return shown(job)
    },
    swap: async ({ consumer, table, actor }) => {
      const entry = analytics.shadows.get(`${consumer} ${table}`)
      if (entry === undefined || entry.state === 'filling' || isBusy(consumer, table)) return null
      const range = { table, key: null, since: null, until: null }
      const job = begin({ ...range, kind: 'swap', consumer, actor, phase: 'following', position: '', upTo: '', total: 0 })
      analytics.shadows.set(`${consumer} ${table}`, { ...entry, job: job.id })
      analytics.audit.push({ actor, action: 'shadow.swap', subject: consumer, details: { job: job.id, table } })
      return shown(job)
    },
    running: async (consumer) =>
      stored()
        .filter((job) => job.consumer === consumer && job.state === 'running')
        .map(shown),
    list: async (limit) => stored().toReversed().slice(0, limit).map(shown),
    find: async (id) => {
      const job = analytics.replays.get(id)
      return job === undefined ? null : shown(job)
    },
    page: async ({ id }, limit, { signal }) => {
      signal.throwIfAborted()
      const job = analytics.replays.get(id)
      const events =
        job?.state === 'running'
          ? eventsOf(analytics, job)
              .filter(({ eventId }) => eventId > job.position && eventId <= job.upTo)
              .slice(0, limit)
          : []
      const deletes = eventsOf(analytics, { table: job?.table ?? '', key: null, since: null, until: null }).filter(({ op }) => op === 'delete')
      const outlived = events.filter(({ key, version }) => deletes.some((later) => later.key === key && later.version > version))
      return { events, outlived: new Set(outlived.map(({ eventId }) => eventId)), position: events.at(-1)?.eventId ?? '' }
    },
    settle: async ({ job: id, fence, position, report, failures, countsDead }, { signal }) => {
      signal.throwIfAborted()
      assertEpoch(analytics, fence)
      const job = analytics.replays.get(id)
      if (job === undefined || position <= job.position) return
      const [failed, dead] = [failures.length, countsDead ? failures.length : 0]
      count(analytics, fence, '0', { accepted: 0, duplicate: 0, late: 0, consumed: dead, dead }, clock.now())
      analytics.replays.set(id, {
        ...job,
        position,
        done: job.done + report.accepted + report.duplicate + report.late + failed,
        accepted: job.accepted + report.accepted,
        duplicate: job.duplicate + report.duplicate,
        late: job.late + report.late,
        failed: job.failed + failed,
        report: { ...reportOf(job), ...(failed === 0 ? {} : { failures: [...failuresOf(job), ...failures].slice(0, MOST_FAILURES) }) },
        problem: null,
        updatedAt: now(),
      })
    },
    tell: async ({ job, fence, phase, steps }, { signal }) => {
      signal.throwIfAborted()
      assertEpoch(analytics, fence)
      return change(job, { phase, steps })
    },
    hold: async (id, problem) => void change(id, { problem }),
    finish: async ({ job, report }) => {
      const before = analytics.replays.get(job.id)
      if (before === undefined || !change(job.id, { state: 'done', problem: null, report: { ...reportOf(before), ...report }, finishedAt: now() })) return
      const place = `${job.consumer} ${job.table}`
      const entry = analytics.shadows.get(place)
      if (job.kind === 'replay' || entry === undefined) return
      analytics.shadows.set(place, job.kind === 'swap' ? { ...entry, state: 'former', live: entry.shadow, shadow: entry.live } : { ...entry, state: 'ready' })
    },
    giveUp: async (id, problem) => void change(id, { state: 'cancelled', problem, finishedAt: now() }),
    cancel: async ({ id, actor }) => {
      const job = analytics.replays.get(id)
      if (!change(id, { state: 'cancelled', problem: null, finishedAt: now() }, ({ phase }) => phase !== 'switching')) return false
      analytics.audit.push({ actor, action: 'replay.cancel', subject: job?.consumer ?? '', details: { job: id } })
      return true
    },
    shadows: async () => [...analytics.shadows.values()],
    made: async ({ consumer, table, live, shadow }) => {
      const entry = analytics.shadows.get(`${consumer} ${table}`)
      if (entry !== undefined) analytics.shadows.set(`${consumer} ${table}`, { ...entry, live, shadow })
    },
    forget: async ({ consumer, table, actor }) => {
      if (isBusy(consumer, table) || !analytics.shadows.delete(`${consumer} ${table}`)) return false
      analytics.audit.push({ actor, action: 'shadow.drop', subject: consumer, details: { table } })
      return true
    },
  }
}

/** By id, as bronze's index has them. */
function eventsOf(analytics: MemoryAnalytics, { key, since, table, until }: ReplayRange): readonly KeptEvent[] {
  const kept = [...analytics.bronze.values()].flatMap(({ record }) => {
    const decoded = decode(record)
    if (!decoded.ok || decoded.event.table !== table) return []
    const { event } = decoded
    const at = Date.parse(event.occurredAt)
    if ((key !== null && event.key !== key) || (since !== null && at < Date.parse(since)) || (until !== null && at >= Date.parse(until))) return []
    const { topic, partition, offset } = record
    return [{ ...event, eventId: event.id, publishedMs: event.publishedAtMs, topic, partition, offset }]
  })
  return kept.toSorted((one, other) => (one.eventId < other.eventId ? -1 : 1))
}

function reportOf({ report }: ReplayJob): object {
  return typeof report === 'object' && report !== null ? report : {}
}

function failuresOf(job: ReplayJob): readonly unknown[] {
  const failures: unknown = Reflect.get(reportOf(job), 'failures')
  return Array.isArray(failures) ? failures : []
}

function shown(stored: StoredReplay): ReplayJob {
  const { position: _, upTo: __, ...job } = stored
  return job
}
