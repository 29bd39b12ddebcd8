/** Where the Worker is, and asking it. */
import * as z from 'zod'
import { Fault } from '../local/fault.ts'
import { homeAt } from '../local/home.ts'
import { stackSettings } from '../local/settings.ts'
import { readStackFile } from '../local/stack-info.ts'

export interface WorkerApi {
  readonly url: string
  /** The answer's JSON, also where its status is one of `alsoGood`. Throws a `Fault` for anything else. */
  get<T>(path: string, schema: z.ZodType<T>, alsoGood?: readonly number[]): Promise<T>
}

const TIMEOUT_MS = 10_000
const problem = z.object({ title: z.string().optional(), detail: z.string().optional() })

/** `--url` with AFLUENTE_API_TOKEN for a deployed Worker; the running local stack otherwise. */
export function findWorker(url: string | undefined, env: NodeJS.ProcessEnv): WorkerApi {
  if (url !== undefined) {
    const token = env['AFLUENTE_API_TOKEN']?.trim()
    if (token === undefined || token === '') throw new Fault('AFLUENTE_API_TOKEN is not set', 'Set it to the token of the Worker that --url names')
    return workerApi(url, token)
  }
  const info = readStackFile(homeAt(stackSettings(env).home))
  if (info === undefined) throw new Fault('No stack runs here', 'Run `npm start`, or name a deployed Worker: --url https://… with AFLUENTE_API_TOKEN set')
  return workerApi(info.worker.url, info.worker.token)
}

function workerApi(url: string, token: string): WorkerApi {
  const base = url.replace(/\/+$/, '')
  return {
    url: base,
    async get(path, schema, alsoGood = []) {
      const response = await answered(base, path, token)
      const body: unknown = await response.json().catch(() => undefined)
      const parsed = schema.safeParse(body)
      if (parsed.success && (response.ok || alsoGood.includes(response.status))) return parsed.data
      if (response.ok)
        throw new Fault(
          `The Worker at ${base} answers ${path} otherwise than this command expects`,
          'Deploy the Worker and run this command from the same version',
        )
      const said = problem.safeParse(body).data
      const advice = response.status === 401 ? 'The token is wrong: check AFLUENTE_API_TOKEN' : (said?.detail ?? 'Look at the Worker’s log')
      throw new Fault(`The Worker at ${base} answered ${response.status} to ${path}${said?.title === undefined ? '' : ` (${said.title})`}`, advice)
    },
  }
}

async function answered(base: string, path: string, token: string): Promise<Response> {
  try {
    return await fetch(`${base}${path}`, { headers: { authorization: `Bearer ${token}` }, signal: AbortSignal.timeout(TIMEOUT_MS) })
  } catch (error) {
    throw new Fault(`The Worker at ${base} does not answer (${reasonOf(error)})`, 'See that it runs: npm start, or check --url', { cause: error })
  }
}

function reasonOf(error: unknown): string {
  if (!(error instanceof Error)) return 'unknown reason'
  const { cause } = error
  return cause instanceof Error ? ('code' in cause ? String(cause.code) : cause.message) : error.name
}
