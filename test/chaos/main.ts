/** `npm run chaos`. Exit 0 well, 1 something was lost, doubled or stale, 2 wrong use. */
import { cp } from 'node:fs/promises'
import { setTimeout as sleep } from 'node:timers/promises'
import { join } from 'node:path'
import { repository } from '../../infra/local/home.ts'
import { randomOf } from '../../infra/simulate/random.ts'
import { createDoorbells } from './doorbells.ts'
import { type Evidence, gather } from './evidence.ts'
import { createFaults } from './faults.ts'
import { createFlowReader } from './flow.ts'
import { redriveTheRest } from './letters.ts'
import { judge } from './judge/all.ts'
import { type Finding, finding } from './judge/finding.ts'
import { type ChaosOptions, readOptions, usage } from './options.ts'
import { linesOf, type Outcome } from './report.ts'
import { sabotages } from './sabotage.ts'
import { startSampler } from './sampler.ts'
import { scheduleOf } from './schedule.ts'
import { settle } from './settle.ts'
import { createWorld, type World } from './world.ts'
import { startWriters } from './writers.ts'

const REST_WITHIN_MS = 150_000
const TELL_EVERY_MS = 5_000

const began = performance.now()
const say = (line: string): void =>
  void process.stdout.write(line === '' ? '\n' : `  ${((performance.now() - began) / 1_000).toFixed(1).padStart(6)} s  ${line}\n`)

// kafkajs sets timers in the past (tulios/kafkajs #1704).
process.removeAllListeners('warning')
process.on('warning', (warning) => {
  if (warning.name !== 'TimeoutNegativeWarning') process.stderr.write(`${String(warning.stack)}\n`)
})

const ending = new AbortController()
for (const signal of ['SIGINT', 'SIGTERM', 'SIGHUP'] as const) process.on(signal, () => ending.abort(new Error('interrupted')))

const options = wanted()
// Not left to Node's own end, which waits for every socket: of those that were reset in the midst of something one was seen to keep it for ever.
if (options !== undefined) process.exit(await chaos(options))

async function chaos(options: ChaosOptions): Promise<number> {
  const random = randomOf(options.seed)
  const schedule = scheduleOf(random, options.seconds)
  say(`seed ${options.seed}: ${schedule.length} faults in ${options.seconds} s; ${options.writers} writers, ${options.rate} transactions a second`)
  const world = await createWorld({ random: random.number, signal: ending.signal, log: say })
  try {
    const outcome = await run(world, options, schedule)
    const lines = linesOf(outcome, options)
    if (!outcome.ok || options.logs) {
      const kept = join(repository, `.afluente-chaos-logs-${options.seed}`)
      await cp(world.logs, kept, { recursive: true })
      say(`the logs of every part: ${kept}`)
    }
    for (const line of lines) process.stdout.write(`${line}\n`)
    if (options.json) process.stdout.write(`${JSON.stringify(outcome)}\n`)
    return outcome.ok ? 0 : 1
  } catch (error) {
    process.stderr.write(`✗ ${error instanceof Error ? (ending.signal.aborted ? error.message : String(error.stack)) : String(error)}\n`)
    return 1
  } finally {
    say('stopping')
    await world.close()
  }
}

