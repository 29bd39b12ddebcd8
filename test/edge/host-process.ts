/** The edge host as a process of its own, with the fixtures as its functions. */
import { fileURLToPath } from 'node:url'

export interface HostProcess {
  readonly url: string
  readonly pid: number
  call(path: string, init?: RequestInit): Promise<Response>
  /** The body as JSON. */
  // oxlint-disable-next-line typescript/no-explicit-any -- tests look at what comes
  json(path: string, init?: RequestInit): Promise<any>
  /** Everything written so far, the functions' own lines included. */
  output(): string
  kill(): void
}

/** Ends the host when the work is done, however it ends. */
export async function withHost(environment: Readonly<Record<string, string>>, work: (host: HostProcess) => Promise<void>): Promise<void> {
  const folder = await Deno.makeTempDir({ prefix: 'afluente-edge-' })
  const config = `${folder}/config.toml`
  const entrypoint = fileURLToPath(new URL('./fixtures/echo.ts', import.meta.url))
  await Deno.writeTextFile(config, `[functions.echo]\nentrypoint = ${JSON.stringify(entrypoint)}\nverify_jwt = false\n`)
  const child = new Deno.Command(Deno.execPath(), {
    args: ['run', '--allow-all', fileURLToPath(new URL('../../infra/local/edge/main.ts', import.meta.url))],
    env: { PORT: '0', SUPABASE_CONFIG: config, ...environment },
    stdout: 'piped',
    stderr: 'piped',
  }).spawn()
  let output = ''
  const reading = [child.stdout, child.stderr].map((stream) => readAll(stream, (text) => (output += text)))
  try {
    const port = await eventually('the host is ready', () => /"ready":true,"port":(\d+)/.exec(output)?.[1])
    const url = `http://127.0.0.1:${port}`
    const call = (path: string, init?: RequestInit) => fetch(`${url}${path}`, init)
    await work({
      url,
      pid: child.pid,
      call,
      json: async (path, init) => (await call(path, init)).json(),
      output: () => output,
      kill: () => child.kill('SIGKILL'),
    })
  } catch (error) {
    throw new Error(`${error instanceof Error ? error.message : String(error)}\nThe host wrote:\n${output}`, { cause: error })
  } finally {
    try {
      child.kill('SIGTERM')
    } catch {
      // It is gone already.
    }
    await child.status
    await Promise.all(reading)
    await Deno.remove(folder, { recursive: true })
  }
}

async function readAll(stream: ReadableStream<Uint8Array>, take: (text: string) => void): Promise<void> {
  for await (const text of stream.pipeThrough(new TextDecoderStream())) take(text)
}

/** Looks again until `look` gives something; a look that throws counts as "not yet". */
export async function eventually<T>(what: string, look: () => T | Promise<T>, timeoutMs = 15_000): Promise<NonNullable<T>> {
  const deadline = Date.now() + timeoutMs
  let last: unknown
  while (Date.now() < deadline) {
    try {
      const seen = await look()
      if (seen !== null && seen !== undefined && seen !== false) return seen
      last = seen
    } catch (error) {
      last = error
    }
    await new Promise((resolve) => setTimeout(resolve, 20))
  }
  throw new Error(`Waited in vain: ${what}. Last: ${String(last)}`)
}

export function isAlive(pid: number): boolean {
  try {
    return !/^State:\s+Z/m.test(Deno.readTextFileSync(`/proc/${pid}/status`))
  } catch {
    return false
  }
}
