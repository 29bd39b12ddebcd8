import { expect, test } from 'vitest'
import { createDeliverer, type RunOptions } from '../../../functions/deliver/handler.ts'
import { memoryClock } from '../../../shared/adapters/memory/clock.ts'
import { AfluenteError } from '../../../shared/engine/errors.ts'

function stage({ stopped = false } = {}) {
  const runs: (RunOptions & { readonly end: () => void; readonly fail: (error: unknown) => void })[] = []
  let remembered = stopped
  const lines: string[] = []
  const line = (event: string) => void lines.push(event)
  const deliverer = createDeliverer({
    consumer: 'postgres',
    instance: 0,
    run: async (options) => {
      const { promise, resolve, reject } = Promise.withResolvers<void>()
      runs.push({ ...options, end: resolve, fail: reject })
      await promise
    },
    memory: {
      isStopped: async () => remembered,
      setStopped: async (value) => {
        remembered = value
      },
    },
    clock: memoryClock(),
    log: { info: line, warn: line, error: line },
  })
  return { deliverer, runs, lines, remembered: () => remembered }
}

test('waking twice at once starts one run', async () => {
  const { deliverer, runs } = stage()
  expect((await deliverer.status()).state).toBe('idle')
  await Promise.all([deliverer.wake(), deliverer.wake(), deliverer.wake()])
  expect(runs).toHaveLength(1)
  expect((await deliverer.status()).state).toBe('running')
})

test('waking a run that waits lets it look again at once', async () => {
  const { deliverer, runs } = stage()
  await deliverer.wake()
  const waiting = runs[0]?.nudge.sleep(60_000, new AbortController().signal)
  await deliverer.wake()
  expect(await waiting).toBe(true)
})

test('a run that has ended by itself is idle, and the next wake-up starts another', async () => {
  const { deliverer, runs } = stage()
  await deliverer.wake()
  runs[0]?.end()
  await new Promise((resolve) => setImmediate(resolve))
  expect((await deliverer.status()).state).toBe('idle')
  await deliverer.wake()
  expect(runs).toHaveLength(2)
})

test('a run that failed says so in the log and can be woken again', async () => {
  const { deliverer, lines, runs } = stage()
  await deliverer.wake()
  runs[0]?.fail(new AfluenteError('misconfigured', 'environment', 'wrong'))
  await new Promise((resolve) => setImmediate(resolve))
  expect(lines).toContain('consumer.failed')
  await deliverer.wake()
  expect(runs).toHaveLength(2)
})

test('stop waits until the run has flushed, outlives the process, and only resume lifts it', async () => {
  const { deliverer, runs, remembered } = stage()
  await deliverer.wake()
  let stopped = false
  const stopping = deliverer.stop().then((status) => {
    stopped = true
    return status
  })
  await new Promise((resolve) => setImmediate(resolve))
  expect(runs[0]?.signal.aborted).toBe(true)
  expect(stopped).toBe(false)
  runs[0]?.end()
  expect((await stopping).state).toBe('stopped')
  expect(remembered()).toBe(true)
  expect((await deliverer.wake()).state).toBe('stopped')
  expect(runs).toHaveLength(1)
  expect((await deliverer.resume()).state).toBe('running')
  expect(runs).toHaveLength(2)
})

test('one that an operator stopped before the process began is not woken by cron', async () => {
  const { deliverer, runs } = stage({ stopped: true })
  expect(await deliverer.wake()).toMatchObject({ state: 'stopped' })
  expect(runs).toHaveLength(0)
})

test('resuming while the old run still ends never has two at once', async () => {
  const { deliverer, runs } = stage()
  await deliverer.wake()
  const stopping = deliverer.stop()
  const resuming = deliverer.resume()
  await new Promise((resolve) => setImmediate(resolve))
  expect(runs).toHaveLength(1)
  runs[0]?.end()
  await Promise.all([stopping, resuming])
  expect(runs).toHaveLength(2)
})

test('what the run says of its conditions is what the status tells', async () => {
  const { deliverer, runs } = stage()
  await deliverer.wake()
  runs[0]?.conditions.report('a:0', 'waiting', 'It does not answer.')
  runs[0]?.conditions.report('b:0', 'halted', 'A column is missing.')
  expect(await deliverer.status()).toMatchObject({ state: 'halted', reason: 'A column is missing.' })
  runs[0]?.conditions.clear('b:0')
  expect(await deliverer.status()).toMatchObject({ state: 'waiting', reason: 'It does not answer.' })
})
