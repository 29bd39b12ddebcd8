/** The client's transport over `fetch`, which Node, Deno and workerd all have; its own ones need sockets that workerd lacks. */
import { BaseConnection, errors } from '@elastic/elasticsearch'

type Send = BaseConnection['request']
type StreamOptions = Parameters<Send>[1]
type Params = Parameters<Send>[0]
type Options = Omit<StreamOptions, 'asStream'>
type StreamAnswer = Awaited<ReturnType<Send>>
type Answer = Omit<StreamAnswer, 'body'> & { body: string }

/** A header that asks this connection, and nobody else, for the answer's body as its text: parsed, long numbers would lose digits. */
export const AS_TEXT = 'x-afluente-as-text'

/** Headers that `fetch` sets itself, and refuses or doubles when told. */
const OWN_TO_FETCH = new Set(['content-length', 'connection', 'keep-alive', 'host', 'transfer-encoding', AS_TEXT])

/** Promises the client's own error names: `TimeoutError`, `RequestAbortedError`, `ConnectionError`. Bodies are text, never streams. */
export class FetchConnection extends BaseConnection {
  override async request(params: Params, options: Options): Promise<Answer>
  override async request(params: Params, options: StreamOptions): Promise<StreamAnswer>
  override async request(params: Params, options: Options): Promise<Answer | StreamAnswer> {
    const { body } = params
    if ('asStream' in options || (typeof body !== 'string' && body !== undefined && body !== null))
      throw new errors.ConfigurationError('This connection sends and answers text only, no streams.')
    const timeoutMs = options.timeout ?? this.timeout
    const hangUp = new AbortController()
    const onAbort = () => hangUp.abort()
    let timedOut = false
    const timer = setTimeout(() => {
      timedOut = true
      hangUp.abort()
    }, timeoutMs)
    options.signal?.addEventListener('abort', onAbort, { once: true })
    if (options.signal?.aborted === true) hangUp.abort()
    try {
      const response = await fetch(this.urlOf(params), {
        method: params.method,
        headers: headersOf({ ...this.headers, ...params.headers }),
        body: body === undefined || body === '' ? null : body,
        redirect: 'manual',
        signal: hangUp.signal,
      })
      const asText = response.ok && params.headers?.[AS_TEXT] !== undefined
      return {
        body: await response.text(),
        statusCode: response.status,
        headers: { ...answered(response.headers), ...(asText ? { 'content-type': 'text/plain' } : {}) },
      }
    } catch (cause) {
      if (timedOut) throw new errors.TimeoutError(`No answer within ${timeoutMs} ms`)
      if (hangUp.signal.aborted) throw new errors.RequestAbortedError('The request was aborted')
      throw new errors.ConnectionError(reasonOf(cause))
    } finally {
      clearTimeout(timer)
      options.signal?.removeEventListener('abort', onAbort)
    }
  }

  override async close(): Promise<void> {}

  /** Without user and password, which `fetch` refuses in a URL: the client has made a header of them. */
  private urlOf({ path, querystring }: Params): string {
    const base = `${this.url.origin}${this.url.pathname.replace(/\/$/, '')}${path}`
    return querystring === undefined || querystring === '' ? base : `${base}?${querystring}`
  }
}

function headersOf(given: Readonly<Record<string, string | string[] | undefined>>): Headers {
  const headers = new Headers()
  for (const [name, value] of Object.entries(given)) {
    if (value !== undefined && !OWN_TO_FETCH.has(name.toLowerCase())) headers.set(name, String(value))
  }
  return headers
}

/** Without the encoding, which `fetch` has undone: the client would try to undo it once more. */
function answered(headers: Headers): Record<string, string> {
  return Object.fromEntries([...headers].filter(([name]) => name !== 'content-encoding'))
}

/** Node says `fetch failed` and hides the reason (ECONNREFUSED, ENOTFOUND) in the cause. */
function reasonOf(error: unknown): string {
  if (!(error instanceof Error)) return 'The connection failed'
  const { cause } = error
  const code = typeof cause === 'object' && cause !== null && 'code' in cause ? String(cause.code) : null
  return code === null ? error.message : `${error.message} (${code})`
}
