/** One JSON object a line on standard output, with the machine it comes from; words go to standard error. */
import { execFileSync } from 'node:child_process'
import { readFileSync } from 'node:fs'
import { cpus, loadavg, totalmem } from 'node:os'
import { join } from 'node:path'
import { repository } from '../../infra/local/home.ts'
import { kafkaVersion } from '../../infra/local/parts/kafka.ts'
import type { BenchStack } from './stack.ts'

export interface Report {
  /** Runs a measurement and prints what it found; the load average is taken before and after. */
  measure(name: string, work: () => Promise<Readonly<Record<string, unknown>>>): Promise<void>
  /** Prints a figure that an earlier measurement gave as well. */
  record(name: string, found: Readonly<Record<string, unknown>>): void
}

export function words(text: string): void {
  process.stderr.write(`${text}\n`)
}

/** What is measured: the whole stack, or its source database alone. */
export type Measured = Pick<BenchStack, 'source' | 'own'> & Partial<Pick<BenchStack, 'info'>>

export async function createReport(bench: string, stack: Measured): Promise<Report> {
  const machine = {
    cpu: cpus()[0]?.model ?? 'unknown',
    cores: cpus().length,
    memoryMb: Math.round(totalmem() / 1_048_576),
    platform: `${process.platform} ${process.arch}`,
  }
  const versions = await versionsOf(stack)
  const print = (measure: string, found: Readonly<Record<string, unknown>>): void =>
    void process.stdout.write(`${JSON.stringify({ bench, measure, ...found, at: new Date().toISOString(), machine, versions })}\n`)
  return {
    record: print,
    async measure(name, work) {
      words(`${bench}: ${name} …`)
      const begin = load()
      const began = performance.now()
      const found = await work()
      const seconds = Math.round((performance.now() - began) / 100) / 10
      print(name, { ...found, measuredForS: seconds, load: { begin, end: load() } })
      words(`${bench}: ${name} ${brief(found)}`)
    },
  }
}

async function versionsOf(stack: Measured): Promise<Readonly<Record<string, string>>> {
  const { rows } = await stack.source.query<{ server_version: string }>('show server_version')
  const base = { afluente: commit(), node: process.versions.node, postgres: rows[0]?.server_version.split(' ')[0] ?? 'unknown' }
  if (stack.info === undefined) return { ...base, pg: installed('pg') }
  const elasticsearch = (await (await fetch(stack.info.elasticsearch.url)).json()) as { version?: { number?: string } }
  return {
    ...base,
    kafka: stack.own ? kafkaVersion : 'unknown',
    elasticsearch: elasticsearch.version?.number ?? 'unknown',
    ...Object.fromEntries(['deno', 'workerd', 'kafkajs', 'pg', '@elastic/elasticsearch'].map((name) => [name, installed(name)])),
  }
}

function installed(name: string): string {
  const { version } = JSON.parse(readFileSync(join(repository, 'node_modules', name, 'package.json'), 'utf8')) as { version: string }
  return version
}

/** With a plus where the working tree differs from it. */
function commit(): string {
  try {
    const git = (...args: string[]) => execFileSync('git', args, { cwd: repository, encoding: 'utf8', stdio: ['ignore', 'pipe', 'ignore'] }).trim()
    return `${git('rev-parse', '--short', 'HEAD')}${git('status', '--porcelain', '--untracked-files=no') === '' ? '' : '+'}`
  } catch {
    return 'unknown'
  }
}

function load(): readonly number[] {
  return loadavg().map((value) => Math.round(value * 100) / 100)
}

function brief(found: Readonly<Record<string, unknown>>): string {
  return Object.entries(found)
    .filter(([, value]) => typeof value !== 'object')
    .map(([name, value]) => `${name} ${String(value)}`)
    .join(', ')
}
