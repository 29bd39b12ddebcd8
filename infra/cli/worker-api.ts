/** Where the Worker is, and asking it. */
import * as z from 'zod'
import { Fault } from '../local/fault.ts'
import { homeAt } from '../local/home.ts'
import { stackSettings } from '../local/settings.ts'
import { readStackFile } from '../local/stack-info.ts'
import { WrongUse } from './verb.ts'

/** The Worker does not answer, or is not well (5xx): it may be starting again. */
export class Away extends Fault {}

export interface WorkerApi {
  readonly url: string
  /** The answer's JSON, also where its status is one of `alsoGood`. Throws `WrongUse` where the Worker says that the request asks for what isn't there or may not be, `Away` where asking again may help, another `Fault` for anything else. */
  get<T>(path: string, schema: z.ZodType<T>, alsoGood?: readonly number[]): Promise<T>
  /** The same with a body of JSON. */
  post<T>(path: string, body: unknown, schema: z.ZodType<T>): Promise<T>
  put<T>(path: string, body: unknown, schema: z.ZodType<T>): Promise<T>
}

const TIMEOUT_MS = 10_000
const problem = z.object({ type: z.string().optional(), title: z.string().optional(), detail: z.string().optional() })
/** The request is understood and not done. Any other status is a fault of the Worker, or of the way to it. */
const DECLINED = [404, 409, 422]
/** No route: another version of the Worker answers. */
const NO_ROUTE = 'urn:afluente:problem:not-found'

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
  const ask = async <T>(path: string, schema: z.ZodType<T>, alsoGood: readonly number[], sent?: Sent): Promise<T> => {
    const response = await answered(base, path, token, sent)
    const answer: unknown = await response.json().catch(() => undefined)
    const parsed = schema.safeParse(answer)
    if (parsed.success && (response.ok || alsoGood.includes(response.status))) return parsed.data
    if (response.ok)
      throw new Fault(
        `The Worker at ${base} answers ${path} otherwise than this command expects`,
        'Deploy the Worker and run this command from the same version',
      )
    const said = problem.safeParse(answer).data
    if (DECLINED.includes(response.status) && said?.type !== undefined && said.type !== NO_ROUTE)
      throw new WrongUse(sentencesOf(said.title, said.detail), { showsUsage: false })
    const advice = response.status === 401 ? 'The token is wrong: check AFLUENTE_API_TOKEN' : (said?.detail ?? 'Look at the Worker’s log')
    const Kind = response.status >= 500 ? Away : Fault
    throw new Kind(`The Worker at ${base} answered ${response.status} to ${path}${said?.title === undefined ? '' : ` (${said.title})`}`, advice)
  }
  return {
    url: base,
    get: (path, schema, alsoGood = []) => ask(path, schema, alsoGood),
    post: (path, body, schema) => ask(path, schema, [], { method: 'POST', body: JSON.stringify(body) }),
    put: (path, body, schema) => ask(path, schema, [], { method: 'PUT', body: JSON.stringify(body) }),
  }
}

/** Title and detail of a problem on one line: a detail may be a sentence of its own, or go on with the title's. */
function sentencesOf(title = '', detail = ''): string {
  if (title === '' || detail === '') return `${title}${detail}`
  if (title.endsWith('?')) return `${title} ${detail}`
  return `${title}${/^\p{Lu}/u.test(detail) ? '.' : ':'} ${detail}`
}

interface Sent {
  readonly method: 'POST' | 'PUT'
  readonly body: string
}

async function answered(base: string, path: string, token: string, sent: Sent | undefined): Promise<Response> {
  try {
    return await fetch(`${base}${path}`, {
      headers: { authorization: `Bearer ${token}`, ...(sent === undefined ? {} : { 'content-type': 'application/json' }) },
      signal: AbortSignal.timeout(TIMEOUT_MS),
      ...sent,
    })
  } catch (error) {
    throw new Away(`The Worker at ${base} does not answer (${reasonOf(error)})`, 'See that it runs: npm start, or check --url', { cause: error })
  }
}

function reasonOf(error: unknown): string {
  if (!(error instanceof Error)) return 'unknown reason'
  const { cause } = error
  return cause instanceof Error ? ('code' in cause ? String(cause.code) : cause.message) : error.name
}
