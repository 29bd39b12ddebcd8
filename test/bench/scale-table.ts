/** What was measured of each case, as a table for people. */
import type { CpuPerRow } from './cpu.ts'
import type { Peak } from './memory.ts'

export interface HopFigures {
  readonly rows: number
  readonly ms: number
  readonly rowsPerSecond: number
  readonly mbPerSecond: number
  /** Of all parts together a row, without the bench's own; null where the kernel's counts can't be read. */
  readonly cpuMicroseconds: number | null
  readonly cpuPerRow: CpuPerRow | null
}

export interface Measured {
  readonly name: string
  readonly source?: HopFigures
  /** Once its first events are out: the function's cold start is told beside it, not in it. */
  readonly capture?: HopFigures
  readonly sink?: HopFigures
  readonly endToEnd?: HopFigures
  /** While each hop worked alone. */
  readonly peakMb?: Peak<unknown>['peakMb']
}

const HOPS = ['source', 'capture', 'sink', 'endToEnd'] as const
const HEAD = ['', 'the source alone', 'capture alone: rows once warm, CPU with its start', 'the sink alone', 'end to end', 'memory of Deno, workerd']

/** In Markdown: rows a second, MB a second, microseconds of CPU a row. */
export function scaleTable(measured: readonly Measured[]): readonly string[] {
  const line = (cells: readonly string[]) => `| ${cells.join(' | ')} |`
  const cell = (of: HopFigures | undefined) =>
    of === undefined ? '' : `${grouped(of.rowsPerSecond)} rows/s, ${of.mbPerSecond} MB/s${of.cpuMicroseconds === null ? '' : `, ${of.cpuMicroseconds} µs`}`
  return [line(HEAD), line(HEAD.map(() => '---')), ...measured.map((one) => line([one.name, ...HOPS.map((hop) => cell(one[hop])), memory(one.peakMb ?? {})]))]
}

function memory({ deno, workerd }: Readonly<Record<string, number>>): string {
  return deno === undefined && workerd === undefined ? '' : `${deno ?? '?'}, ${workerd ?? '?'} MB`
}

function grouped(value: number): string {
  return String(value).replace(/\B(?=(?:\d{3})+$)/g, ' ')
}