async function run(world: World, options: ChaosOptions, schedule: ReturnType<typeof scheduleOf>): Promise<Outcome> {
  const flow = createFlowReader(world)
  const doorbells = createDoorbells(world.info)
  const faults = createFaults({ world, doorbells, say, signal: ending.signal })
  const sampler = startSampler(world, flow, [doorbells.look, faults.look])
  const stopWriting = new AbortController()
  const writers = startWriters({
    url: world.info.source.url,
    seed: options.seed,
    writers: options.writers,
    rate: options.rate,
    signal: AbortSignal.any([stopWriting.signal, ending.signal]),
  })
  const telling = setInterval(() => {
    const { lag, outbox } = sampler.samples
    const kills = Object.values(faults.survived.kills).reduce((a, b) => a + b, 0)
    say(`… ${writers.counts.committed} transactions, ${outbox ?? '–'} changes in the outbox, ${lag ?? '–'} events to settle, ${kills} kills`)
  }, TELL_EVERY_MS)
  try {
    await Promise.all([faults.run(schedule), sleep(options.seconds * 1_000, undefined, { signal: ending.signal })])
    stopWriting.abort()
    const overAtMs = Date.now()
    await Promise.all([writers.done, faults.heal()])
    ending.signal.throwIfAborted()
    say('all is healed; redriving what is left, and waiting for rest')
    const resting = async () => {
      const { ms } = await settle(flow, { withinMs: REST_WITHIN_MS, signal: ending.signal })
      // What was refused to the last came through only now.
      await redriveTheRest(world, { withinMs: REST_WITHIN_MS, signal: ending.signal })
      return { ms }
    }
    const rest = await resting().catch((error: unknown) => {
      ending.signal.throwIfAborted()
      return error instanceof Error ? error : new Error(String(error))
    })
    await sampler.stop()
    const restless = rest instanceof Error ? [finding('I9', 'broken', rest.message)] : []
    say('reading what there is')
    const given = { written: writers, wentBack: sampler.samples.wentBack, refusals: faults.refusals }
    const audit = async (): Promise<Evidence> => gather(world, { ...given, flow: await flow.read() })
    const evidence = await audit()
    const findings = [...restless, ...faults.fallen.map((part) => finding('parts', 'broken', `${part} died by itself`)), ...judge(evidence)]
    for (const [what, looks] of Object.entries(sampler.samples.looks))
      if (looks < options.seconds / 10) findings.push(finding('I7', 'broken', `only ${looks} looks at ${what} succeeded while it ran`))
    const proof = options.prove && findings.length === 0 ? await prove(world, audit, findings) : { proved: [], unnoticed: [] }
    const count = (kind: Finding['kind']): number => findings.filter((one) => one.kind === kind).length
    const links = Object.values(world.links)
    return {
      seconds: options.seconds,
      seed: options.seed,
      ok: findings.length === 0 && proof.unnoticed.length === 0,
      lost: count('lost'),
      doubled: count('doubled'),
      stale: count('stale'),
      broken: count('broken'),
      changes: evidence.recorded.length,
      transactions: writers.counts,
      ...faults.survived,
      cuts: links.reduce((sum, { counts }) => sum + counts.cuts, 0),
      resets: links.reduce((sum, { counts }) => sum + counts.resets, 0),
      doorbells: doorbells.counts,
      events: evidence.bronze.length,
      reads: evidence.bronze.filter(({ read }) => read).length,
      letters: evidence.letters.length,
      failedAgain: faults.refusals.reduce((sum, { failedAgain }) => sum + failedAgain, 0),
      redrives: (await world.analytics.query<{ jobs: number }>('select count(*)::int as jobs from ops.redrive_job')).rows[0]?.jobs ?? 0,
      arrivedMeanwhile: evidence.bronze.filter(({ receivedAtMs }) => receivedAtMs < overAtMs).length,
      sentAgain: evidence.records.length - evidence.bronze.length,
      restMs: rest instanceof Error ? null : rest.ms,
      ...proof,
      findings,
    }
  } finally {
    clearInterval(telling)
    stopWriting.abort()
    await Promise.allSettled([sampler.stop(), writers.done])
    await flow.close()
  }
}

/** Sabotages one thing after the other and judges anew: each has to bring a finding of its own that was not there before. */
async function prove(world: World, audit: () => Promise<Evidence>, before: readonly Finding[]): Promise<Pick<Outcome, 'proved' | 'unnoticed'>> {
  const proved: string[] = []
  const unnoticed: string[] = []
  let known = new Set(before.map(({ what }) => what))
  for (const { name, expected, run } of sabotages) {
    await run(world)
    const findings = judge(await audit())
    const found = findings.some(
      ({ promise, kind, what }) => !known.has(what) && promise === expected.promise && kind === expected.kind && expected.says.test(what),
    )
    ;(found ? proved : unnoticed).push(name)
    known = new Set(findings.map(({ what }) => what))
  }
  return { proved, unnoticed }
}

function wanted(): ChaosOptions | undefined {
  try {
    const read = readOptions(process.argv.slice(2))
    if (read === undefined) process.stdout.write(`${usage}\n`)
    return read
  } catch (error) {
    process.stderr.write(`${error instanceof Error ? error.message : String(error)}\n\n${usage}\n`)
    process.exitCode = 2
    return undefined
  }
}
