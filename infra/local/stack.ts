import { randomBytes } from 'node:crypto'
import { awaitConsumers } from './consumers.ts'
import { startControl } from './control.ts'
import { forget, homeAt, makeHome, writePrivate, type Home } from './home.ts'
import { tryLock, unlock } from './lock.ts'
import { assertDiskSpace } from './machine.ts'
import { createPart, StartInterrupted, type Part } from './part.ts'
import { placesOf, type Places } from './places.ts'
import { choosePorts, type PortChoice } from './ports.ts'
import { prepareSinks, prepareSource, seedOnce } from './prepare-databases.ts'
import { findOrphans, rememberProcesses, stopOrphans } from './processes.ts'
import { signalGroup } from './process-identity.ts'
import { seconds, type Progress, type Report } from './progress.ts'
import { stackRecipes } from './recipes.ts'
import { ensureSecrets, type Secrets } from './secrets.ts'
import { baseEnvironment, partNames, stackSettings, type PartName } from './settings.ts'
import type { StackInfo } from './stack-info.ts'
import { createRestarts } from './supervise.ts'
import { bundleWorker } from './worker/bundle.ts'

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
    assertDiskSpace(home.root)
    await clearOrphans(home, report)
    const ports = await choosePorts(options.ports ?? settings.ports)
    const secrets = { ...ensureSecrets(home.secretsFile), ...settings.chosen }
    const places = placesOf(ports, secrets, settings)
    const recipes = stackRecipes({ home, ports, places, secrets, settings, env, report, signal })
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

interface Context {
  readonly home: Home
  readonly report: Report
  readonly places: Places
  readonly secrets: Secrets
  readonly wanted: readonly PartName[]
  readonly recipes: ReturnType<typeof stackRecipes>
  readonly supervise: boolean
  readonly demo: boolean
  readonly passOn: Readonly<Record<string, string>>
  readonly env: NodeJS.ProcessEnv
  readonly signal: AbortSignal
}

async function bringUp(context: Context): Promise<Stack> {
  const { home, report, recipes, wanted, places } = context
  const parts = new Map<string, Part>()
  let info: StackInfo | undefined
  let stopping: Promise<void> | undefined
  const restart = createRestarts({
    note: (text) => report({ key: 'supervisor', state: 'note', text }),
    wait: (ms, then) => setTimeout(then, ms).unref(),
    now: () => performance.now(),
  })
  const onChange = (part: Part): void => {
    rememberProcesses(home, [...parts.values()])
    if (info === undefined || stopping !== undefined) return
    info.processes = processesOf(parts)
    writePrivate(home.stackFile, info)
    if (context.supervise) restart(part)
  }
  for (const name of wanted) {
    const recipe = recipes[name]
    if (recipe !== undefined) parts.set(name, createPart(recipe, { logFile: `${home.logs}/${name}.log`, onChange }))
  }
  const killAll = (): void => parts.forEach((part) => part.pid !== undefined && signalGroup(part.pid, 'SIGKILL'))
  process.once('exit', killAll)

  const { promise: stopped, resolve: hasStopped } = Promise.withResolvers<void>()
  const stop = (): Promise<void> => (stopping ??= takeDown())
  const ending = new AbortController()
  const takeDown = async (): Promise<void> => {
    ending.abort()
    for (const part of [...parts.values()].toReversed()) {
      if (part.pid !== undefined) report({ key: part.name, state: 'running', text: `stopping ${part.name}` })
      const ran = part.pid !== undefined
      await part.stop().catch(() => part.kill())
      report({ key: part.name, state: ran ? 'done' : 'gone', text: `${part.name} stopped` })
    }
    await control?.close()
    process.off('exit', killAll)
    for (const file of [home.stackFile, home.processesFile]) forget(file)
    unlock(home.lockFile)
    hasStopped()
  }
  const cron = async (): Promise<void> => {
    const response = await fetch(`${places.workerControl}/scheduled`, { method: 'POST', headers: { authorization: `Bearer ${context.secrets.apiToken}` } })
    if (!response.ok) throw new Error(`the Worker's scheduled handler answered ${response.status}: ${(await response.text()).slice(0, 300)}`)
  }
  const onAbort = (): void => void stop()
  context.signal.addEventListener('abort', onAbort)
  let control: Awaited<ReturnType<typeof startControl>> | undefined
  try {
    const names = (group: readonly PartName[]): Part[] => group.flatMap((name) => parts.get(name) ?? [])
    const prepared = wanted.includes('supabase')
    // The source's migrations need Postgres alone, so they run while Kafka and Elasticsearch still start.
    const withSource = async (part: Part): Promise<void> => {
      await startPart(part, report)
      if (prepared && part.name === 'postgres') await prepareSource(context)
    }
    if (prepared && !parts.has('postgres')) await prepareSource(context)
    const bundle = wanted.includes('worker') ? [bundleWorker({ env: context.env }).then(() => undefined)] : []
    await Promise.all([...names(['postgres', 'kafka', 'elasticsearch']).map(withSource), ...bundle])
    if (prepared) {
      await prepareSinks(context)
      report({ key: 'sinks', state: 'done', text: 'tables, topics and indices prepared' })
    }
    await Promise.all(names(['supabase', 'edge', 'worker']).map((part) => startPart(part, report)))
    if (prepared && parts.has('worker')) await awaitConsumers(context)
    if (prepared && context.demo && (await seedOnce(places.source))) report({ key: 'seed', state: 'done', text: 'source seeded (supabase/seed.sql)' })
    context.signal.throwIfAborted()
    context.signal.removeEventListener('abort', onAbort)
    const token = randomBytes(24).toString('base64url')
    control = await startControl({ token, parts, stop: () => void stop(), cron })
    info = stackInfo(context, parts, { url: control.url, token, pid: process.pid })
    writePrivate(home.stackFile, info)
    return { info, parts: Object.fromEntries(parts), cron, stop, stopped, ending: ending.signal }
  } catch (error) {
    await stop()
    throw error
  }
}

