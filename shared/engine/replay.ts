/** Does the replays of one consumer: past events from bronze the same way into the sink as any event's, or into a shadow of it; and the swap of the two. */
import { isKeyedBy, recordOf } from '../events/kept-event.ts'
import type { LogRecord } from '../events/envelope.ts'
import type { Cancellable } from '../ports/cancellable.ts'
import type { Clock } from '../ports/clock.ts'
import type { Control } from '../ports/control.ts'
import type { Log } from '../ports/log.ts'
import type { Page, ReplayJob, Replays } from '../ports/replays.ts'
import type { Followed, ShadowNames, Shadows } from '../ports/shadows.ts'
import type { DeadLetter, Fence, Sink } from '../ports/sink.ts'
import { qualifiedName, type SourceTable } from '../tables/table.ts'
import { createApply } from './apply.ts'
import { topicOf } from './define.ts'
import { actionFor, AfluenteError } from './errors.ts'
import type { Persist } from './persist.ts'
import { codeOf, explain } from './reason.ts'
import { retrying } from './retry.ts'
import { firstMisshapen } from './shape.ts'

export interface ReplayDeps {
  readonly consumer: string
  /** Unique to this run of the consumer. */
  readonly owner: string
  readonly tables: readonly SourceTable[]
  /** Writes the rows of the consumer's sink; the events themselves are in bronze already. */
  readonly sink: Sink
  readonly shadows: Shadows
  readonly control: Control
  readonly replays: Replays
  readonly clock: Clock
  readonly log: Log
  /** From 0 up to but not 1. */
  readonly random: () => number
}

/** Some hundred milliseconds of work: what a kill has to do again. */
const PAGE_EVENTS = 1_000
const ATTEMPTS = 5
const FIRST_DELAY_MS = 100
const LONGEST_DELAY_MS = 2_000
/** The stream goes on while its rows are followed: what the last round had to copy is about what the next one will, and the swap copies that itself. */
const MOST_ROUNDS = 5
const FEW_ROWS = 1_000

/**
 * Does the running jobs of the consumer, one after the other. Promises: a kill at any moment leaves a job that goes on where it was; no event counts
 * twice in a job; nothing is ever put over something newer; a job that was cancelled stops with its page. A job whose sink is down is held up, with the
 * reason, until the next pass; a swap that may not be ends with it. Throws only where the jobs can't be read.
 */
