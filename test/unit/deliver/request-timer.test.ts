import { createRequire } from 'node:module'
import { afterEach, beforeEach, expect, test, vi } from 'vitest'
import { installRequestTimer } from '../../../shared/adapters/kafka/request-timer.ts'

const require = createRequire(import.meta.url)
interface Queue {
  push(request: object): void
  fulfillRequest(answer: object): void
  maybeThrottle(ms: number): void
  destroy(): void
}
const RequestQueue = require('kafkajs/src/network/requestQueue/index.js') as new (options: object) => Queue

function queueOf(sent: number[]) {
  const log = { debug: () => {}, warn: () => {} }
  const queue = new RequestQueue({ maxInFlightRequests: 1, requestTimeout: 1_000, enforceRequestTimeout: false, clientId: 'test', broker: 'b', logger: log })
  const push = (correlationId: number) =>
    queue.push({ entry: { correlationId, resolve: () => {}, reject: () => {} }, expectResponse: true, sendRequest: () => sent.push(correlationId) })
  return { queue, push, answer: (correlationId: number) => queue.fulfillRequest({ correlationId, payload: null, size: 0 }) }
}

beforeEach(() => {
  vi.useFakeTimers()
  installRequestTimer()
})
afterEach(() => {
  vi.useRealTimers()
})

test('kafkajs still looks as it did', () => {
  expect(installRequestTimer()).toBe(true)
})

test('a connection on which nothing waits sets no timer', () => {
  const { push, answer } = queueOf([])
  push(1)
  answer(1)
  expect(vi.getTimerCount()).toBe(0)
})

test('requests that wait for one under way, or for a throttled broker, are sent in their order', () => {
  const sent: number[] = []
  const { queue, push, answer } = queueOf(sent)
  push(1)
  push(2)
  expect(sent).toEqual([1])
  queue.maybeThrottle(5_000)
  answer(1)
  vi.advanceTimersByTime(4_000)
  expect(sent).toEqual([1])
  vi.advanceTimersByTime(1_100)
  expect(sent).toEqual([1, 2])
  answer(2)
  vi.advanceTimersByTime(60_000)
  expect(vi.getTimerCount()).toBe(0)
  queue.destroy()
})
