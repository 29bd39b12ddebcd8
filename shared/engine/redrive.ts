/** Redrives the dead letters of one consumer: the same way into the sink as any event's, under a fence of its own, step by step. */
import type { Event, LogRecord } from '../events/envelope.ts'
import type { Cancellable } from '../ports/cancellable.ts'
import type { Clock } from '../ports/clock.ts'
import type { Control } from '../ports/control.ts'
import type { Letter } from '../ports/letters.ts'
import type { Log } from '../ports/log.ts'
import type { RedriveJob, Redrives } from '../ports/redrives.ts'
import type { Fence, Sink } from '../ports/sink.ts'
import { qualifiedName, type SourceTable } from '../tables/table.ts'
import { createApply } from './apply.ts'
import { deadLetterTopicOf } from './define.ts'
import { actionFor, AfluenteError } from './errors.ts'
import type { Persist } from './persist.ts'
import { codeOf, explain } from './reason.ts'
import { retrying } from './retry.ts'
import { firstMisshapen } from './shape.ts'

export interface RedriveDeps {
  readonly consumer: string
  /** Unique to this run of the consumer. */
  readonly owner: string
  readonly tables: readonly SourceTable[]
  readonly sink: Sink
  readonly control: Control
  readonly redrives: Redrives
  readonly clock: Clock
  readonly log: Log
  /** From 0 up to but not 1. */
  readonly random: () => number
}

/** Some hundred milliseconds of work, and no more than some megabytes: what a kill has to do again. */
const STEP_LETTERS = 1_000
const ATTEMPTS = 5
const FIRST_DELAY_MS = 100
const LONGEST_DELAY_MS = 2_000

/**
 * Does the running jobs of the consumer, one after the other. Promises: each letter a job has taken is in its sink and `resolved`, or is the same
 * letter with one attempt more; a kill at any moment leaves a job that goes on where it was. What a newer version stands against changes nothing.
 * A job whose sink is down is held up, with the reason, until the next pass; so is one somebody else does now. Throws only where the jobs can't be read.
 */
export function createRedrive(deps: RedriveDeps): (options: Cancellable) => Promise<void> {
  const { consumer, control, clock, log, redrives } = deps

  /** Held up for long, a job is left for the next pass instead of being waited for: people then see why. */
  const persist: Persist = (_where, step, { signal }) =>
    retrying(step, { clock, signal, random: deps.random, attempts: ATTEMPTS, baseMs: FIRST_DELAY_MS, maxMs: LONGEST_DELAY_MS })
  const apply = createApply({ ...deps, persist, assertShape: refuseMisshapen })

  const runStep = async (job: RedriveJob, letters: readonly Letter[], fenceOf: FenceOf, options: Cancellable): Promise<void> => {
    const context = { ...options, heartbeat: async () => options.signal.throwIfAborted() }
    for (const place of Map.groupBy(letters, ({ topic, partition }) => `${topic}:${partition}`).values()) {
      const [first] = place
      if (first === undefined) continue
      const fence = await fenceOf(first, options)
      const records = place.flatMap(({ record }) => (isBare(record) ? [] : [record]))
      const { letters: refused, report } = await apply({ topic: first.topic, records, fence, offsets: NO_OFFSETS }, context)
      const whyNot = new Map(refused.map((letter) => [letter.record, letter]))
      for (const { eventId, record, table } of place)
        if (isBare(record)) whyNot.set(record, { record, eventId, table, code: 'no-content', message: noContent(record) })
      const failed = place.flatMap(({ id, record }) => {
        const why = whyNot.get(record)
        return why === undefined ? [] : [{ id, table: why.table, code: why.code, message: why.message }]
      })
      const landed = place.flatMap(({ id, record }) => (whyNot.has(record) ? [] : [id]))
      await persist('', () => redrives.settle({ job: job.id, fence, landed, failed, report }, options), context)
    }
  }

  const run = async (job: RedriveJob, options: Cancellable): Promise<void> => {
    const fenceOf = takeFences()
    const take = (after: string | null) => persist('', () => redrives.take(job, after, STEP_LETTERS, options), { ...options, heartbeat: async () => {} })
    for (let letters = await take(null); letters.length > 0; letters = await take(letters.at(-1)?.id ?? null)) {
      await runStep(job, letters, fenceOf, options)
      options.signal.throwIfAborted()
    }
    await redrives.finish(job.id, options)
    log.info('redrive.ended', { consumer, job: job.id })
  }

  /** An epoch for each place, taken once a run: whoever redrove there before is shut out. */
  function takeFences(): FenceOf {
    const held = new Map<string, Fence>()
    return async ({ topic: ofRecords, partition }, options) => {
      const topic = deadLetterTopicOf(ofRecords)
      const present = held.get(`${topic}:${partition}`)
      if (present !== undefined) return present
      const epoch = await control.take({ consumer, topic, partition, owner: deps.owner }, options)
      const fence = { consumer, topic, partition, epoch }
      held.set(`${topic}:${partition}`, fence)
      return fence
    }
  }

  const attempt = async (job: RedriveJob, options: Cancellable): Promise<void> => {
    try {
      await run(job, options)
    } catch (error) {
      if (options.signal.aborted) return
      log.warn('redrive.held-up', { consumer, job: job.id, code: codeOf(error), reason: explain(error) })
      // Who is fenced has a successor, who says himself how it goes.
      if (actionFor(error) === 'stop') return
      await redrives.hold(job.id, explain(error), options).catch((fault: unknown) => log.warn('redrive.not-told', { job: job.id, reason: explain(fault) }))
    }
  }

  return async (options) => {
    const tried = new Set<string>()
    const next = async () => (await redrives.running(consumer, options)).find(({ id }) => !tried.has(id))
    for (let job = await next(); job !== undefined && !options.signal.aborted; job = await next()) {
      tried.add(job.id)
      await attempt(job, options)
    }
  }
}

type FenceOf = (of: Pick<Letter, 'topic' | 'partition'>, options: Cancellable) => Promise<Fence>

/** Letters of a job have no order of offsets that anybody could go on from. */
const NO_OFFSETS = { first: '0', next: '0' }

/** As a letter is stored whose content the database would not hold. */
function isBare({ headers, value }: LogRecord): boolean {
  return value === null && Object.keys(headers).length === 0
}

function noContent({ offset, partition, topic }: LogRecord): string {
  return `Neither value nor headers are stored. What its record had stands on ${topic}, partition ${partition}, offset ${offset}, while Kafka keeps it. Send the row anew (npx afluente backfill, or any update of it), then discard this letter.`
}

/** A letter may be older than a column: that is no fault of the source, and must hold up no other letter. */
function refuseMisshapen(table: SourceTable, events: readonly Event[]): void {
  const misshapen = firstMisshapen(table, events)
  if (misshapen === null) return
  throw new AfluenteError(
    'refused',
    'column-missing',
    `The event is of before ${misshapen.missing.join(', ')} stood in ${qualifiedName(table)} as it is defined. Send the row anew (npx afluente backfill, or any update of it), then discard this letter.`,
  )
}
