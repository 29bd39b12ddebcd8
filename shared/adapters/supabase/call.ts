/** Calls a function of the schema `afluente` that answers one JSON object. */
import { AfluenteError } from '../../engine/errors.ts'
import { faultOf, type RpcFailure } from './faults.ts'

/** What this adapter needs of a supabase-js client. */
export interface RpcClient {
  schema(name: 'afluente'): { rpc(name: string, args: Readonly<Record<string, unknown>>): RpcCall }
}

export interface RpcCall {
  abortSignal(signal: AbortSignal): PromiseLike<RpcAnswer>
}

export interface RpcAnswer {
  readonly data: unknown
  readonly error: RpcFailure | null
  /** The HTTP status; 0 when there was no answer. */
  readonly status: number
}

export interface CallDeps {
  readonly client: RpcClient
  /** How long an answer may take, beyond what the call itself may wait. Above PostgREST's own limit for statements, 8 s. */
  readonly timeoutMs?: number
  /** A fault that this function tells in words of its own. */
  readonly faultOf?: (name: string, failure: RpcFailure) => AfluenteError | undefined
}

export type Answer = Readonly<Record<string, unknown>>
export type Call = (name: string, args: Readonly<Record<string, unknown>>, signal: AbortSignal, waitMs?: number) => Promise<Answer>

/** Throws what `faultOf` makes of a failure, `misconfigured` for an answer that is no object. */
export function createCall({ client, faultOf: ownFaultOf, timeoutMs = 10_000 }: CallDeps): Call {
  return async (name, args, signal, waitMs = 0) => {
    const { done, limited } = limit(signal, timeoutMs + waitMs)
    try {
      const { data, error, status } = await client.schema('afluente').rpc(name, args).abortSignal(limited)
      if (error !== null) throw ownFaultOf?.(name, error) ?? faultOf(name, status, error)
      if (!isRecord(data)) throw unreadable(name, 'it is not a JSON object')
      return data
    } finally {
      done()
    }
  }
}

/** As Postgres reads it. */
export function interval(ms: number): string {
  return `${ms} milliseconds`
}

export function isTextOrNull(value: unknown): value is string | null {
  return value === null || typeof value === 'string'
}

export function isRecord(value: unknown): value is Answer {
  return typeof value === 'object' && value !== null && !Array.isArray(value)
}

export function unreadable(name: string, why: string): AfluenteError {
  return new AfluenteError(
    'misconfigured',
    'unreadable-answer',
    `afluente.${name} answered something this version does not know (${why}). Apply the migrations in supabase/migrations, then deploy capture again.`,
  )
}

/** The caller's signal with a time limit of this call. */
function limit(signal: AbortSignal, ms: number): { readonly limited: AbortSignal; readonly done: () => void } {
  const controller = new AbortController()
  const abort = () => controller.abort()
  if (signal.aborted) abort()
  const timer = setTimeout(abort, ms)
  signal.addEventListener('abort', abort)
  return {
    limited: controller.signal,
    done: () => {
      clearTimeout(timer)
      signal.removeEventListener('abort', abort)
    },
  }
}
