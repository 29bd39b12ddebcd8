/** What every subscription promises, on the memory twin and on Kafka. */
import { expect, test } from 'vitest'
import type { Subscription } from '../../../shared/ports/subscription.ts'
import { eventually } from '../../support/poll.ts'
import { assertCommitsAfterHandling, assertRedelivery, numbered, readAll, start, type SubscriptionSubject, valuesOf } from './subject.ts'

export function subscriptionSuite(makeSubject: () => Promise<SubscriptionSubject>): void {
  test('a group without offsets begins at the earliest record; every record comes once, in the order of its partition', async () => {
    const subject = await makeSubject()
    await subject.publish(numbered(500))
    const batches = await readAll(subject.member())
    expect(valuesOf(batches).map(Number).toSorted((a, b) => a - b)).toEqual(numbered(500).map((_, at) => at)) // prettier-ignore
    for (const partition of [0, 1, 2, 3]) {
      const own = batches.filter((batch) => batch.partition === partition).flatMap(({ records }) => records.map(({ offset }) => Number(offset)))
      expect(own).toEqual(own.map((_, at) => at))
    }
  })

  test('an available-now run ends by itself, at once where there is nothing, and the next one begins where it ended', async () => {
    const subject = await makeSubject()
    expect(await readAll(subject.member())).toEqual([])
    await subject.publish(numbered(30))
    expect(valuesOf(await readAll(subject.member()))).toHaveLength(30)
    expect(await readAll(subject.member())).toEqual([])
    await subject.publish(numbered(5, 100))
    expect(valuesOf(await readAll(subject.member())).toSorted()).toEqual(['100', '101', '102', '103', '104'])
  })

  test('a continuous run takes what comes later, and says when it holds its partitions', async () => {
    const subject = await makeSubject()
    let ready = 0
    const run = start(subject.member(), async () => {}, { onReady: () => (ready += 1) })
    await subject.publish(numbered(1))
    await eventually('the first record came', () => run.values().length === 1)
    await subject.publish(numbered(1, 1))
    await eventually('the second record came', () => run.values().length === 2)
    expect(ready).toBe(1)
    await run.stop()
  })

  test('key, value and headers come as they were, nulls too', async () => {
    const subject = await makeSubject()
    await subject.publish([{ key: null, value: null, headers: { why: 'ação "x"' } }])
    const [batch] = await readAll(subject.member())
    const [record] = batch?.records ?? []
    expect(record).toMatchObject({ key: null, value: null })
    expect(record?.headers['why']?.toString()).toBe('ação "x"')
  })

  test('offsets are committed after the handler has resolved, never before', async () => {
    await assertCommitsAfterHandling(await makeSubject())
  })

  test('a batch whose handler threw comes again', async () => {
    await assertRedelivery(await makeSubject())
  })

  test('the checks bite: a subscription that lets the handler run on behind its back fails both', async () => {
    const naive = (subject: SubscriptionSubject): SubscriptionSubject => ({ ...subject, member: () => commitsFirst(subject.member()) })
    await expect(assertCommitsAfterHandling(naive(await makeSubject()))).rejects.toThrow('expected true to be false')
    await expect(assertRedelivery(naive(await makeSubject()))).rejects.toThrow('to deeply equal ArrayContaining')
  })

  test('batches of one partition come one at a time, those of others side by side', async () => {
    const subject = await makeSubject()
    await subject.publish(numbered(40))
    const { promise: released, resolve: release } = Promise.withResolvers<void>()
    const busy = new Set<number>()
    let doubled = false
    const run = start(subject.member(), async ({ partition }) => {
      doubled ||= busy.has(partition)
      busy.add(partition)
      await released
      busy.delete(partition)
    })
    await eventually('all four partitions are being handled', () => busy.size === 4)
    await subject.publish(numbered(40, 40))
    release()
    await eventually('everything came', () => run.values().length === 80)
    await run.stop()
    expect(doubled).toBe(false)
  })

  test('a run that is told to end lets the handler finish and commits what it did', async () => {
    const subject = await makeSubject()
    await subject.publish(numbered(1))
    const { promise: released, resolve: release } = Promise.withResolvers<void>()
    const run = start(subject.member(), () => released)
    await eventually('the record is being handled', () => run.batches.length === 1)
    const stopping = run.stop()
    release()
    await stopping
    expect([...(await subject.committed()).values()]).toEqual([1])
    expect(await readAll(subject.member())).toEqual([])
  })

  test('two members share the partitions; one that leaves gives its own to the other, under a new generation', async () => {
    const subject = await makeSubject()
    const first = start(subject.member())
    await subject.publish(numbered(40))
    await eventually('the first member has all', () => first.values().length === 40)
    const alone = new Set(first.batches.map(({ generation }) => generation))
    expect(alone.size).toBe(1)

    const second = start(subject.member())
    let round = 1
    await eventually('both get records', async () => {
      await subject.publish(numbered(40, 40 * round))
      round += 1
      return second.batches.length > 0 && first.batches.some(({ generation }) => !alone.has(generation))
    })
    await eventually('all have come', () => new Set([...first.values(), ...second.values()]).size === 40 * round)
    const shared = first.batches.filter(({ generation }) => !alone.has(generation))
    const [firsts, seconds] = [new Set(shared.map(({ partition }) => partition)), new Set(second.batches.map(({ partition }) => partition))]
    expect([...firsts].filter((partition) => seconds.has(partition))).toEqual([])

    await first.stop()
    const total = 40 * round
    await subject.publish(numbered(40, total))
    await eventually('the second member has all partitions', () => new Set(second.batches.map(({ partition }) => partition)).size === 4)
    await eventually('nothing is missing', () => new Set([...first.values(), ...second.values()]).size === total + 40)
    expect(new Set(second.batches.map(({ generation }) => generation)).size).toBeGreaterThan(1)
    await second.stop()
  })
}

/** A mutant: the offset is committed while the handler still works. */
function commitsFirst(subscription: Subscription): Subscription {
  return {
    run: (handle, options) =>
      subscription.run(async (batch, context) => {
        void handle(batch, context).catch(() => undefined)
      }, options),
  }
}
