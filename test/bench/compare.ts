/** Two versions of this project, measured by turns in one run by one bench: the machine's other work falls on both alike. */
import { loadavg } from 'node:os'
import { byTurns, rounded } from './by-turns.ts'
import { cpuOfProduct, type CpuPerRow, INSERTS, untilIdle } from './cpu.ts'
import { type Compared, comparedLine, compareFigures, type Figure } from './figures.ts'
import { eachHop, endToEnd, type Moved } from './hops.ts'
import { latencyAt } from './latency.ts'
import type { BenchOptions } from './options.ts'
import { percentilesOf } from './percentiles.ts'
import { type Report, words } from './report.ts'
import type { BenchStack } from './stack.ts'
import { temporaryStack } from './stack-of-tree.ts'
import { layOut, type Tree } from './trees.ts'
import { leadsWorkload } from './workload.ts'

const RATE = 50

export interface Sides {
  readonly names: readonly [string, string]
  readonly base: BenchStack
  readonly other: BenchStack
  close(): Promise<void>
}

/** Both stacks, side by side. */
export async function startSides([base, other]: readonly [Tree, Tree], signal: AbortSignal): Promise<Sides> {
  const start = (tree: Tree) => temporaryStack({ name: tree.name, layOut: (folder) => layOut(tree, folder), signal })
  const first = await start(base)
  try {
    const second = await start(other)
    const close = async (): Promise<void> => void (await Promise.allSettled([first.close(), second.close()]))
    return { names: [base.name, other.name], base: first, other: second, close }
  } catch (error) {
    await first.close()
    throw error
  }
}

export type CompareOptions = Pick<BenchOptions, 'rounds' | 'rows' | 'seconds' | 'only'>

export async function compare(sides: Sides, report: Report, options: CompareOptions): Promise<void> {
  const [base, other] = sides.names
  let compared: readonly Compared[] = []
  await report.measure('the rounds', async () => {
    for (const stack of [sides.base, sides.other]) await warmUp(stack)
    const loads: number[] = []
    const pairs = await byTurns(options.rounds, async (side, round) => {
      words(`compare: round ${round + 1} of ${options.rounds}, ${side === 'plain' ? base : other}`)
      const figures = await figuresOf(side === 'plain' ? sides.base : sides.other, options)
      loads.push(rounded(loadavg()[0] ?? 0, 1))
      return figures
    })
    compared = compareFigures(pairs)
    return { base, other, rounds: options.rounds, loads }
  })
  for (const { name, ...found } of compared) report.record(name, { base, other, ...found })
  words(`\n${base} → ${other}`)
  for (const one of compared) words(`  ${comparedLine(one)}`)
}

async function warmUp(stack: BenchStack): Promise<void> {
  await stack.consumer('elasticsearch', 'stop')
  await latencyAt(stack, RATE, 1, ['postgres'])
  await endToEnd(stack, leadsWorkload, 2_000, ['postgres'])
}

async function figuresOf(stack: BenchStack, { only, rows, seconds }: CompareOptions): Promise<readonly Figure[]> {
  const figures: Figure[] = []
  await untilIdle(stack)
  if (only.includes('latency')) figures.push(...(await latencyFigures(stack, seconds)))
  if (only.includes('end-to-end')) figures.push(...movedFigures('end to end', await endToEnd(stack, leadsWorkload, rows, ['postgres'])))
  if (only.includes('hops')) figures.push(...(await hopFigures(stack, rows)))
  return figures
}

async function latencyFigures(stack: BenchStack, seconds: number): Promise<readonly Figure[]> {
  const { p50Ms, p99Ms } = percentilesOf((await latencyAt(stack, RATE, seconds, ['postgres'])).postgres)
  return [...figure(`${RATE} rows/s to Postgres, p50`, 'ms', p50Ms), ...figure(`${RATE} rows/s to Postgres, p99`, 'ms', p99Ms)]
}

async function hopFigures(stack: BenchStack, rows: number): Promise<readonly Figure[]> {
  const { capture, sink, source } = await eachHop(stack, leadsWorkload, rows)
  return [
    ...figure('the source alone', 'rows/s', source.rowsPerSecond),
    // What inserts is a session of this bench; the trigger's work is its.
    ...figure('the source alone, CPU', 'µs of CPU a row', source.cpuPerRow?.[INSERTS] ?? null),
    ...figure('capture alone, from its cold start to the first events', 'ms', capture.firstEventMs),
    ...figure('capture alone, from then on', 'rows/s', capture.steadyRowsPerSecond),
    ...cpuFigures('capture alone', capture.cpuPerRow ?? {}),
    ...movedFigures('the Postgres sink alone', sink),
  ]
}

function movedFigures(name: string, { cpuPerRow, rowsPerSecond }: Moved): readonly Figure[] {
  return [{ name, unit: 'rows/s', value: rowsPerSecond }, ...cpuFigures(name, cpuPerRow ?? {})]
}

/** The whole, and each part. The bench's own work is in neither. */
function cpuFigures(name: string, cpuPerRow: CpuPerRow): readonly Figure[] {
  const { parts, total } = cpuOfProduct(cpuPerRow)
  return [[`${name}, CPU`, total] as const, ...parts.map(([part, value]) => [`${name}, CPU of ${part}`, value] as const)].flatMap(([of, value]) =>
    figure(of, 'µs of CPU a row', value),
  )
}

function figure(name: string, unit: Figure['unit'], value: number | null): readonly Figure[] {
  return value === null ? [] : [{ name, unit, value }]
}