async function startPart(part: Part, report: Report): Promise<void> {
  const started = performance.now()
  const show = (): void => report({ key: part.name, state: 'running', text: `${part.name} starting, ${seconds(performance.now() - started)}` })
  show()
  const ticker = setInterval(show, 500)
  try {
    await part.start()
    report({ key: part.name, state: 'done', text: `${part.name} ready after ${seconds(performance.now() - started)}` })
  } catch (error) {
    if (!(error instanceof StartInterrupted)) report({ key: part.name, state: 'failed', text: `${part.name} did not start` })
    throw error
  } finally {
    clearInterval(ticker)
  }
}

async function clearOrphans(home: Home, report: Report): Promise<void> {
  const orphans = findOrphans(home)
  if (orphans.length === 0) return
  const list = orphans.map((orphan) => `${orphan.name} (pid ${orphan.pid})`).join(', ')
  report({ key: 'orphans', state: 'running', text: `stopping what a killed supervisor left: ${list}` })
  await stopOrphans(home, orphans)
  report({ key: 'orphans', state: 'note', text: `stopped what a killed supervisor had left running: ${list}` })
}

function stackInfo({ places, secrets }: Context, parts: ReadonlyMap<string, Part>, control: StackInfo['control']): StackInfo {
  return {
    version: 1,
    source: { url: places.source },
    supabase: { url: places.supabase, anonKey: secrets.anonKey, serviceRoleKey: secrets.serviceRoleKey },
    analytics: { url: places.analytics },
    chatwoot: { url: places.chatwoot },
    kafka: { brokers: [...places.brokers] },
    elasticsearch: { url: places.elasticsearch },
    worker: { url: places.worker, token: secrets.apiToken },
    processes: processesOf(parts),
    control,
    webhookSecret: secrets.webhookSecret,
  }
}

function processesOf(parts: ReadonlyMap<string, Part>): Record<string, number> {
  return Object.fromEntries([...parts].flatMap(([name, part]) => (part.pid === undefined ? [] : [[name, part.pid]])))
}

function reporter(options: StackOptions): Report {
  return (progress: Progress) => {
    options.report?.(progress)
    if (progress.state !== 'running' && progress.state !== 'gone') options.log?.(progress.text)
  }
}

/** Programs and folders only: a test's stack must not take servers from the shell it was started in. */
function ownEnvironment(): NodeJS.ProcessEnv {
  const names = [
    'PATH',
    'HOME',
    'JAVA_HOME',
    'LANG',
    'TMPDIR',
    'XDG_CACHE_HOME',
    'AFLUENTE_CACHE',
    'DENO_DIR',
    'HTTP_PROXY',
    'HTTPS_PROXY',
    'NO_PROXY',
    'MAVEN_OPTS',
  ]
  return Object.fromEntries(names.flatMap((name) => (process.env[name] === undefined ? [] : [[name, process.env[name]]])))
}
