import { Client } from '@elastic/elasticsearch'
import { FetchConnection } from './connection.ts'

export interface ElasticsearchSettings {
  /** `https://host:9243`; a user and password in it are sent as Basic authentication unless an API key is given. */
  readonly url: string
  readonly apiKey?: string | undefined
  /** How long one request may take. A `_bulk` of a few megabytes on a busy cluster takes seconds. */
  readonly requestTimeoutMs?: number
}

/**
 * The official client, over `fetch`. It refuses a server that does not say `X-Elastic-Product: Elasticsearch`. It retries
 * nothing: the sink and the engine do, each with its own budget. It holds no sockets of its own, so it needs no closing.
 */
export function elasticsearchClient({ url, apiKey, requestTimeoutMs = 30_000 }: ElasticsearchSettings): Client {
  return new Client({
    node: url,
    Connection: FetchConnection,
    maxRetries: 0,
    requestTimeout: requestTimeoutMs,
    enableMetaHeader: false,
    ...(apiKey === undefined || apiKey === '' ? {} : { auth: { apiKey } }),
  })
}
