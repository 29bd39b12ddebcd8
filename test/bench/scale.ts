/** How rows a second and CPU a row change when one thing at a time is turned up: rows' size, tables, partitions, consumers, backlog. */
import { execFile } from 'node:child_process'
import { rename, writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import { promisify } from 'node:util'
import { cpuOfProduct, INSERTS, untilIdle } from './cpu.ts'
import { eachHop, endToEnd, type Moved } from './hops.ts'
import { peakMemory } from './memory.ts'
import { type Report, words } from './report.ts'
import { consumersOf, MIGRATION, migrationText, PIPELINE, pipelineText, PRODUCT, type ScaleCase, type ScaleDefinition } from './scale-cases.ts'
import { scaleWorkload, withoutBudget } from './scale-rows.ts'
import type { HopFigures, Measured } from './scale-table.ts'
import { temporaryStack } from './stack-of-tree.ts'
import type { BenchStack } from './stack.ts'
import { layOut, treeOf } from './trees.ts'

const WARM_UP_ROWS = 2_000
const run = promisify(execFile)

/** A stack of the working tree with more in its definition. */
export async function scaleStack(definition: ScaleDefinition, signal: AbortSignal): Promise<BenchStack> {
  const { instances, partitions, tables } = definition
  words(`scale: tables ${tables}, partitions ${partitions}, instances ${instances}, into ${consumersOf(definition).join(', ')}`)
  const stack = await temporaryStack({
    name: 'scale',
    layOut: async (folder) => {
      await layOut(await treeOf(undefined), folder)
      await rename(join(folder, PIPELINE), join(folder, PRODUCT))
      await writeFile(join(folder, PIPELINE), pipelineText(definition))
      await writeFile(join(folder, MIGRATION), migrationText(definition))
      await run(process.execPath, ['infra/deploy/generate.ts'], { cwd: folder })
    },
    signal,
  })
  await withoutBudget(stack.source)
  return stack
}

/** The cases of one stack. */
export async function scale(stack: BenchStack, report: Report, cases: readonly ScaleCase[]): Promise<readonly Measured[]> {
  const measured: Measured[] = []
  for (const [at, one] of cases.entries()) {
    const workload = scaleWorkload(one)
    const into = consumersOf(one.definition)
    if (at === 0) await endToEnd(stack, workload, Math.min(WARM_UP_ROWS, one.rows), into)
    await untilIdle(stack)
    let of: Measured = { name: one.name }
    const hops = async () => {
      const { found: moved, peakMb } = await peakMemory(stack, () => eachHop(stack, workload, one.rows, into[0]))
      const { firstEventMs, steadyRowsPerSecond } = moved.capture
      const found = { source: perRow(moved.source, one, true), capture: perRow(moved.capture, one), sink: perRow(moved.sink, one) }
      const warm = { ...found.capture, ...(steadyRowsPerSecond === null ? {} : rates(steadyRowsPerSecond, one)) }
      of = { ...of, ...found, capture: warm, peakMb }
      return { ...about(one), peakMb, ...found, capture: { ...found.capture, firstEventMs, steadyRowsPerSecond } }
    }
    const together = async () => {
      const found = perRow(await endToEnd(stack, workload, one.rows, into), one)
      of = { ...of, endToEnd: found }
      return { ...about(one), ...found }
    }
    if (one.measured !== 'end to end') await report.measure(`${one.name}: each hop alone`, hops)
    await untilIdle(stack)
    if (one.measured !== 'each hop') await report.measure(`${one.name}: end to end`, together)
    measured.push(of)
  }
  return measured
}

function about({ definition, rowBytes, rows }: ScaleCase): Readonly<Record<string, unknown>> {
  return { rows, rowBytes, ...definition }
}

/** `inserts`: the session that inserts is what is measured. */
function perRow({ cpuPerRow, ms, rows, rowsPerSecond }: Moved, one: ScaleCase, inserts = false): HopFigures {
  const total = cpuPerRow === null ? null : Math.round(cpuOfProduct(cpuPerRow).total + (inserts ? (cpuPerRow[INSERTS] ?? 0) : 0))
  return { rows, ms, ...rates(rowsPerSecond, one), cpuMicroseconds: total, cpuPerRow }
}

function rates(rowsPerSecond: number, { rowBytes }: ScaleCase): Pick<HopFigures, 'rowsPerSecond' | 'mbPerSecond'> {
  return { rowsPerSecond, mbPerSecond: Math.round((rowsPerSecond * rowBytes) / 100_000) / 10 }
}
