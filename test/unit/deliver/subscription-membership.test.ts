import { Buffer } from 'node:buffer'
import type { Batch, KafkaMessage } from 'kafkajs'
import { describe, expect, test } from 'vitest'
import { memoryClock } from '../../../shared/adapters/memory/clock.ts'
import { createMembership } from '../../../shared/adapters/kafka/subscription-membership.ts'
import type { RecordBatch } from '../../../shared/ports/subscription.ts'

const turn = () => new Promise((resolve) => setImmediate(resolve))

/** A fetch of `count` records that began at `from`. */
function batchOf(from: number, count: number, { partition = 0, bytes = 1 } = {}): Batch {
  const messages = Array.from({ length: count }, (_, at): KafkaMessage => ({
    key: null,
    value: Buffer.alloc(bytes),
    offset: String(from + at),
    timestamp: '0',
    attributes: 0,
    headers: {},
  }))
  const last = String(from + count - 1)
  return Object.assign(
    {
      topic: 't',
      partition,
      messages,
      highWatermark: String(from + count),
      isEmpty: () => false,
      firstOffset: () => String(from),
      lastOffset: () => last,
      offsetLag: () => '0',
      offsetLagLow: () => '0',
    },
    { fetchedOffset: String(from) },
  )
}

interface StageOptions {
  readonly start?: bigint
  readonly end?: bigint
  readonly handle?: (batch: RecordBatch, signal: AbortSignal) => Promise<void>
  readonly before?: Promise<void>
  readonly locate?: (at: bigint) => bigint
  readonly partitions?: number
}

function stage({ start = 0n, end = 0n, handle = async () => {}, before = Promise.resolve(), locate = (at) => at, partitions = 2 }: StageOptions = {}) {
  const clock = memoryClock()
  const done: string[] = []
  const handled: string[] = []
  const settled: string[] = []
  const failures: unknown[] = []
  const cutOff = new AbortController()
  const numbers = Array.from({ length: partitions }, (_, partition) => partition)
  const positions = new Map(
    numbers.map((partition) => [`t:${partition}`, { topic: 't', partition, ...(partition === 0 ? { start, end } : { start: 0n, end: 0n }), gone: null }]),
  )
  const membership = createMembership({
    generation: 'g',
    assignment: { t: numbers },
    positions: Promise.resolve({ starts: positions, ends: positions }),
    locate: async (_topic, _partition, at) => locate(at),
    before,
    handle: async (batch, { signal }) => {
      handled.push(`${batch.partition}:${batch.records.map(({ offset }) => offset).join(',')}`)
      await handle(batch, signal)
    },
    cutOff: cutOff.signal,
    consumer: {
      seek: ({ partition, offset }) => void done.push(`seek ${partition} ${offset}`),
      pause: ([one]) => void done.push(`pause ${one?.partitions?.join(',')}`),
      resume: ([one]) => void done.push(`resume ${one?.partitions?.join(',')}`),
    },
    clock,
    roomWaitMs: 500,
    onSettled: ({ partition, offset }) => void settled.push(`${partition}:${offset}`),
    onIdle: () => {},
    onFailure: (error) => void failures.push(error),
  })
  return { membership, clock, done, handled, settled, failures, cutOff }
}

describe('a fetched batch', () => {
  test('that goes on where the last one ended is handled and settled', async () => {
    const { membership, handled, settled, done } = stage({ start: 5n })
    await membership.accept(batchOf(5, 2))
    await turn()
    await membership.accept(batchOf(7, 1))
    await turn()
    expect([handled, settled, done]).toEqual([['0:5,6', '0:7'], ['0:7', '0:8'], []])
  })

  test('that began elsewhere belongs to an older assignment: it is dropped, and reading goes back', async () => {
    const { membership, handled, done } = stage({ start: 5n })
    await membership.accept(batchOf(900, 3))
    await turn()
    expect([handled, done]).toEqual([[], ['seek 0 5']])
    await membership.accept(batchOf(5, 1))
    await turn()
    expect(handled).toEqual(['0:5'])
  })

  test('goes on at the earliest record when the ones before it are gone', async () => {
    const { membership, handled, done } = stage({ start: 5n, locate: () => 20n })
    await membership.accept(batchOf(20, 1))
    await membership.accept(batchOf(20, 1))
    await turn()
    expect([handled, done]).toEqual([['0:20'], ['seek 0 20']])
  })

  test('of a partition that this member does not hold is dropped', async () => {
    const { membership, handled } = stage()
    await membership.accept(batchOf(0, 1, { partition: 7 }))
    await turn()
    expect(handled).toEqual([])
  })

  test('behind transaction markers is no gap', async () => {
    const { membership, handled } = stage()
    await membership.accept(batchOf(0, 1))
    membership.skipped('t', 0, 3n)
    await membership.accept(batchOf(3, 1))
    await turn()
    expect(handled).toEqual(['0:0', '0:3'])
  })
})

