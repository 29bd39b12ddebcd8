/** What Elasticsearch answers → what a caller does. Sorted by status and error type, never by message. */
import { AfluenteError } from '../../engine/errors.ts'

/** What is to be done about one refused item of a `_bulk`. `row`: the fault lies in this very document. */
export type ItemFault = 'conflict' | 'overloaded' | 'blocked' | 'no-index' | 'forbidden' | 'row'

export interface ItemError {
  readonly type: string
  readonly reason?: string | null | undefined
}

/** Error types that say more than their status. */
const byType: Readonly<Record<string, ItemFault>> = {
  index_not_found_exception: 'no-index',
  index_closed_exception: 'no-index',
  cluster_block_exception: 'blocked',
  security_exception: 'forbidden',
}

export function itemFaultOf(status: number, type: string): ItemFault {
  if (status === 409) return 'conflict'
  const known = byType[type]
  if (known !== undefined) return known
  if (status === 429 || status >= 500) return 'overloaded'
  if (status === 401 || status === 403) return 'forbidden'
  return 'row'
}

/** The version that the document has, out of a conflict's reason; null when the server words it otherwise. Only counters rest on it. */
export function currentVersionOf(reason: string | null | undefined): number | null {
  const [, version] = /current version \[(\d+)\]/.exec(reason ?? '') ?? []
  return version === undefined ? null : Number(version)
}

/** Why a document was refused, without any value of it: Elasticsearch's own reason quotes the row. */
export function rejectionMessage(index: string, error: ItemError, columns: readonly string[]): string {
  const [, field = ''] = /field \[([^\]]+)\]/.exec(error.reason ?? '') ?? []
  const column = columns.find((name) => field === name || field.startsWith(`${name}.`))
  const what = column === undefined ? 'the document' : `the document for its column ${column}`
  return `The index ${index} refused ${what} (${error.type}). Compare the event in bronze with the column's type in shared/tables and the index's mapping.`
}

/** Elasticsearch's own words for a body that it can't read. Any other 4xx, a proxy's above all, would meet every batch alike. */
const OF_THE_BODY = /(?:parse|parsing|illegal_argument)_exception$/

/** A whole request that failed. `what` names the request for people. */
export function requestFault(what: string, error: unknown): AfluenteError {
  const name = error instanceof Error ? error.name : ''
  const status = statusOf(error)
  const code = status === null ? name || 'elasticsearch' : `http-${status}`
  const at = `Elasticsearch: ${what}`
  const options = { cause: error }
  if (name === 'ProductNotSupportedError') {
    return new AfluenteError(
      'misconfigured',
      code,
      `${at}: the server does not say that it is Elasticsearch. Point ELASTICSEARCH_URL at an Elasticsearch 8 or 9.`,
      options,
    )
  }
  if (status === 401 || status === 403) {
    return new AfluenteError(
      'misconfigured',
      code,
      `${at}: not allowed. Check ELASTICSEARCH_API_KEY and its privileges: read, write and manage on the alias and on the indices behind it.`,
      options,
    )
  }
  if (status === 404)
    return new AfluenteError(
      'misconfigured',
      code,
      `${at}: there is nothing at this address. Check ELASTICSEARCH_URL and that the indices were prepared.`,
      options,
    )
  if (status !== null && status >= 400 && status < 500 && status !== 408 && status !== 429) {
    const type = errorTypeOf(error)
    if (status === 413 || (type !== null && OF_THE_BODY.test(type)))
      return new AfluenteError('refused', code, `${at}: the server refused the request (${type ?? status}).`, options)
    return new AfluenteError(
      'misconfigured',
      code,
      `${at}: something on the way refused the request (${type ?? status}), whatever it holds. Check ELASTICSEARCH_URL, and any proxy in front of the cluster.`,
      options,
    )
  }
  return new AfluenteError(
    'unavailable',
    code,
    `${at}: no good answer (${status ?? (name || 'unknown error')}). It is tried again; see that the cluster is up and can be reached.`,
    options,
  )
}

export function itemsFault(fault: Exclude<ItemFault, 'conflict' | 'row'>, index: string, code: string): AfluenteError {
  return new AfluenteError(
    fault === 'overloaded' || fault === 'blocked' ? 'unavailable' : 'misconfigured',
    code,
    `Elasticsearch: ${whatToDo[fault](index)} (${code})`,
  )
}

const whatToDo: Readonly<Record<Exclude<ItemFault, 'conflict' | 'row'>, (index: string) => string>> = {
  overloaded: (index) => `the index ${index} takes no more now. It is tried again; if it lasts, the cluster needs more room for writes.`,
  blocked: (index) => `writes to the index ${index} are blocked. It is tried again; look at index.blocks and at the disk's flood-stage watermark.`,
  'no-index': (index) =>
    `${index} is missing, closed, or no alias any more. Open it, or run \`npm run deploy\` and backfill the table; it is not made by a write, or it would seem whole while it is empty.`,
  forbidden: (index) => `this key may not write to ${index}. Give ELASTICSEARCH_API_KEY the privilege "write" on the alias and on the indices behind it.`,
}

export function statusOf(error: unknown): number | null {
  return error instanceof Error && 'statusCode' in error && typeof error.statusCode === 'number' && error.statusCode > 0 ? error.statusCode : null
}

export function errorTypeOf(error: unknown): string | null {
  if (!(error instanceof Error) || !('body' in error)) return null
  const { body } = error
  if (typeof body !== 'object' || body === null || !('error' in body)) return null
  const inner = body.error
  return typeof inner === 'object' && inner !== null && 'type' in inner && typeof inner.type === 'string' ? inner.type : null
}
