import { expect, test } from 'vitest'
import { memoryClock } from '../../../shared/adapters/memory/clock.ts'
import { createConditions } from '../../../shared/engine/condition.ts'
import { runConsumer } from '../../../shared/engine/consumer-run.ts'
import { AfluenteError } from '../../../shared/engine/errors.ts'
import { createNudge } from '../../../shared/engine/persist.ts'
import type { Subscription, SubscriptionRun } from '../../../shared/ports/subscription.ts'
import { whileTimePasses } from './world.ts'

const quiet = { info: () => {}, warn: () => {}, error: () => {} }

function stage(runs: readonly ((run: SubscriptionRun) => Promise<void>)[]) {
  const clock = memoryClock()
  const conditions = createConditions(clock)
  const nudge = createNudge(clock)
  let at = 0
  const subscription: Subscription = { run: async (_, options) => runs[at++]?.(options) }
  const deps = { consumer: 'test', subscription, handle: async () => {}, conditions, nudge, clock, log: quiet, random: () => 0 }
  return { clock, conditions, nudge, deps, runs: () => at }
}

const untilAborted = ({ signal }: SubscriptionRun) => new Promise<void>((resolve) => signal.addEventListener('abort', () => resolve()))

test('a broken subscription is begun again after longer and longer waits, and is well once the group has given its partitions', async () => {
  const broken = async () => {
    throw new AfluenteError('unavailable', 'broker', 'No broker answers.')
  }
  const joined = async ({ onReady }: SubscriptionRun) => {
    onReady?.()
    expect(world.conditions.present().state).toBe('running')
  }
  const world = stage([broken, broken, broken, joined])
  const states: string[] = []
  const began = world.clock.now()
  await whileTimePasses(world, runConsumer(world.deps, { signal: new AbortController().signal, untilEnd: true }), () =>
    states.push(world.conditions.present().reason),
  )
  expect(states).toContain('No broker answers.')
  expect(world.runs()).toBe(4)
  expect(world.clock.now() - began).toBe(100 + 200 + 400)
})

test('a wrong definition halts for a minute, or until it is woken', async () => {
  const wrong = async () => {
    throw new AfluenteError('misconfigured', 'topic', 'There is no such topic.')
  }
  const world = stage([wrong, wrong, async () => {}])
  const began = world.clock.now()
  const work = runConsumer(world.deps, { signal: new AbortController().signal, untilEnd: true })
  await new Promise((resolve) => setImmediate(resolve))
  expect(world.conditions.present()).toMatchObject({ state: 'halted', reason: 'There is no such topic.' })
  world.nudge.ring()
  await new Promise((resolve) => setImmediate(resolve))
  expect(world.runs()).toBe(2)
  await whileTimePasses(world, work)
  expect(world.clock.now() - began).toBe(60_000)
})

test('the signal ends a run, and no other begins', async () => {
  const world = stage([untilAborted])
  const stop = new AbortController()
  const work = runConsumer(world.deps, { signal: stop.signal, untilEnd: false })
  stop.abort()
  await work
  expect(world.runs()).toBe(1)
})

test('the soft budget ends a run as the signal would', async () => {
  const world = stage([untilAborted])
  const began = world.clock.now()
  await whileTimePasses(world, runConsumer(world.deps, { signal: new AbortController().signal, untilEnd: false, budgetMs: 20_000 }))
  expect(world.runs()).toBe(1)
  expect(world.clock.now() - began).toBe(20_000)
})

test('a subscription that breaks because it was told to end is not begun again', async () => {
  const stop = new AbortController()
  const world = stage([
    async () => {
      stop.abort()
      throw new Error('cut off')
    },
  ])
  await runConsumer(world.deps, { signal: stop.signal, untilEnd: false })
  expect(world.runs()).toBe(1)
})