describe('a partition whose handler is slow', () => {
  test('is paused once its queue is full, while the others go on, and resumed when there is room', async () => {
    const { promise, resolve } = Promise.withResolvers<void>()
    const { membership, clock, done, handled } = stage({ handle: ({ partition }) => (partition === 0 ? promise : Promise.resolve()) })
    await membership.accept(batchOf(0, 1))
    await turn()
    const accepting = membership.accept(batchOf(1, 3, { bytes: 1024 * 1024 }))
    await turn()
    clock.next()
    await accepting
    expect(done).toEqual(['pause 0'])
    await membership.accept(batchOf(0, 1, { partition: 1 }))
    await turn()
    expect(handled).toEqual(['0:0', '1:0'])
    resolve()
    await turn()
    await turn()
    expect(done).toEqual(['pause 0', 'resume 0'])
    expect(handled).toEqual(['0:0', '1:0', '0:1', '0:2', '0:3'])
  })
})

describe('a generation that ends', () => {
  test('tells what is under way, drops what waits, settles nothing more, and lets the next begin only then', async () => {
    const { promise, resolve } = Promise.withResolvers<void>()
    let told = false
    const old = stage({
      handle: async (_, signal) => {
        signal.addEventListener('abort', () => (told = true))
        await promise
      },
    })
    await old.membership.accept(batchOf(0, 1))
    await turn()
    await old.membership.accept(batchOf(1, 1))
    const closing = old.membership.close()
    expect(told).toBe(true)

    const next = stage({ before: closing })
    await next.membership.accept(batchOf(0, 1))
    await turn()
    expect(next.handled).toEqual([])
    resolve()
    await closing
    await turn()
    expect([old.handled, old.settled]).toEqual([['0:0'], []])
    expect(next.handled).toEqual(['0:0'])
  })

  test('takes no more batches, and what its handler throws by then is nobody’s failure', async () => {
    const { membership, handled, failures } = stage({
      handle: async (_, signal) => {
        await new Promise((resolve) => signal.addEventListener('abort', resolve))
        throw new Error('aborted')
      },
    })
    await membership.accept(batchOf(0, 1))
    await turn()
    await membership.close()
    await membership.accept(batchOf(1, 1))
    await turn()
    expect([handled, failures]).toEqual([['0:0'], []])
  })

  test('a handler that throws in a generation that lasts is a failure, and what waits behind it is not handled', async () => {
    const { membership, handled, failures, settled } = stage({
      handle: async () => {
        throw new Error('fenced')
      },
    })
    await membership.accept(batchOf(0, 1))
    await membership.accept(batchOf(1, 1))
    await turn()
    expect([handled.length, failures.length, settled]).toEqual([1, 1, []])
  })
})

test('the end is reached when every partition has handled what was there at the beginning, empty ones included', async () => {
  const { promise, resolve } = Promise.withResolvers<void>()
  const { membership } = stage({ start: 5n, end: 7n, handle: () => promise })
  await turn()
  expect(membership.atEnd()).toBe(false)
  await membership.accept(batchOf(5, 2))
  await turn()
  expect(membership.atEnd()).toBe(false)
  resolve()
  await turn()
  expect(membership.atEnd()).toBe(true)
})

describe('all partitions together', () => {
  test('hold a bounded amount: beyond it none is fetched from, until there is room', async () => {
    const MEGABYTE = 1_048_576
    const partitions = 40
    const { promise: gate, resolve: open } = Promise.withResolvers<void>()
    const { membership, done } = stage({ partitions, handle: () => gate })
    const paused = () => done.filter((one) => one.startsWith('pause')).length
    let fetched = 0
    for (let partition = 0; paused() < partitions && partition < partitions; partition += 1) {
      void membership.accept(batchOf(0, 3, { partition, bytes: MEGABYTE }))
      fetched += 3
      for (let turns = 0; turns < 5; turns += 1) await turn()
    }
    expect({ paused: paused(), fetched }).toEqual({ paused: partitions, fetched: 24 })
    open()
    for (let turns = 0; turns < 50; turns += 1) await turn()
    expect(done.filter((one) => one.startsWith('resume'))).toHaveLength(partitions)
    await membership.close()
  })
})
