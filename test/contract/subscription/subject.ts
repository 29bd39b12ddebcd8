/** What the contract of a subscription needs of the one under test. */
import { expect } from 'vitest'
import type { HandleBatch, RecordBatch, Subscription, SubscriptionRun } from '../../../shared/ports/subscription.ts'
import { eventually } from '../../support/poll.ts'

export interface SubscriptionSubject {
  /** A member of one and the same group over one topic of four partitions; each call gives another member. */
  readonly member: () => Subscription
  /** Appends one record, into the partition that its key falls into. */
  readonly publish: (
    records: readonly { readonly key: string | null; readonly value: string | null; readonly headers?: Readonly<Record<string, string>> }[],
  ) => Promise<void>
  /** The group's committed offset of each partition that has one. */
  readonly committed: () => Promise<ReadonlyMap<number, number>>
}

/** A run in the background, which writes down what comes. */
export interface Running {
  readonly batches: readonly RecordBatch[]
  values(): readonly string[]
  /** Ends the run and waits for it. */
  stop(): Promise<void>
  readonly ended: Promise<void>
}

export function start(subscription: Subscription, handle: HandleBatch = async () => {}, options: Partial<SubscriptionRun> = {}): Running {
  const batches: RecordBatch[] = []
  const stop = new AbortController()
  const ended = subscription.run(
    async (batch, context) => {
      batches.push(batch)
      await handle(batch, context)
    },
    { signal: stop.signal, untilEnd: false, ...options },
  )
  ended.catch(() => undefined)
  return {
    batches,
    ended,
    values: () => batches.flatMap(({ records }) => records.map(({ value }) => value ?? '')),
    stop: async () => {
      stop.abort()
      await ended
    },
  }
}

/** One run over what is there, to its end. */
export async function readAll(subscription: Subscription, handle?: HandleBatch): Promise<readonly RecordBatch[]> {
  const run = start(subscription, handle, { untilEnd: true })
  await run.ended
  return run.batches
}

export function valuesOf(batches: readonly RecordBatch[]): readonly string[] {
  return batches.flatMap(({ records }) => records.map(({ value }) => value ?? ''))
}

export const numbered = (count: number, from = 0) => Array.from({ length: count }, (_, at) => ({ key: `["${from + at}"]`, value: String(from + at) }))

/**
 * While one partition's batch is under way, its offset is not committed, though those of the others are; it is once the
 * handler has resolved. Fails for a subscription that commits first.
 */
export async function assertCommitsAfterHandling(subject: SubscriptionSubject): Promise<void> {
  await subject.publish(numbered(40))
  const { promise: released, resolve: release } = Promise.withResolvers<void>()
  let held: number | null = null
  const run = start(subject.member(), async ({ partition }) => {
    held ??= partition
    if (partition === held) await released
  })
  try {
    await eventually('the other partitions are committed', async () => (await subject.committed()).size >= 3)
    expect((await subject.committed()).has(held ?? -1)).toBe(false)
    release()
    await eventually('the held partition is committed', async () => (await subject.committed()).size === 4)
  } finally {
    release()
    await run.stop().catch(() => undefined)
  }
}

/** A batch whose handler threw comes again, from its first record on. Fails for a subscription that commits what failed. */
export async function assertRedelivery(subject: SubscriptionSubject): Promise<void> {
  await subject.publish(numbered(20))
  const failed: string[] = []
  const broken = start(subject.member(), async ({ records }) => {
    if (failed.length > 0) return
    failed.push(...records.map(({ value }) => value ?? ''))
    throw new Error('the sink broke')
  })
  await eventually('a batch has failed', () => failed.length > 0)
  await broken.stop().catch(() => undefined)
  const again = valuesOf(await readAll(subject.member()))
  expect(again).toEqual(expect.arrayContaining(failed))
}
