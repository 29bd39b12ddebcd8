import { randomBytes } from 'node:crypto'
import { awaitConsumers } from './consumers.ts'
import { startControl } from './control.ts'
import { forget, writePrivate, type Home } from './home.ts'
import { unlock } from './lock.ts'
import { createPart, type Part } from './part.ts'
import type { Places } from './places.ts'
import { prepareLocalChatwoot, prepareSinks, prepareSource } from './prepare-databases.ts'
import { rememberProcesses } from './processes.ts'
import { signalGroup } from './process-identity.ts'
import type { Report } from './progress.ts'
import type { stackRecipes } from './recipes.ts'
import type { Secrets } from './secrets.ts'
import { seedAndSend } from './seed.ts'
import type { PartName } from './settings.ts'
import { processesOf, stackInfo, type StackInfo } from './stack-info.ts'
import type { Stack } from './stack.ts'
import { startPart } from './start-part.ts'
import { createRestarts } from './supervise.ts'
import { bundleWorker } from './worker/bundle.ts'

/** Everything that is settled before the first process starts. */
export interface BringUp {
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

/** Starts the wanted parts in order, writes stack.json, and keeps it true until the stack is stopped. On failure all is stopped again. */
export async function bringUp(context: BringUp): Promise<Stack> {
  const { home, report, places, secrets } = context
  let info: StackInfo | undefined
  let stopping: Promise<void> | undefined
  let control: Awaited<ReturnType<typeof startControl>> | undefined
  const ending = new AbortController()
  const { promise: stopped, resolve: hasStopped } = Promise.withResolvers<void>()
  const parts = new Map<string, Part>()
  const fallen = onFall(context)
  const onChange = (part: Part): void => {
    rememberProcesses(home, [...parts.values()])
    if (info === undefined || stopping !== undefined) return
    info.processes = processesOf(parts)
    writePrivate(home.stackFile, info)
    if (part.state === 'dead') fallen(part)
  }
  for (const name of context.wanted) {
    const recipe = context.recipes[name]
    if (recipe !== undefined) parts.set(name, createPart(recipe, { logFile: `${home.logs}/${name}.log`, onChange }))
  }
  // For a supervisor that ends without its own stop: an uncaught error, process.exit in a test.
  const killAll = (): void => parts.forEach((part) => part.pid !== undefined && signalGroup(part.pid, 'SIGKILL'))
  process.once('exit', killAll)

  const takeDown = async (): Promise<void> => {
    ending.abort()
    await stopParts(parts, report)
    await control?.close()
    process.off('exit', killAll)
    for (const file of [home.stackFile, home.processesFile]) forget(file)
    unlock(home.lockFile)
    hasStopped()
  }
  const stop = (): Promise<void> => (stopping ??= takeDown())
  const cron = async (): Promise<void> => {
    const response = await fetch(`${places.workerControl}/scheduled`, { method: 'POST', headers: { authorization: `Bearer ${secrets.apiToken}` } })
    if (!response.ok) throw new Error(`the Worker's scheduled handler answered ${response.status}: ${(await response.text()).slice(0, 300)}`)
  }
  const onAbort = (): void => void stop()
  context.signal.addEventListener('abort', onAbort)
  try {
    await startInOrder(context, parts)
    context.signal.throwIfAborted()
    context.signal.removeEventListener('abort', onAbort)
    const token = randomBytes(24).toString('base64url')
    control = await startControl({ token, parts, stop: () => void stop(), cron })
    info = stackInfo({ places, secrets, parts, control: { url: control.url, token, pid: process.pid } })
    writePrivate(home.stackFile, info)
    return { info, parts: Object.fromEntries(parts), cron, stop, stopped, ending: ending.signal }
  } catch (error) {
    await stop()
    // A part that was being started when all others were stopped already.
    await stopParts(parts, report)
    forget(home.processesFile)
    throw error
  }
}

async function startInOrder(context: BringUp, parts: ReadonlyMap<string, Part>): Promise<void> {
  const { report, signal, wanted } = context
  const prepared = wanted.includes('supabase')
  const start = async (name: PartName): Promise<void> => {
    signal.throwIfAborted()
    const part = parts.get(name)
    if (part !== undefined) await startPart(part, report)
    // What Postgres alone is needed for is done while Kafka and Elasticsearch still start.
    if (name === 'postgres' && prepared) {
      await prepareSource(context)
      if (part !== undefined || context.places.chatwoot === context.places.chatwootReader) await prepareLocalChatwoot(context, context.demo)
    }
  }
  const bundle = wanted.includes('worker') ? [bundleWorker({ env: context.env })] : []
  await Promise.all([start('postgres'), start('kafka'), start('elasticsearch'), ...bundle])
  if (prepared) {
    signal.throwIfAborted()
    await prepareSinks(context)
    report({ key: 'sinks', state: 'done', text: 'tables, topics and indices prepared' })
  }
  await Promise.all([start('supabase'), start('edge'), start('worker')])
  if (prepared && parts.has('worker')) await awaitConsumers(context)
  if (prepared && context.demo) await seedAndSend(context)
}

/** Last started first: nothing loses what it leans on. */
async function stopParts(parts: ReadonlyMap<string, Part>, report: Report): Promise<void> {
  for (const part of [...parts.values()].toReversed()) {
    const ran = part.pid !== undefined
    if (ran) report({ key: part.name, state: 'running', text: `stopping ${part.name}` })
    await part.stop().catch(() => part.kill())
    report({ key: part.name, state: ran ? 'done' : 'gone', text: `${part.name} stopped` })
  }
}

/** What is done about a part that died: started again where that is asked for, else told. */
function onFall({ supervise, report, home }: BringUp): (part: Part) => void {
  const note = (text: string): void => report({ key: 'supervisor', state: 'note', text })
  if (supervise) return createRestarts({ note, wait: (ms, then) => setTimeout(then, ms).unref(), now: () => performance.now() })
  return (part) =>
    note(`${part.name} died; its log is ${home.logs}/${part.name}.log. npm stop and npm start bring it back; AFLUENTE_SUPERVISE=1 does by itself`)
}
