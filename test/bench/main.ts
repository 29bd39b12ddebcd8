/** `npm run bench -- NAME`. Exit 0 well, 1 a fault, 2 wrong use. */
import { describe } from '../../infra/local/fault.ts'
import { backfill } from './backfill.ts'
import { claims } from './capture-claims.ts'
import { captureSource } from './capture-source.ts'
import { capture } from './capture.ts'
import { compare, startSides } from './compare.ts'
import { counters, countersBench } from './counters.ts'
import { etl } from './etl.ts'
import { etlDatabases } from './etl-databases.ts'
import { latency } from './latency.ts'
import { type BenchOptions, readOptions, usage } from './options.ts'
import { reconcile, withoutSchedule } from './reconcile.ts'
import { redrive } from './redrive.ts'
import { createReport, words } from './report.ts'
import { rest } from './rest.ts'
import { byDefinition, casesOf } from './scale-cases.ts'
import { scaleTable, type Measured } from './scale-table.ts'
import { scale, scaleStack } from './scale.ts'
import { short } from './short.ts'
import { ownStack, runningStack } from './stack.ts'
import { silverOnly, throughput } from './throughput.ts'
import { NoSuchTree, treeOf } from './trees.ts'

// kafkajs sets timers in the past (tulios/kafkajs #1704): harmless here.
process.removeAllListeners('warning')

// Ctrl-C comes twice: from the terminal, and passed on by the process that started this one.
const ending = new AbortController()
for (const signal of ['SIGINT', 'SIGTERM'] as const) process.on(signal, () => ending.abort())

const options = wanted()
if (options === 'help') process.stdout.write(`${usage}\n`)
else if (options !== undefined) {
  try {
    await bench(options)
  } catch (error) {
    // Looks that wait for what will never come would keep this process.
    if (ending.signal.aborted) process.exit(130)
    words(`✗ ${describe(error)}`)
    process.exit(error instanceof NoSuchTree ? 2 : 1)
  }
}

async function bench(options: BenchOptions): Promise<void> {
  const { name, attach, commits } = options
  if (name === 'compare') {
    const [base, other] = [await treeOf(commits[0]), await treeOf(commits[1])]
    return await withStack(
      () => startSides([base, other], ending.signal),
      async (sides) => compare(sides, await createReport(name, sides.other), options),
    )
  }
  if (name === 'capture')
    return await withStack(
      () => captureSource(ending.signal),
      async (source) => capture(source, await createReport(name, source), options),
    )
  if (name === 'scale') {
    const measured: Measured[] = []
    for (const cases of byDefinition(casesOf(options)))
      await withStack(
        () => scaleStack(cases[0].definition, ending.signal),
        async (stack) => void measured.push(...(await scale(stack, await createReport(name, stack), cases))),
      )
    words(`\n${scaleTable(measured).join('\n')}\n`)
    if (!options.only.includes('backlog')) return
    return await withStack(
      () => captureSource(ending.signal),
      async (source) => claims(source, await createReport(name, source), options.claims),
    )
  }
  if (name === 'counters')
    return await withStack(
      () => countersBench(ending.signal),
      async (bench) => counters(bench, await createReport(name, bench), options),
    )
  if (name === 'etl')
    return await withStack(
      () => etlDatabases(ending.signal),
      async (databases) => etl(databases, await createReport(name, databases), options),
    )
  await withStack(attach ? async () => runningStack() : () => ownStack(ending.signal, name === 'reconcile' ? withoutSchedule : undefined), async (stack) => {
    const report = await createReport(name, stack)
    await { backfill, latency, reconcile, redrive, rest, short, throughput }[name](stack, report, options)
  })
  if (name === 'throughput' && !attach) {
    const silverAlone = (definition: string): string => definition.replace('bronze: true', 'bronze: false')
    await withStack(
      () => ownStack(ending.signal, silverAlone),
      async (stack) => silverOnly(stack, await createReport(name, stack), options),
    )
  }
}

/** However it ends, what was started is stopped. */
async function withStack<T extends { close(): Promise<void> }>(start: () => Promise<T>, work: (stack: T) => Promise<void>): Promise<void> {
  const stack = await start()
  const interrupted = new Promise<never>((_, reject) => ending.signal.addEventListener('abort', () => reject(new Error('interrupted'))))
  try {
    ending.signal.throwIfAborted()
    await Promise.race([work(stack), interrupted])
  } finally {
    await stack.close()
  }
}

function wanted(): BenchOptions | 'help' | undefined {
  try {
    return readOptions(process.argv.slice(2))
  } catch (error) {
    words(`${error instanceof Error ? error.message : String(error)}\n\n${usage}`)
    process.exitCode = 2
    return undefined
  }
}
