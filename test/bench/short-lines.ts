/** What the short measurement found, for people; and whether it measured anything. */
import { cpuOfProduct } from './cpu.ts'

export interface ShortFindings {
  readonly lines: readonly string[]
  /** Every row arrived, in both measurements. How fast plays no part. */
  readonly measured: boolean
}

interface Found {
  readonly measure: string
  readonly rows: number
  readonly missing?: number
  readonly rowsPerSecond?: number
  readonly postgres?: Percentiles
  readonly elasticsearch?: Percentiles
  readonly cpuPerRow?: Readonly<Record<string, number>> | null
  readonly load: { readonly end: readonly number[] }
}

interface Percentiles {
  readonly p50Ms: number | null
  readonly p99Ms: number | null
}

/** `output`: what the bench printed, its lines of JSON among others. */
export function readShort(output: string): ShortFindings {
  const found = output
    .split('\n')
    .filter((line) => line.startsWith('{'))
    .flatMap((line) => foundIn(line))
  const [latency, endToEnd] = [found.find(({ postgres }) => postgres !== undefined), found.find(({ rowsPerSecond }) => rowsPerSecond !== undefined)]
  return {
    lines: [...(latency === undefined ? [] : latencyLines(latency)), ...(endToEnd === undefined ? [] : endToEndLines(endToEnd))],
    measured: (latency?.rows ?? 0) > 0 && latency?.missing === 0 && (endToEnd?.rows ?? 0) > 0 && (endToEnd?.rowsPerSecond ?? 0) > 0,
  }
}

/** A part of the stack may print a line that only looks like one. */
function foundIn(line: string): readonly Found[] {
  try {
    return [JSON.parse(line) as Found]
  } catch {
    return []
  }
}

function latencyLines({ elasticsearch, load, measure, missing, postgres, rows }: Found): readonly string[] {
  const line = (sink: string, of: Percentiles | undefined) => `${sink}: p50 ${of?.p50Ms ?? '?'} ms, p99 ${of?.p99Ms ?? '?'} ms`
  return [
    `${measure}, ${rows} rows, ${missing ?? '?'} missing, load ${load.end[0]}:`,
    `  ${line('Postgres', postgres)}; ${line('Elasticsearch', elasticsearch)}`,
  ]
}

function endToEndLines({ cpuPerRow, load, measure, rows, rowsPerSecond }: Found): readonly string[] {
  const product = cpuOfProduct(cpuPerRow ?? {})
  const parts = product.parts.toSorted(([, one], [, other]) => other - one)
  const cpu =
    parts.length === 0
      ? []
      : [`  CPU ${Math.round(product.total)} µs a row: ${parts.map(([part, microseconds]) => `${part} ${Math.round(microseconds)}`).join(', ')}`]
  return [`${measure}, ${rows} rows: ${rowsPerSecond} rows/s, load ${load.end[0]}`, ...cpu]
}
