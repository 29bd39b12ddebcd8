import { execFile } from 'node:child_process'
import { createHash } from 'node:crypto'
import { existsSync, mkdirSync, mkdtempSync, readdirSync, readFileSync, renameSync, rmSync, statSync } from 'node:fs'
import { join } from 'node:path'
import { promisify } from 'node:util'
import { Fault } from './fault.ts'
import { withLock } from './lock.ts'
import { seconds, type Report } from './progress.ts'

const run = promisify(execFile)

export interface Jars {
  readonly name: string
  readonly version: string
  /** The project file that lists them, and whatever else decides what the folder holds: a change of one makes a new folder. */
  readonly pom: string
  readonly sources?: readonly string[]
  /** Works on the fresh folder before anybody sees it. */
  readonly finish?: (folder: string) => Promise<void>
}

export interface JarsDeps {
  readonly cache: string
  readonly env: NodeJS.ProcessEnv
  readonly report: Report
  readonly now: () => number
  /** Ends a download under way. */
  readonly signal: AbortSignal
  /** Puts the jars into `folder`. Maven in earnest; tests put their own. */
  readonly fetch?: (pom: string, folder: string) => Promise<void>
}

/**
 * The folder that holds the jars, downloaded when it isn't there yet. The folder appears in one step, complete,
 * and two clones that want it at once wait for each other.
 * @throws Fault when Maven is missing or can't reach its repository.
 */
export async function ensureJars(jars: Jars, deps: JarsDeps): Promise<string> {
  const folder = join(deps.cache, `${jars.name}-${jars.version}-${fingerprint(jars)}`)
  if (existsSync(folder)) return folder
  mkdirSync(deps.cache, { recursive: true })
  // One lock for all: Maven's own repository doesn't bear two writers well.
  await withLock(join(deps.cache, 'download.lock'), async () => {
    if (existsSync(folder)) return
    const work = mkdtempSync(join(deps.cache, `.${jars.name}-`))
    const started = deps.now()
    const show = (): void =>
      deps.report({
        key: jars.name,
        state: 'running',
        text: `${jars.name} ${jars.version}: first download, ${megabytes(work)}, ${seconds(deps.now() - started)}`,
      })
    const ticker = setInterval(show, 500)
    try {
      show()
      await (deps.fetch ?? ((pom, to) => maven(pom, to, deps)))(jars.pom, work)
      await jars.finish?.(work)
      settle(work, folder)
      deps.report({ key: jars.name, state: 'note', text: `${jars.name} ${jars.version} downloaded: ${megabytes(folder)} in ${seconds(deps.now() - started)}` })
    } finally {
      clearInterval(ticker)
      rmSync(work, { recursive: true, force: true })
    }
  })
  return folder
}

/** Whoever comes second finds the same folder there and leaves it. */
function settle(work: string, folder: string): void {
  try {
    renameSync(work, folder)
  } catch (error) {
    if (!existsSync(folder)) throw error
  }
}

async function maven(pom: string, folder: string, { env, signal }: JarsDeps): Promise<void> {
  try {
    await run('mvn', ['-q', '-B', '-f', pom, 'package', `-Djars.dir=${folder}`], { env, signal, maxBuffer: 16 * 1024 * 1024 })
  } catch (error) {
    throw mavenFault(error, pom)
  }
}

function mavenFault(error: unknown, pom: string): Fault {
  if (error instanceof Error && 'code' in error && error.code === 'ENOENT') {
    return new Fault(
      'Maven (mvn) is not installed, and the jars of the servers are not downloaded yet',
      'Install it (Debian: apt install maven; macOS: brew install maven), or use compose.yaml and put the URLs into .env',
    )
  }
  const output = error instanceof Error && 'stdout' in error ? String(error.stdout) : String(error)
  const reason = output.split('\n').find((line) => line.includes('[ERROR]')) ?? 'it gave no reason'
  return new Fault(
    `Maven could not download what ${pom} lists: ${reason
      .replaceAll(/\u001B\[[0-9;]*m/g, '')
      .replace('[ERROR]', '')
      .trim()
      .slice(0, 300)}`,
    'Check the network and any proxy in ~/.m2/settings.xml, then start again',
    { cause: error },
  )
}

function fingerprint(jars: Jars): string {
  const hash = createHash('sha256')
  for (const file of [jars.pom, ...(jars.sources ?? [])]) hash.update(readFileSync(file))
  return hash.digest('hex').slice(0, 8)
}

function megabytes(folder: string): string {
  let bytes = 0
  for (const entry of readdirSync(folder, { recursive: true, withFileTypes: true })) {
    if (entry.isFile()) bytes += statSync(join(entry.parentPath, entry.name), { throwIfNoEntry: false })?.size ?? 0
  }
  return `${Math.round(bytes / 1_000_000)} MB`
}
