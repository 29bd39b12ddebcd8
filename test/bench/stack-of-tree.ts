/** The stack of another version of this project: started by its own `npm start`, reached by what its stack.json says. */
import { spawn } from 'node:child_process'
import { chmod, mkdtemp, rm } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { createInterface } from 'node:readline'
import { Fault } from '../../infra/local/fault.ts'
import { type Home, homeAt, readJson } from '../../infra/local/home.ts'
import { stackFile, type StackInfo } from '../../infra/local/stack-info.ts'
import { words } from './report.ts'
import { attachTo, type BenchStack, withoutServers } from './stack.ts'

export interface TemporaryStack {
  /** Before each of its words. */
  readonly name: string
  /** Writes the version's files into the folder. */
  readonly layOut: (folder: string) => Promise<void>
  readonly signal: AbortSignal
}

/** In a folder of its own under the system's temporary one: all of it is gone after `close`, or after a failure. */
export async function temporaryStack({ layOut, name, signal }: TemporaryStack): Promise<BenchStack> {
  signal.throwIfAborted()
  words(`starting ${name} …`)
  const root = await mkdtemp(join(tmpdir(), 'afluente-bench-'))
  const remove = () => rm(root, { recursive: true, force: true })
  try {
    // Postgres may run as another user.
    await chmod(root, 0o755)
    const folder = join(root, 'tree')
    await layOut(folder)
    const stack = await stackOfTree({ folder, home: join(root, 'home'), name, signal })
    return { ...stack, close: () => stack.close().finally(remove) }
  } catch (error) {
    await remove()
    throw error
  }
}

interface StackOfTree {
  /** Where the version lies. */
  readonly folder: string
  /** Where its stack keeps data and logs. */
  readonly home: string
  readonly name: string
  readonly signal: AbortSignal
}

/** Resolves when it is ready; what was started is stopped again on failure. @throws Fault when it did not start, or is one that this bench can't read. */
async function stackOfTree({ folder, home, name, signal }: StackOfTree): Promise<BenchStack> {
  const env = { ...withoutServers(process.env), AFLUENTE_HOME: home, AFLUENTE_PORTS: 'free', AFLUENTE_SUPERVISE: '' }
  const verb = (...args: string[]) => runVerb({ folder, env, args, tell: (line) => words(`  ${name}: ${line.trim()}`) })
  const stop = async (): Promise<void> => void (await verb('stop').ended)
  try {
    const start = verb('start', '--detach', '--no-demo')
    signal.addEventListener('abort', start.interrupt)
    const code = await start.ended
    signal.removeEventListener('abort', start.interrupt)
    signal.throwIfAborted()
    if (code !== 0) throw new Fault(`The stack of ${name} did not start`, 'What it said stands above')
    const none = `The stack of ${name} is ready, and its stack.json is not one that this bench reads`
    return attachTo(homeAt(home), stop, none, 'Compare with a later commit', readAnyStackFile)
  } catch (error) {
    await stop()
    throw error
  }
}

/** Earlier versions say less of Chatwoot, and nothing that compares asks for it. */
const anyStackFile = stackFile.extend({ chatwoot: stackFile.shape.chatwoot.catch({ url: '', reader: '' }) })

function readAnyStackFile({ stackFile: file }: Home): StackInfo | undefined {
  return anyStackFile.safeParse(readJson(file)).data
}

interface Verb {
  readonly folder: string
  readonly env: NodeJS.ProcessEnv
  readonly args: readonly string[]
  readonly tell: (line: string) => void
}

function runVerb({ args, env, folder, tell }: Verb): { readonly ended: Promise<number>; readonly interrupt: () => void } {
  const child = spawn(process.execPath, [join(folder, 'infra/local/main.mjs'), ...args], { cwd: folder, env, stdio: ['ignore', 'pipe', 'pipe'] })
  for (const stream of [child.stdout, child.stderr]) createInterface(stream).on('line', tell)
  const ended = new Promise<number>((resolve, reject) => {
    child.once('error', reject)
    child.once('close', (code) => resolve(code ?? 1))
  })
  return { ended, interrupt: () => void child.kill('SIGTERM') }
}
