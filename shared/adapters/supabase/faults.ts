/** What PostgREST or the network says → what the caller does about it. By code, never by message. */
import { AfluenteError } from '../../engine/errors.ts'

export interface RpcFailure {
  readonly message: string
  /** An SQLSTATE or a PostgREST code; empty when the network failed. */
  readonly code?: string | null
}

/** The database or its gateway is away, restarting or too busy; statements that took too long, deadlocks and full connection slots included. */
const PASSING = /^(?:PGRST00\d|57014|57P0\d|53\d{3}|08\d{3}|40001|40P01|55P03)$/

const MENDING: Readonly<Record<string, string>> = {
  PGRST106: "PostgREST does not serve the schema 'afluente': add it to the exposed schemas ([api] schemas in supabase/config.toml, or Settings → API).",
  PGRST202: 'The function is not there, or PostgREST has not seen it yet: apply supabase/migrations and reload its schema cache.',
  '42883': 'The function is not there: apply supabase/migrations.',
  '42501': 'The role may not call it: SUPABASE_SERVICE_ROLE_KEY must be the key of the service role.',
  PGRST301: 'The key was refused: check SUPABASE_SERVICE_ROLE_KEY.',
  PGRST302: 'The key was refused: check SUPABASE_SERVICE_ROLE_KEY.',
}

/** The fault of a call of `afluente.<name>`. The other side's message is kept as `cause` alone: it may quote values. */
export function faultOf(name: string, status: number, failure: RpcFailure): AfluenteError {
  const code = failure.code ?? ''
  const what = `afluente.${name}`
  const cause = { cause: failure }
  if (code === '' && status === 0) return new AfluenteError('unavailable', 'network', `${what}: no answer from SUPABASE_URL.`, cause)
  const mending = MENDING[code]
  if (mending !== undefined) return new AfluenteError('misconfigured', code, `${what}: ${mending}`, cause)
  if (PASSING.test(code))
    return new AfluenteError('unavailable', code, `${what}: the source database is not available now (${code}). See that it runs and takes connections.`, cause)
  if (status === 401 || status === 403)
    return new AfluenteError('misconfigured', `HTTP ${status}`, `${what}: the key was refused: check SUPABASE_SERVICE_ROLE_KEY.`, cause)
  if (status === 404)
    return new AfluenteError('misconfigured', `HTTP ${status}`, `${what}: not found. Check SUPABASE_URL, and apply supabase/migrations.`, cause)
  if (status >= 500 || status === 429 || status === 408)
    return new AfluenteError(
      'unavailable',
      code === '' ? `HTTP ${status}` : code,
      `${what}: the source’s API answered HTTP ${status}. See that its database runs and takes connections.`,
      cause,
    )
  return new AfluenteError(
    'misconfigured',
    code === '' ? `HTTP ${status}` : code,
    `${what}: refused with ${code === '' ? `HTTP ${status}` : code}. Apply supabase/migrations, then deploy capture again.`,
    cause,
  )
}
