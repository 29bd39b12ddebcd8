import { spawn, type ChildProcess } from 'node:child_process'
import { closeSync, openSync, readFileSync, renameSync, statSync } from 'node:fs'
import { until } from './deadline.ts'
import { Fault } from './fault.ts'
import { signalGroup } from './process-identity.ts'

/** How one server process is run. Data and small functions; knows nothing of supervision. */
export interface Recipe {
  readonly name: string
  /** Makes what must be there before the process starts; idempotent. */
  readonly before?: () => Promise<void>
  readonly command: () => Promise<Command> | Command
  /** Asked until it answers true; throwing is "not yet". */
  readonly ready: () => Promise<boolean>
  readonly readyWithinMs: number
  readonly stopSignal: NodeJS.Signals
  /** How long the process may take to stop before it is killed. */
  readonly stopWithinMs: number
  /** Turns what the process wrote before it died into a line that says what to do. */
  readonly explain?: (log: string) => Fault | undefined
}

export interface Command {
  readonly file: string
  readonly args: readonly string[]
  readonly env?: NodeJS.ProcessEnv
  readonly cwd?: string
  readonly uid?: number
  readonly gid?: number
}

export type PartState = 'stopped' | 'starting' | 'running' | 'stopping' | 'dead'

/** A supervised process. Starts and stops queue up; a stop ends a start that is under way. */
export interface Part {
  readonly name: string
  readonly pid: number | undefined
  readonly state: PartState
  /** Resolves when the part answers; nothing to do when it runs already. */
  start(): Promise<void>
  /** Asks politely, then kills. Resolves when the process is gone. */
  stop(): Promise<void>
  /** SIGKILL to the whole process group; resolves when the process is gone. The state is then `dead`, as after a crash. */
  kill(): Promise<void>
}

export interface PartDeps {
  readonly logFile: string
  /** Called at every change of state or pid, with the part as it is now. */
  readonly onChange?: (part: Part) => void
}

/** Somebody stopped the part before it answered. */
export class StartInterrupted extends Error {
  constructor(name: string) {
    super(`${name} was stopped while it started`)
    this.name = 'StartInterrupted'
  }
}

const keepLogBytes = 8 * 1024 * 1024

/** Makes a part of a recipe; starts nothing. */
export function createPart(recipe: Recipe, deps: PartDeps): Part {
  let child: ChildProcess | undefined
  let state: PartState = 'stopped'
  let queue: Promise<unknown> = Promise.resolve()
  let stopWanted = false

  const become = (next: PartState): void => {
    state = next
    deps.onChange?.(part)
  }
  const inTurn = (work: () => Promise<void>): Promise<void> => {
    const turn = queue.then(work, work)
    queue = turn.catch(() => undefined)
    return turn
  }
  const gone = (withinMs: number): Promise<boolean> => until(() => Promise.resolve(child === undefined), withinMs, 10)

  const start = async (): Promise<void> => {
    if (child !== undefined) return
    rotate(deps.logFile)
    const startOfLog = sizeOf(deps.logFile)
    become('starting')
    try {
      await recipe.before?.()
      const command = await recipe.command()
      const started = launch(command, deps.logFile)
      child = started
      started.once('error', () => (child = undefined))
      started.once('exit', () => {
        child = undefined
        // What it had started goes with it, whoever killed it: left behind it would hold ports and memory, and go on working.
        if (state !== 'stopping' && started.pid !== undefined) signalGroup(started.pid, 'SIGKILL')
        become(state === 'stopping' ? 'stopped' : 'dead')
      })
      become('starting')
      const ready = await until(async () => child === undefined || stopWanted || (await recipe.ready()), recipe.readyWithinMs)
      if (stopWanted) throw new StartInterrupted(recipe.name)
      if (child === undefined || !ready) throw failure(startOfLog, ready)
      become('running')
    } catch (error) {
      if (child?.pid !== undefined) signalGroup(child.pid, 'SIGKILL')
      await gone(5_000)
      become('dead')
      throw error
    }
  }
  const failure = (startOfLog: number, ended: boolean): Fault => {
    const log = readFrom(deps.logFile, startOfLog)
    const what = ended ? `${recipe.name} ended while it started` : `${recipe.name} did not answer within ${recipe.readyWithinMs / 1000} s`
    return recipe.explain?.(log) ?? new Fault(`${what}: ${lastLine(log)}`, `Its log is ${deps.logFile}`)
  }
  const stop = async (): Promise<void> => {
    if (child?.pid === undefined) return become('stopped')
    const pid = child.pid
    become('stopping')
    // To the leader alone: it stops its own children in the right order.
    child.kill(recipe.stopSignal)
    if (!(await gone(recipe.stopWithinMs))) {
      signalGroup(pid, 'SIGKILL')
      await gone(5_000)
    }
    signalGroup(pid, 'SIGKILL')
    become('stopped')
  }
  const kill = async (): Promise<void> => {
    if (child?.pid === undefined) return
    signalGroup(child.pid, 'SIGKILL')
    await gone(5_000)
  }

  const part: Part = {
    name: recipe.name,
    get pid() {
      return child?.pid
    },
    get state() {
      return state
    },
    start: () => inTurn(start),
    stop: () => {
      stopWanted = true
      return inTurn(stop).finally(() => (stopWanted = false))
    },
    kill,
  }
  return part
}

/** In a group of its own, so that Ctrl-C reaches the supervisor alone; its log is a file, so it outlives the supervisor. */
function launch(command: Command, logFile: string): ChildProcess {
  const log = openSync(logFile, 'a')
  try {
    return spawn(command.file, command.args, {
      detached: true,
      stdio: ['ignore', log, log],
      ...(command.cwd === undefined ? {} : { cwd: command.cwd }),
      ...(command.env === undefined ? {} : { env: command.env }),
      ...(command.uid === undefined ? {} : { uid: command.uid }),
      ...(command.gid === undefined ? {} : { gid: command.gid }),
    })
  } finally {
    closeSync(log)
  }
}

function rotate(file: string): void {
  if (sizeOf(file) > keepLogBytes) renameSync(file, `${file}.1`)
}

function sizeOf(file: string): number {
  return statSync(file, { throwIfNoEntry: false })?.size ?? 0
}

function readFrom(file: string, position: number): string {
  try {
    return readFileSync(file).subarray(position).toString('utf8')
  } catch {
    return ''
  }
}

/** The first line that looks like the reason, else the last one there is. */
function lastLine(log: string): string {
  const lines = log.split('\n').filter((line) => line.trim() !== '')
  const reason = lines.find((line) => /\b(FATAL|ERROR|Exception|error:)/.test(line)) ?? lines.at(-1) ?? 'it wrote nothing'
  return reason.trim().slice(0, 200)
}
