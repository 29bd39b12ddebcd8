import { bringUp } from './bring-up.ts'
import { forget, homeAt, makeHome, type Home } from './home.ts'
import { tryLock, unlock } from './lock.ts'
import { assertDiskSpace } from './machine.ts'
import type { Part } from './part.ts'
import { placesOf } from './places.ts'
import { choosePorts, type PortChoice } from './ports.ts'
import { clearOrphans } from './processes.ts'
import type { Progress, Report } from './progress.ts'
import { type EnvironmentOf, stackRecipes } from './recipes.ts'
import { ensureSecrets } from './secrets.ts'
import { baseEnvironment, ownEnvironment, partNames, stackSettings, type PartName } from './settings.ts'
import type { StackInfo } from './stack-info.ts'

export interface StackOptions {
  /** Where the stack keeps data, logs, stack.json; `.afluente` in the repository when not given. */
  readonly home?: string
  /** `free`: any free ports, for a stack beside another one. */
  readonly ports?: PortChoice
  /** Seed rows into the source on the first start. False by default. */
  readonly demo?: boolean
  /** Only these parts, e.g. the three servers; databases are prepared when `supabase` is among them. */
  readonly only?: readonly PartName[]
  /** Where URLs of somebody's own servers, AFLUENTE_SUPERVISE and PATH are read; the process's own PATH when not given. */
  readonly env?: NodeJS.ProcessEnv
  /** Plain lines of what is done. */
  readonly log?: (line: string) => void
  /** Every step, running ones too. */
  readonly report?: Report
  /** Ends a start under way: what was started is stopped, and the start rejects. */
  readonly signal?: AbortSignal
  /** Puts proxies and wrong clocks between the functions and their servers. */
  readonly environmentOf?: EnvironmentOf
}

export interface Stack {
  readonly info: StackInfo
  readonly parts: Readonly<Record<string, Part>>
  /** Fires the Worker's cron once. */
  cron(): Promise<void>
  /** Stops every part in reverse order and forgets the stack. Data stay. */
  stop(): Promise<void>
  /** Aborted as soon as the stack begins to stop, by whomever. */
  readonly ending: AbortSignal
  /** Resolves when the stack has been stopped. */
  readonly stopped: Promise<void>
}

/** Another supervisor works on the same home. */
export class AlreadyRunning extends Error {
  readonly pid: number

  constructor(pid: number, home: Home) {
    super(`A stack runs already under ${home.root} (pid ${pid})`)
    this.name = 'AlreadyRunning'
    this.pid = pid
  }
}

/**
 * Starts the stack and resolves when every part answers. What it started it also stops, on failure as well.
 * @throws Fault that says what to do; AlreadyRunning when another supervisor has this home.
 */
export async function startStack(options: StackOptions = {}): Promise<Stack> {
  const env = options.env ?? ownEnvironment()
  const settings = stackSettings(env)
  const home = homeAt(options.home ?? settings.home)
  const report = reporter(options)
  const signal = options.signal ?? new AbortController().signal
  makeHome(home)
  const holder = tryLock(home.lockFile)
  if (holder !== undefined) throw new AlreadyRunning(holder.pid, home)
  try {
    // A hard-killed supervisor's: nobody must attach to what isn't there.
    forget(home.stackFile)
    assertDiskSpace(home.root)
    await clearOrphans(home, report)
    const ports = await choosePorts(options.ports ?? settings.ports)
    const secrets = { ...ensureSecrets(home.secretsFile), ...settings.chosen }
    const places = placesOf(ports, secrets, settings)
    const { environmentOf } = options
    const recipes = stackRecipes({
      home,
      ports,
      places,
      secrets,
      settings,
      env,
      report,
      signal,
      ...(environmentOf === undefined ? {} : { environmentOf }),
    })
    const wanted = partNames.filter((name) => options.only?.includes(name) ?? true)
    const context = {
      home,
      report,
      places,
      secrets,
      wanted,
      recipes,
      supervise: settings.supervise,
      demo: options.demo ?? false,
      env: baseEnvironment(env),
      passOn: settings.passOn,
      signal,
    }
    return await bringUp(context)
  } catch (error) {
    unlock(home.lockFile)
    throw error
  }
}

function reporter(options: StackOptions): Report {
  return (progress: Progress) => {
    options.report?.(progress)
    if (progress.state !== 'running' && progress.state !== 'gone') options.log?.(progress.text)
  }
}
