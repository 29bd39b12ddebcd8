/** When documents become visible through the alias, seen from outside by asking again and again. */
import { setTimeout as sleep } from 'node:timers/promises'
import type { Span } from './throughput-rows.ts'

export interface Watcher {
  /** When each document was first found, in milliseconds since 1970, by its id. */
  readonly seen: ReadonlyMap<string, number>
  stop(): Promise<void>
}

const BETWEEN_LOOKS_MS = 10
/** Documents of batches that were written side by side may come into sight in another order than they were numbered. */
const OUT_OF_ORDER = 50

interface Hits {
  readonly hits?: { readonly hits?: readonly { readonly _id: string; readonly _seq_no: number }[] }
}

/** Watches the documents of the alias `leads` whose company is `mark`. What it finds is late by up to one look: 10 ms and a search. */
export function watchLeads(url: string, mark: string): Watcher {
  const seen = new Map<string, number>()
  let highest = -1
  let stopped = false
  const look = async (): Promise<void> => {
    const query = { bool: { filter: [{ term: { 'company.raw': mark } }, { range: { _seq_no: { gt: highest - OUT_OF_ORDER } } }] } }
    const body = JSON.stringify({ size: 10_000, _source: false, seq_no_primary_term: true, sort: [{ _seq_no: 'asc' }], track_total_hits: false, query })
    const response = await fetch(`${url}/leads/_search?filter_path=hits.hits._id,hits.hits._seq_no`, {
      method: 'POST',
      headers: { 'content-type': 'application/json' },
      body,
    })
    if (!response.ok) throw new Error(`Elasticsearch answered ${response.status} to a search: ${await response.text()}`)
    const { hits } = (await response.json()) as Hits
    const now = Date.now()
    for (const { _id, _seq_no } of hits?.hits ?? []) {
      if (!seen.has(_id)) seen.set(_id, now)
      highest = Math.max(highest, _seq_no)
    }
  }
  const watching = (async () => {
    while (!stopped) {
      await look()
      await sleep(BETWEEN_LOOKS_MS)
    }
  })()
  watching.catch(() => undefined)
  return {
    seen,
    stop: async () => {
      stopped = true
      await watching
    },
  }
}

/** Which documents a measurement looks for. */
export interface Marked {
  readonly aliases: readonly string[]
  /** That holds the mark, as it was written. */
  readonly field: string
}

export const markedLeads: Marked = { aliases: ['leads'], field: 'company.raw' }

export async function countDocuments(url: string, { aliases, field }: Marked, mark: string): Promise<number> {
  const { count } = (await ask(`${url}/${aliases.join(',')}/_count`, { query: { term: { [field]: mark } } })) as { count?: number }
  return count ?? 0
}

/** By the moments at which the sink made the documents: one a batch. */
export async function documentSpan(url: string, { aliases, field }: Marked, mark: string): Promise<Span> {
  const among = `${url}/${aliases.join(',')}`
  await ask(`${among}/_refresh`)
  const at = { field: 'afluente.synced_at' }
  const aggs = { first: { min: at }, last: { max: at }, n: { value_count: { field: 'afluente.version' } } }
  const { aggregations } = (await ask(`${among}/_search`, { size: 0, query: { term: { [field]: mark } }, aggs })) as Aggregated
  return { rows: aggregations?.n?.value ?? 0, firstMs: aggregations?.first?.value ?? 0, lastMs: aggregations?.last?.value ?? 0, withFirst: 0 }
}

interface Aggregated {
  readonly aggregations?: Readonly<Record<'first' | 'last' | 'n', { readonly value: number } | undefined>>
}

async function ask(url: string, body?: object): Promise<unknown> {
  const response = await fetch(url, {
    method: 'POST',
    ...(body === undefined ? {} : { headers: { 'content-type': 'application/json' }, body: JSON.stringify(body) }),
  })
  if (!response.ok) throw new Error(`Elasticsearch answered ${response.status}: ${await response.text()}`)
  return response.json()
}
