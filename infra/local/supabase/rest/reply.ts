/** What a `/rest/v1` call answers, and PostgREST's errors. */
export interface Reply {
  readonly status: number
  /** Text as Postgres wrote it; undefined for an empty answer. */
  readonly body: string | undefined
  readonly headers?: Readonly<Record<string, string>>
}

/** A refusal that PostgREST would make itself, in its shape. */
export class RestError extends Error {
  readonly status: number
  readonly code: string
  readonly details: string | null
  readonly hint: string | null

  constructor(status: number, code: string, message: string, more: { readonly details?: string; readonly hint?: string } = {}) {
    super(message)
    this.name = 'RestError'
    this.status = status
    this.code = code
    this.details = more.details ?? null
    this.hint = more.hint ?? null
  }
}

/** For what PostgREST can do and this stand-in can't: said plainly instead of answered wrongly. */
export function unsupported(what: string): RestError {
  return new RestError(400, 'PGRST100', `${what} is not served by the local stand-in for PostgREST`, {
    hint: 'It works in the cloud. Write it with what design.md and infra/local/supabase serve, or try it against a real project.',
  })
}
