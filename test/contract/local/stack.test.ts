import { spawn } from 'node:child_process'
import { existsSync, mkdtempSync, readFileSync, rmSync, statSync } from 'node:fs'
import { resolve } from 'node:path'
import pg from 'pg'
import { afterAll, afterEach, beforeAll, beforeEach, expect, it } from 'vitest'
import { homeAt } from '../../../infra/local/home.ts'
import { identify } from '../../../infra/local/process-identity.ts'
import { readStackFile } from '../../../infra/local/stack-info.ts'
import { AlreadyRunning, startStack, type Stack } from '../../../infra/local/stack.ts'
import { reset } from '../../../infra/local/verbs/reset.ts'
import { stop } from '../../../infra/local/verbs/stop.ts'
import { eventually } from '../../support/poll.ts'

const node = resolve('node_modules/.bin/node')
let home = homeAt('.')
let stacks: Stack[] = []
let said: string[] = []

// One home for all: making a cluster takes longest. Inside the checkout, as a real one: Postgres' own user must reach it.
beforeAll(() => {
  home = homeAt(mkdtempSync(resolve('.afluente-test-')))
})
afterAll(() => rmSync(home.root, { recursive: true, force: true }))
beforeEach(() => {
  stacks = []
  said = []
})
afterEach(async () => {
  for (const stack of stacks) await stack.stop()
  await stop(home, () => undefined)
})

/** The quickest part alone: what is tested here is the supervisor. */
async function start(): Promise<Stack> {
  const stack = await startStack({ home: home.root, ports: 'free', only: ['postgres'], log: (line) => said.push(line) })
  stacks.push(stack)
  return stack
}

async function query(url: string, sql: string): Promise<unknown[]> {
  const client = new pg.Client({ connectionString: url })
  await client.connect()
  try {
    const { rows } = await client.query<Record<string, unknown>>(sql)
    return rows
  } finally {
    await client.end()
  }
}

/** A supervisor in a process of its own, as `npm start` is one. */
async function startElsewhere(): Promise<number> {
  const script = `import { startStack } from './infra/local/stack.ts'; await startStack({ home: process.argv[1], ports: 'free', only: ['postgres'] })`
  const child = spawn(node, ['--input-type=module', '-e', script, home.root], { stdio: 'ignore', env: { PATH: process.env['PATH'] } })
  await eventually('the other supervisor has its stack ready', () => readStackFile(home) !== undefined)
  return child.pid ?? 0
}

it('says where everything is, for this user alone, with process ids that stay true', async () => {
  const stack = await start()
  expect(statSync(home.stackFile).mode & 0o777).toBe(0o600)
  expect(readStackFile(home)).toEqual(stack.info)
  await stack.parts['postgres']?.kill()
  expect(readStackFile(home)?.processes).toEqual({})
  await stack.parts['postgres']?.start()
  expect(readStackFile(home)?.processes).toEqual({ postgres: stack.parts['postgres']?.pid })
  expect(await query(stack.info.source.url, 'select 1 as one')).toEqual([{ one: 1 }])
})

it('finds the first stack when it is started a second time', async () => {
  const pid = await startElsewhere()
  const before = readFileSync(home.stackFile, 'utf8')
  await expect(start()).rejects.toThrow(AlreadyRunning)
  await expect(start()).rejects.toMatchObject({ pid })
  expect(readFileSync(home.stackFile, 'utf8')).toBe(before)
  await stop(home, (line) => said.push(line))
  await eventually('the other supervisor has ended', () => identify(pid) === undefined)
  expect(said.at(-1)).toContain('stopped; the data stay')
})

it('finds what a killed supervisor left running, stops it, says so, and goes on with the data', async () => {
  const supervisor = await startElsewhere()
  const left = readStackFile(home)
  await query(left?.source.url ?? '', 'create table left_alone as select 42 as answer')
  process.kill(supervisor, 'SIGKILL')
  await eventually('the supervisor is gone', () => identify(supervisor) === undefined)
  expect(identify(left?.processes['postgres'] ?? 0)).toBeDefined()
  const starting = start()
  expect(existsSync(home.stackFile)).toBe(false)
  const stack = await starting
  expect(said[0]).toBe(`stopped what a killed supervisor had left running: postgres (pid ${left?.processes['postgres']})`)
  expect(identify(left?.processes['postgres'] ?? 0)).toBeUndefined()
  expect(await query(stack.info.source.url, 'select answer from left_alone')).toEqual([{ answer: 42 }])
})

it('is stopped through its control server, by whoever has stack.json', async () => {
  const stack = await start()
  const { url, token } = stack.info.control
  const response = await fetch(`${url}/stop`, { method: 'POST', headers: { authorization: `Bearer ${token}` } })
  expect(response.status).toBe(202)
  await stack.stopped
  expect(existsSync(home.stackFile)).toBe(false)
  expect(stack.parts['postgres']?.pid).toBeUndefined()
})

it('leaves nothing behind when a start fails or is called off', async () => {
  const calledOff = new AbortController()
  const starting = startStack({
    home: home.root,
    ports: 'free',
    only: ['postgres'],
    signal: calledOff.signal,
    report: ({ state }) => state === 'running' && calledOff.abort(),
  })
  await expect(starting).rejects.toThrow(/was stopped while it started|aborted/)
  expect(existsSync(home.stackFile)).toBe(false)
  expect(existsSync(home.lockFile)).toBe(false)
  await start()
})

it('knows its own verbs from a fresh shell, and refuses others with the usage', async () => {
  const child = spawn(node, ['infra/local/main.mjs', 'begin'], {
    stdio: ['ignore', 'ignore', 'pipe'],
    env: { PATH: process.env['PATH'], AFLUENTE_HOME: home.root },
  })
  let errors = ''
  child.stderr.on('data', (chunk) => (errors += String(chunk)))
  const code = await new Promise((settle) => child.once('exit', settle))
  expect([code, errors]).toEqual([2, expect.stringContaining('npm start [-- --detach] [-- --no-demo] · npm stop · npm run reset')])
})

it('keeps the data over a restart, and reset removes them', async () => {
  const first = await start()
  await query(first.info.analytics.url, 'create table kept as select 42 as answer')
  await first.stop()
  expect(existsSync(home.stackFile)).toBe(false)
  const second = await start()
  expect(await query(second.info.analytics.url, 'select answer from kept')).toEqual([{ answer: 42 }])
  expect(() => reset(home, () => undefined)).toThrow(/A stack runs under .* \(pid \d+\)/)
  await second.stop()
  reset(home, () => undefined)
  expect(existsSync(home.data)).toBe(false)
})
