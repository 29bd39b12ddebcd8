/**
 * One table says what a caller does about a fault. Adapters turn their driver's errors into these, by code and
 * never by message; the driver's own error stays as `cause`.
 */
export type FaultKind =
  /** The other side can't be reached or is overloaded. */
  | 'unavailable'
  /** The other side will not take this very data. */
  | 'refused'
  /** Somebody else holds the shard or partition now: a later epoch exists. */
  | 'fenced'
  /** The definition or environment is wrong, or the source no longer has the shape that was defined. */
  | 'misconfigured'

export type Action = 'retry' | 'split' | 'stop' | 'halt'

/** What to do: retry with backoff, split the batch to find the culprit, stop this run, or halt until somebody mends it. */
export const policy: Readonly<Record<FaultKind, Action>> = {
  unavailable: 'retry',
  refused: 'split',
  fenced: 'stop',
  misconfigured: 'halt',
}

export class AfluenteError extends Error {
  override readonly name = 'AfluenteError'
  readonly kind: FaultKind
  /** Stable and short: an SQLSTATE, an HTTP status, an Elasticsearch error type. Safe to log and to count by. */
  readonly code: string

  constructor(kind: FaultKind, code: string, message: string, options?: { readonly cause?: unknown }) {
    super(message, options)
    this.kind = kind
    this.code = code
  }
}

/** True for this project's own errors, also across bundles and isolates, where `instanceof` fails. */
export function isAfluenteError(error: unknown): error is AfluenteError {
  return error instanceof Error && error.name === 'AfluenteError' && 'kind' in error && 'code' in error
}

/** True where the other side will not take this very data. */
export function isRefusal(error: unknown): error is AfluenteError {
  return isAfluenteError(error) && error.kind === 'refused'
}

/** What to do about any error: one that nobody classified is retried, since retrying loses nothing. */
export function actionFor(error: unknown): Action {
  return isAfluenteError(error) ? policy[error.kind] : 'retry'
}