export function createReplay(deps: ReplayDeps): (options: Cancellable) => Promise<void> {
  const { clock, consumer, control, log, replays, shadows } = deps

  const persist: Persist = (_where, step, { signal }) =>
    retrying(step, { clock, signal, random: deps.random, attempts: ATTEMPTS, baseMs: FIRST_DELAY_MS, maxMs: LONGEST_DELAY_MS })
  const into = {
    live: createApply({ ...deps, persist, assertShape: refuseMisshapen }),
    shadow: createApply({ ...deps, sink: shadows.sink, persist, assertShape: refuseMisshapen }),
  }

  const tableOf = (job: ReplayJob): SourceTable => {
    const table = deps.tables.find((one) => qualifiedName(one) === job.table)
    if (table !== undefined) return table
    throw new AfluenteError('misconfigured', 'unknown-table', `${job.table} is no longer in shared/pipeline.ts. Cancel the job, or define the table again.`)
  }

  /** One page: what its events became, and the job moved on with it. What a later delete outlived is late, though its tombstone may be purged: bronze still knows. */
  const runPage = async (job: ReplayJob, table: SourceTable, { events, outlived, position }: Page, fence: Fence, options: Cancellable) => {
    const context = { ...options, heartbeat: async () => options.signal.throwIfAborted() }
    const target = job.kind === 'shadow' ? 'shadow' : 'live'
    const standing = events.filter(({ eventId }) => !outlived.has(eventId))
    const { own = [], strange = [] } = Object.groupBy(standing, (event) => (isKeyedBy(table.key, event) ? 'own' : 'strange'))
    const records = own.map(recordOf)
    const applied = await into[target]({ topic: topicOf(table), records, fence, offsets: NO_OFFSETS }, context)
    const letters = [...applied.letters, ...strange.map((event) => otherKey(recordOf(event), table))]
    // A trial buries nothing: whoever looks at the letters would not find their fault.
    if (target === 'live' && letters.length > 0) await persist('', () => control.bury(letters, fence, '0', options), context)
    const failures = letters.map(({ eventId, code, message }) => ({ eventId, code, message }))
    const report = { ...applied.report, late: applied.report.late + outlived.size }
    const settlement = { job: job.id, fence, position, report, failures, countsDead: target === 'shadow' }
    await persist('', () => replays.settle(settlement, options), context)
  }

  /** All pages. False when the job was cancelled meanwhile. */
  const fill = async (job: ReplayJob, table: SourceTable, fence: Fence, options: Cancellable): Promise<boolean> => {
    const next = () => persist('', () => replays.page(job, PAGE_EVENTS, options), { ...options, heartbeat: async () => {} })
    for (let page = await next(); page.events.length > 0; page = await next()) {
      await runPage(job, table, page, fence, options)
      options.signal.throwIfAborted()
    }
    return (await replays.find(job.id, options))?.state === 'running'
  }

  const runShadow = async (job: ReplayJob, table: SourceTable, fence: Fence, options: Cancellable): Promise<void> => {
    const names = await shadows.make(table, options)
    await replays.made({ consumer, table: job.table, ...names }, options)
    if (!(await fill(job, table, fence, options))) return
    const told = async (steps: number) => {
      if (await replays.tell({ job: job.id, fence, phase: 'comparing', steps }, options)) return
      // Ends the comparison, which knows nothing of jobs.
      throw new AfluenteError('fenced', 'no-longer-running', 'The job was ended while it compared.')
    }
    await told(0)
    const differences = await shadows.compare({ table, names, since: job.createdAt, told }, options)
    await replays.finish({ job, report: { differences } }, options)
  }

  /** Rounds beside the stream until little is left, then the switch, which takes the rest along while nobody writes. */
  const runSwap = async (job: ReplayJob, table: SourceTable, fence: Fence, options: Cancellable): Promise<void> => {
    const names = await namesOf(job, options)
    let copied = 0
    let from: string | null = null
    for (let round = 1; round <= MOST_ROUNDS; round += 1) {
      const before = copied
      for (let ended = false; !ended;) {
        const step: Followed = await shadows.follow({ table, names, from }, options)
        copied += step.copied
        ;({ next: from, ended } = step)
        if (!(await replays.tell({ job: job.id, fence, phase: 'following', steps: copied }, options))) return
        options.signal.throwIfAborted()
      }
      if (copied - before <= FEW_ROWS) break
    }
    if (!(await replays.tell({ job: job.id, fence, phase: 'switching', steps: copied }, options))) return
    const last = from ?? ''
    const swapped = await persist('', () => shadows.swap({ table, names, job: job.id, fence, from: last }, options), { ...options, heartbeat: async () => {} })
    if (swapped.status === 'obstructed') return replays.giveUp(job.id, swapped.why, options)
    await replays.finish({ job, report: {} }, options)
  }

  const namesOf = async (job: ReplayJob, options: Cancellable): Promise<ShadowNames> => {
    const entry = (await replays.shadows(options)).find((one) => one.consumer === consumer && one.table === job.table)
    const { live = null, shadow = null } = entry ?? {}
    if (live !== null && shadow !== null) return { live, shadow }
    throw new AfluenteError('misconfigured', 'no-shadow', `${consumer} has no shadow of ${job.table} any more.`)
  }

  const run = async (job: ReplayJob, options: Cancellable): Promise<void> => {
    const table = tableOf(job)
    const place = { consumer, topic: fenceTopicOf(topicOf(table), job), partition: 0 }
    const fence: Fence = { ...place, epoch: await control.take({ ...place, owner: deps.owner }, options) }
    if (job.kind === 'shadow') await runShadow(job, table, fence, options)
    else if (job.kind === 'swap') await runSwap(job, table, fence, options)
    else if (await fill(job, table, fence, options)) await replays.finish({ job, report: {} }, options)
    log.info('replay.ended', { consumer, job: job.id, kind: job.kind })
  }

  const attempt = async (job: ReplayJob, options: Cancellable): Promise<void> => {
    try {
      await run(job, options)
    } catch (error) {
      if (options.signal.aborted) return
      log.warn('replay.held-up', { consumer, job: job.id, code: codeOf(error), reason: explain(error) })
      // Who is fenced has a successor, who says himself how it goes.
      if (actionFor(error) === 'stop') return
      // A swap that can't be now is somebody's to mend, who asks again: while it switched it could not be cancelled.
      const say = job.kind === 'swap' && actionFor(error) !== 'retry' ? replays.giveUp : replays.hold
      await say(job.id, explain(error), options).catch((fault: unknown) => log.warn('replay.not-told', { job: job.id, reason: explain(fault) }))
    }
  }

  return async (options) => {
    const tried = new Set<string>()
    const next = async () => (await replays.running(consumer, options)).find(({ id }) => !tried.has(id))
    for (let job = await next(); job !== undefined && !options.signal.aborted; job = await next()) {
      tried.add(job.id)
      await attempt(job, options)
    }
  }
}

/** Pages have no order of offsets that anybody could go on from. */
const NO_OFFSETS = { first: '0', next: '0' }

/** Beside the stream's own places, which go on meanwhile: one replay of a table at a time, and none beside a trial's swap. */
function fenceTopicOf(topic: string, { kind }: ReplayJob): string {
  return kind === 'replay' ? `${topic}.replay` : `${topic}.shadow`
}

function otherKey(record: LogRecord, table: SourceTable): DeadLetter {
  const name = qualifiedName(table)
  const message = `The event is keyed by other columns than ${table.key.join(', ')}, the key of ${name} as it is defined: it would land beside its row. Send the row anew: npx afluente backfill ${table.name}.`
  return { record, eventId: record.headers['ce_id']?.toString() ?? '', table: name, code: 'other-key', message }
}

/** An event may be older than a column: that is no fault of the source, and must hold up no other event. */
function refuseMisshapen(table: SourceTable, events: Parameters<typeof firstMisshapen>[1]): void {
  const misshapen = firstMisshapen(table, events)
  if (misshapen === null) return
  throw new AfluenteError(
    'refused',
    'column-missing',
    `The event is of before ${misshapen.missing.join(', ')} stood in ${qualifiedName(table)} as it is defined. Send the row anew: npx afluente backfill ${table.name}.`,
  )
}
