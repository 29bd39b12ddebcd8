import { openSync } from 'node:fs'
import { spawn } from 'node:child_process'
import { join } from 'node:path'
import * as z from 'zod'
import { until } from '../deadline.ts'
import { describe } from '../fault.ts'
import { createGauge, readingLine } from '../gauge.ts'
import { makeHome, type Home } from '../home.ts'
import { stackKafka } from '../kafka-client.ts'
import type { Report } from '../progress.ts'
import { seconds } from '../progress.ts'
import { followOneRow, rowWayLine } from '../row-way.ts'
import { whenReady, whereLines } from '../running.ts'
import { AlreadyRunning, startStack, type Stack } from '../stack.ts'
import { stackSettings } from '../settings.ts'
import { createScreen, type Screen } from '../terminal.ts'

export interface StartOptions {
  readonly home: Home
  readonly env: NodeJS.ProcessEnv
  /** Seed the source, write one row and show its way. */
  readonly demo: boolean
}

/** What a detached supervisor tells the command that started it. */
const message = z.discriminatedUnion('type', [
  z.object({
    type: z.literal('progress'),
    progress: z.object({ key: z.string(), text: z.string(), state: z.enum(['running', 'done', 'failed', 'note', 'gone']) }),
  }),
  z.object({ type: z.literal('line'), text: z.string() }),
  z.object({ type: z.literal('end'), code: z.number() }),
])
type Message = z.infer<typeof message>

interface Output {
  readonly report: Report
  readonly line: (text: string) => void
}

function ownScreen(): Screen {
  const out = process.stdout
  return createScreen({ write: (text) => out.write(text), terminal: out.isTTY, width: () => out.columns })
}

/** The stack in this terminal, until Ctrl-C. */
export async function startForeground(options: StartOptions): Promise<number> {
  const screen = ownScreen()
  return hold(options, screen, async (stack) => {
    const shown = showStatus(stack, screen, options.env)
    await stack.stopped
    await shown
    screen.line('  stopped; the data stay (npm run reset removes them)')
  })
}

/** The stack in a process of its own; resolves when it is ready. */
export async function startDetached({ home, demo }: StartOptions): Promise<number> {
  const screen = ownScreen()
  makeHome(home)
  const log = openSync(join(home.logs, 'supervisor.log'), 'a')
  const args = [join(import.meta.dirname, '../cli.ts'), 'start', '--supervise-for-parent', ...(demo ? [] : ['--no-demo'])]
  const child = spawn(process.execPath, args, { detached: true, stdio: ['ignore', log, log, 'ipc'] })
  for (const signal of ['SIGINT', 'SIGTERM', 'SIGHUP'] as const) process.on(signal, () => child.kill('SIGTERM'))
  const code = await new Promise<number>((resolve) => {
    child.on('message', (raw) => {
      const said = message.parse(raw)
      if (said.type === 'progress') screen.report(said.progress)
      else if (said.type === 'line') screen.line(said.text)
      else resolve(said.code)
    })
    child.once('exit', (status) => resolve(status ?? 1))
  })
  if (child.connected) child.disconnect()
  child.unref()
  return code
}

/** The other end of `startDetached`. */
export async function superviseForParent(options: StartOptions): Promise<number> {
  const send = (said: Message): void => {
    if (process.connected) process.send?.(said, undefined, undefined, () => undefined)
  }
  const output: Output = {
    report: (progress) => {
      if (progress.state !== 'running' && progress.state !== 'gone') console.log(progress.text)
      send({ type: 'progress', progress })
    },
    line: (text) => send({ type: 'line', text }),
  }
  const code = await hold(options, output, async (stack) => {
    output.line('  it goes on in the background; npm stop stops it')
    send({ type: 'end', code: 0 })
    await stack.stopped
  })
  send({ type: 'end', code })
  if (process.connected) process.disconnect()
  return code
}

/** Starts the stack, shows where it is and the way of a row, then hands it over; stops it on a signal. */
async function hold({ home, env, demo }: StartOptions, output: Output, keep: (stack: Stack) => Promise<void>): Promise<number> {
  const interrupted = new AbortController()
  let stack: Stack | undefined
  let signals = 0
  const onSignal = (): void => {
    // Ctrl-C reaches npm and us both, and npm passes it on: only a late second one means "at once".
    if (signals++ > 3) process.exit(130)
    if (stack === undefined) interrupted.abort()
    else void stack.stop()
  }
  for (const signal of ['SIGINT', 'SIGTERM', 'SIGHUP'] as const) process.on(signal, onSignal)
  const started = performance.now()
  try {
    stack = await startStack({ home: home.root, env, demo, report: output.report, signal: interrupted.signal })
  } catch (error) {
    if (error instanceof AlreadyRunning) return tellWhere(home, error, output)
    if (interrupted.signal.aborted) {
      output.line('  interrupted; everything that was started has been stopped')
      return 130
    }
    output.line(`  ✗ ${describe(error)}`)
    return 1
  }
  output.line(`  ready after ${seconds(performance.now() - started)}`)
  for (const line of whereLines(stack.info, home)) output.line(`    ${line}`)
  if (demo) await showRow(stack, output, home)
  await keep(stack)
  return 0
}

async function showRow(stack: Stack, output: Output, home: Home): Promise<void> {
  try {
    const { insert, update } = await followOneRow(stack.info)
    output.line(`  the way of one row, the first: ${rowWayLine(insert)}`)
    if (update !== undefined) output.line(`  and of its update, once warm:  ${rowWayLine(update)}`)
    if (insert.elasticsearch === undefined) output.line(`  look into ${home.logs}: edge.log for Kafka, worker.log for the sinks`)
  } catch (error) {
    output.line(`  the way of one row could not be shown: ${error instanceof Error ? error.message : String(error)}`)
  }
}

/** Moves each second on a terminal; elsewhere one line a minute. Says which part is dead and what to do. */
async function showStatus(stack: Stack, screen: Screen, env: NodeJS.ProcessEnv): Promise<void> {
  const signal = stack.ending
  const gauge = createGauge({ info: stack.info, kafka: stackKafka(stack.info.kafka.brokers, stackSettings(env).passOn), now: () => performance.now() })
  const everyMs = process.stdout.isTTY ? 1_000 : 60_000
  try {
    while (!signal.aborted) {
      const dead = Object.values(stack.parts).filter((part) => part.state === 'dead' || part.state === 'stopped')
      const text =
        dead.length > 0
          ? `✗ ${dead.map((part) => part.name).join(', ')} not running: see .afluente/logs, then npm stop and npm start (AFLUENTE_SUPERVISE=1 restarts parts by itself)`
          : await gauge.read().then(readingLine, (error: unknown) => `no reading: ${error instanceof Error ? error.message : String(error)}`)
      if (signal.aborted) break
      if (process.stdout.isTTY) screen.status(text)
      else screen.line(`  ${text}`)
      await until(() => Promise.resolve(signal.aborted), everyMs, 100)
    }
  } finally {
    screen.clear()
    await gauge.close()
  }
}

async function tellWhere(home: Home, error: AlreadyRunning, output: Output): Promise<number> {
  const info = await whenReady(home)
  if (info === undefined) {
    output.line(`  ✗ ${error.message}, but it ended before it was ready. Its log is ${join(home.logs, 'supervisor.log')}`)
    return 1
  }
  output.line(`  a stack runs already (pid ${error.pid}); npm stop stops it`)
  for (const line of whereLines(info, home)) output.line(`    ${line}`)
  return 0
}
