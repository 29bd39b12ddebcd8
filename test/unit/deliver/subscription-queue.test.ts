import { Buffer } from 'node:buffer'
import fc from 'fast-check'
import type { KafkaMessage } from 'kafkajs'
import { describe, expect, test } from 'vitest'
import { createQueue } from '../../../shared/adapters/kafka/subscription-queue.ts'

const messageOf = (offset: number, bytes: number): KafkaMessage => ({
  key: null,
  value: Buffer.alloc(bytes),
  offset: String(offset),
  timestamp: '0',
  attributes: 0,
  headers: {},
})
const limits = { batchRecords: 5, batchBytes: 100, fullRecords: 12, fullBytes: 300 }

describe('records that wait', () => {
  test('come out in the order they went in, each once, in batches within both limits', () => {
    fc.assert(
      fc.property(
        fc.array(
          fc.oneof(
            { weight: 3, arbitrary: fc.record({ push: fc.array(fc.nat({ max: 150 }), { maxLength: 8 }) }) },
            { weight: 2, arbitrary: fc.constant('take' as const) },
          ),
        ),
        (steps) => {
          const queue = createQueue(limits)
          let pushed = 0
          const taken: string[] = []
          const take = () => {
            const batch = queue.take()
            expect(batch.length).toBeLessThanOrEqual(limits.batchRecords)
            if (batch.length > 1) expect(batch.reduce((sum, { value }) => sum + (value?.length ?? 0), 0)).toBeLessThanOrEqual(limits.batchBytes)
            taken.push(...batch.map(({ offset }) => offset))
          }
          for (const step of steps) {
            if (step === 'take') take()
            else queue.push(step.push.map((bytes) => messageOf(pushed++, bytes)))
            expect(queue.length).toBe(pushed - taken.length)
          }
          while (queue.length > 0) take()
          expect(taken).toEqual(Array.from({ length: pushed }, (_, at) => String(at)))
          expect([queue.full, queue.roomy]).toEqual([false, true])
        },
      ),
    )
  })

  test('a record beyond the limit of a batch still comes, alone', () => {
    const queue = createQueue(limits)
    queue.push([messageOf(0, 10), messageOf(1, 1_000), messageOf(2, 10)])
    expect([queue.take(), queue.take(), queue.take()].map((batch) => batch.map(({ offset }) => offset))).toEqual([['0'], ['1'], ['2']])
  })

  test('many small ones or few large ones fill the queue; half of it makes room again', () => {
    const queue = createQueue(limits)
    queue.push(Array.from({ length: 11 }, (_, at) => messageOf(at, 1)))
    expect(queue.full).toBe(false)
    queue.push([messageOf(11, 1)])
    expect([queue.full, queue.roomy]).toEqual([true, false])
    queue.take()
    expect([queue.full, queue.roomy]).toEqual([false, false])
    queue.take()
    expect(queue.roomy).toBe(true)
    queue.push([messageOf(12, 400)])
    expect(queue.full).toBe(true)
  })
})
