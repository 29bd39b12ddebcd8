import { afterEach, expect, it } from 'vitest'
import { startControl } from '../../../infra/local/control.ts'
import type { Part, PartState } from '../../../infra/local/part.ts'
import { createRestarts } from '../../../infra/local/supervise.ts'

/** A part in memory; `fails` starts fail. */
function fakePart(fails = 0): Part & { become(state: PartState): void; starts: number; calls: string[] } {
  let state: PartState = 'running'
  const part = {
    name: 'kafka',
    pid: 7,
    starts: 0,
    calls: [] as string[],
    get state() {
      return state
    },
    become: (next: PartState) => void (state = next),
    start: async () => {
      part.calls.push('start')
      part.starts++
      if (part.starts <= fails) throw new Error('still no')
      state = 'running'
    },
    stop: async () => void part.calls.push('stop'),
    kill: async () => void part.calls.push('kill'),
  }
  return part
}

it('starts a dead part again, with waits that double while it keeps falling and begin anew once it held', async () => {
  const waits: number[] = []
  const due: (() => void)[] = []
  let now = 0
  const onChange = createRestarts({ note: () => undefined, wait: (ms, then) => void (waits.push(ms), due.push(then)), now: () => now })
  const part = fakePart()
  for (let fall = 0; fall < 8; fall++) {
    part.become('dead')
    onChange(part)
    onChange(part)
    due.shift()?.()
    await Promise.resolve()
  }
  expect(waits).toEqual([500, 1_000, 2_000, 4_000, 8_000, 16_000, 30_000, 30_000])
  expect(part.starts).toBe(8)
  now += 61_000
  part.become('dead')
  onChange(part)
  expect(waits.at(-1)).toBe(500)
})

it('leaves alone what was stopped on purpose', () => {
  const onChange = createRestarts({ note: () => undefined, wait: () => expect.unreachable('nothing to start'), now: () => 0 })
  const part = fakePart()
  part.become('stopped')
  onChange(part)
  expect(part.starts).toBe(0)
})

let close = async (): Promise<void> => undefined
afterEach(() => close())

async function control(part: Part, stop = (): void => undefined): Promise<(method: string, path: string, token?: string) => Promise<number>> {
  const server = await startControl({ token: 'the token of this test', parts: new Map([[part.name, part]]), stop, cron: async () => undefined })
  close = server.close
  return async (method, path, token = 'the token of this test') =>
    (await fetch(server.url + path, { method, headers: { authorization: `Bearer ${token}` } })).status
}

it('is controlled by those who know the token alone', async () => {
  const part = fakePart()
  const call = await control(part)
  expect(await call('POST', '/parts/kafka/kill', 'another')).toBe(401)
  expect(await call('GET', '/status', '')).toBe(401)
  expect(part.calls).toEqual([])
})

it('stops, starts, kills and restarts a part, and knows no others', async () => {
  const part = fakePart()
  const call = await control(part)
  for (const verb of ['stop', 'start', 'kill', 'restart']) expect(await call('POST', `/parts/kafka/${verb}`)).toBe(200)
  expect(part.calls).toEqual(['stop', 'start', 'kill', 'stop', 'start'])
  expect(await call('POST', '/parts/redis/stop')).toBe(404)
  expect(await call('POST', '/parts/kafka/explode')).toBe(404)
  expect(await call('POST', '/parts/kafka/constructor')).toBe(404)
  expect(await call('POST', '/cron')).toBe(200)
  expect(await call('GET', '/status')).toBe(200)
})

it('answers a failed start with the reason', async () => {
  const call = await control(fakePart(1))
  expect(await call('POST', '/parts/kafka/start')).toBe(500)
})
