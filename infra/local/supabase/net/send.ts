/** Sends one queued request, once. Whatever happens becomes a row for net._http_response; nothing is thrown. */
export interface QueuedRequest {
  readonly id: string
  readonly method: string
  readonly url: string
  readonly headers: Readonly<Record<string, string>>
  readonly body: Buffer | null
  readonly timeoutMs: number
}

export interface Outcome {
  readonly id: string
  readonly status: number | null
  readonly contentType: string | null
  readonly headers: Readonly<Record<string, string>> | null
  readonly content: string | null
  readonly timedOut: boolean
  readonly error: string | null
}

export async function sendOnce(request: QueuedRequest, signal: AbortSignal): Promise<Outcome> {
  const timeout = AbortSignal.timeout(request.timeoutMs)
  try {
    const response = await fetch(request.url, {
      method: request.method,
      headers: { 'user-agent': 'pg_net/local', ...request.headers },
      body: request.body === null ? null : new Uint8Array(request.body),
      signal: AbortSignal.any([timeout, signal]),
    })
    const content = await response.text()
    return {
      id: request.id,
      status: response.status,
      contentType: response.headers.get('content-type'),
      headers: Object.fromEntries(response.headers),
      content: content === '' ? null : content,
      timedOut: false,
      error: null,
    }
  } catch (error) {
    if (signal.aborted) throw error
    const message = timeout.aborted ? `Timeout of ${request.timeoutMs} ms reached.` : `Couldn't connect to server: ${reason(error)}`
    return { id: request.id, status: null, contentType: null, headers: null, content: null, timedOut: timeout.aborted, error: message }
  }
}

function reason(error: unknown): string {
  const cause = error instanceof Error && error.cause instanceof Error ? error.cause : error
  return cause instanceof Error ? ('code' in cause ? String(cause.code) : cause.message) : String(cause)
}
