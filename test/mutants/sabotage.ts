/** A copy of the project in which one line at a time is another one. */
import { execFile } from 'node:child_process'
import { chmodSync, copyFileSync, mkdirSync, mkdtempSync, readFileSync, rmSync, symlinkSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { delimiter, dirname, join, resolve } from 'node:path'
import { promisify } from 'node:util'
import type { Guard } from './guard.ts'

const run = promisify(execFile)

export interface Copy {
  /** Runs tests of a project in the copy as it is. Those that failed; throws when some could not run. */
  failing(project: string, files: readonly string[]): Promise<readonly Failure[]>
  /** The same of the guard's own tests, with its line sabotaged. */
  failingWithout(guard: Guard): Promise<readonly Failure[]>
  remove(): void
}

export interface Failure {
  readonly test: string
  readonly reason: string
}

/** The file with the guard's line replaced. Throws unless the line stands there exactly once, for the mutant would prove nothing. */
export function sabotaged(text: string, { name, file, line, sabotage }: Guard): string {
  const times = text.split(line).length - 1
  if (times !== 1) throw new Error(`The guard '${name}': its line stands ${times} times in ${file}. Mend test/mutants/guards.ts.`)
  return text.replace(line, () => sabotage)
}

/** Loading it bundles the Worker, for a suite that no guard names. */
const WORKERS_PROJECT = `'test/workers/vitest.config.ts',`

/** Of what git tracks, as it stands in the working tree. `env`: what its tests find in their environment besides the usual. */
export async function copyOf(root: string, env: Readonly<Record<string, string>>): Promise<Copy> {
  const folder = mkdtempSync(join(tmpdir(), 'afluente-mutants-'))
  // Postgres runs as another user, on programs that are found through here.
  chmodSync(folder, 0o755)
  const { stdout } = await run('git', ['ls-files', '-z'], { cwd: root, maxBuffer: 64 * 1024 * 1024 })
  for (const file of stdout.split('\0').filter((name) => name !== '')) {
    mkdirSync(join(folder, dirname(file)), { recursive: true })
    copyFileSync(join(root, file), join(folder, file))
  }
  symlinkSync(resolve(root, 'node_modules'), join(folder, 'node_modules'))
  const config = join(folder, 'vitest.config.ts')
  const projects = readFileSync(config, 'utf8')
  if (!projects.includes(WORKERS_PROJECT)) throw new Error(`vitest.config.ts no longer has ${WORKERS_PROJECT} Mend test/mutants/sabotage.ts.`)
  writeFileSync(config, projects.replace(WORKERS_PROJECT, ''))
  const failing: Copy['failing'] = (project, files) => failures({ folder, env }, project, files)
  return {
    failing,
    failingWithout: async (guard) => {
      const [project, ...files] = guard.tests
      const file = join(folder, guard.file)
      const text = readFileSync(file, 'utf8')
      writeFileSync(file, sabotaged(text, guard))
      try {
        return await failing(project, files)
      } finally {
        writeFileSync(file, text)
      }
    },
    remove: () => rmSync(folder, { recursive: true, force: true }),
  }
}

async function failures(
  { env: given, folder }: { readonly folder: string; readonly env: Readonly<Record<string, string>> },
  project: string,
  files: readonly string[],
): Promise<readonly Failure[]> {
  const report = join(folder, 'report.json')
  rmSync(report, { force: true })
  const vitest = [join('node_modules', 'vitest', 'vitest.mjs'), 'run', '--project', project, '--bail', '1', '--reporter=json', `--outputFile.json=${report}`]
  const env = { ...process.env, ...given, PATH: `${join(folder, 'node_modules', '.bin')}${delimiter}${process.env['PATH'] ?? ''}`, NO_COLOR: '1' }
  const output = await run(process.execPath, [...vitest, ...files], { cwd: folder, env, maxBuffer: 64 * 1024 * 1024 }).catch((error: unknown) => String(error))
  const { testResults } = JSON.parse(readReport(report, output)) as { testResults: readonly FileResult[] }
  const tests = testResults.flatMap(({ assertionResults }) => assertionResults)
  const failed = tests
    .filter(({ status }) => status === 'failed')
    .map(({ fullName, failureMessages }) => ({ test: fullName, reason: failureMessages?.[0]?.split('\n')[0] ?? '' }))
  // A hook that fails leaves its tests out: that says nothing about the guard.
  if (tests.length === 0 || (failed.length === 0 && tests.some(({ status }) => status !== 'passed'))) {
    throw new Error(`Tests of ${files.join(', ')} could not run: ${testResults.map(({ message }) => message).join(' ')}`)
  }
  return failed
}

interface FileResult {
  readonly message: string
  readonly assertionResults: readonly { readonly fullName: string; readonly status: string; readonly failureMessages?: readonly string[] }[]
}

function readReport(file: string, output: unknown): string {
  try {
    return readFileSync(file, 'utf8')
  } catch {
    throw new Error(`vitest made no report: ${String(output).slice(0, 500)}`)
  }
}
