/** Copies from one index into another what the first has newer: found by sequence number, so that nothing is looked at twice and no clock counts. */
import type { Client } from '@elastic/elasticsearch'
import { AfluenteError } from '../../engine/errors.ts'
import { elementsOf, membersOf, onOneLine } from '../../events/json-text.ts'
import type { Cancellable } from '../../ports/cancellable.ts'
import type { ShadowNames } from '../../ports/shadows.ts'
import type { Bulk, BulkItem } from './bulk.ts'
import { AS_TEXT } from './connection.ts'

/** Operations that are looked at in a step; an answer holds no more than 10 000 documents. */
const AT_ONCE = 5_000

export interface Reach {
  /** All operations up to here are visible once the index is refreshed. */
  readonly settled: number
  /** The last that was begun. */
  readonly last: number
  readonly shards: number
}

/** How far the operations of an index have come; -1 in an empty one. */
export async function reachOf(client: Client, index: string, { signal }: Cancellable): Promise<Reach> {
  const { indices } = await client.indices.stats({ index, level: 'shards', metric: 'docs' }, { signal })
  const shards = Object.values(indices?.[index]?.shards ?? {}).flatMap((copies) => copies.filter(({ routing }) => routing?.primary === true))
  const numbers = shards.map(({ seq_no: seqNo }) => ({ settled: seqNo?.local_checkpoint ?? -1, last: seqNo?.max_seq_no ?? -1 }))
  if (numbers.length === 0)
    throw new AfluenteError('unavailable', 'no-primary', `Elasticsearch: no shard of ${index} is there now. It is tried again; see that the cluster is up.`)
  return { settled: Math.min(...numbers.map(({ settled }) => settled)), last: Math.max(...numbers.map(({ last }) => last)), shards: numbers.length }
}

/**
 * One step: of the operations after `after`, a bounded number. `next` is where the following step begins: what is not surely visible yet is looked at again.
 * Errors: `refused` when the shadow's mapping will not take a document of the live one.
 */
export async function copyNewer(client: Client, bulk: Bulk, { live, shadow }: ShadowNames, after: number, options: Cancellable) {
  const reach = await reachOf(client, live, options)
  await client.indices.refresh({ index: live }, options)
  const until = after + Math.max(1, Math.floor(AT_ONCE / reach.shards))
  const { hits } = await client.search(
    { index: live, size: 10_000, query: { range: { _seq_no: { gt: after, lte: until } } }, _source: false, version: true },
    options,
  )
  const versions = new Map(hits.hits.flatMap(({ _id, _version }) => (_id === undefined || _version === undefined ? [] : [[_id, _version] as const])))
  const newer = await newerThan(client, shadow, versions, options)
  return {
    copied: await copy(client, bulk, { live, shadow }, newer, options),
    next: Math.max(after, Math.min(until, reach.settled)),
    ended: until >= reach.last,
  }
}

/** The ids whose version is greater than what the index has. */
async function newerThan(client: Client, index: string, versions: ReadonlyMap<string, number>, { signal }: Cancellable): Promise<readonly string[]> {
  const ids = [...versions.keys()]
  if (ids.length === 0) return []
  const { docs } = await client.mget({ index, ids, _source: false }, { signal })
  const there = new Map(docs.flatMap((doc) => ('_version' in doc && doc._version !== undefined ? [[doc._id, doc._version] as const] : [])))
  return ids.filter((id) => (versions.get(id) ?? 0) > (there.get(id) ?? -1))
}

/** The documents as they are, to the last digit, under their versions. A conflict means that somebody copied it already. */
async function copy(client: Client, bulk: Bulk, { live, shadow }: ShadowNames, ids: readonly string[], options: Cancellable): Promise<number> {
  let copied = 0
  for (let at = 0; at < ids.length; at += 1_000) {
    const part = ids.slice(at, at + 1_000)
    const documents = await textsOf(client, live, part, options)
    const outcomes = await bulk(shadow, documents.map(itemOf), { ...options, refresh: false })
    const refused = outcomes.flatMap((outcome) => (outcome.status === 'rejected' ? [outcome.error] : []))
    const [first] = refused
    if (first !== undefined)
      throw new AfluenteError(
        'refused',
        first.type,
        `Elasticsearch: ${shadow} did not take ${refused.length} document(s) of ${live} (${first.type}). Drop the shadow, change the index's definition in shared/pipeline.ts, and make the shadow anew.`,
      )
    copied += outcomes.filter(({ status }) => status === 'accepted').length
  }
  return copied
}

interface StoredDocument {
  readonly id: string
  readonly version: number
  /** As it stands in the index, JSON text. */
  readonly source: string
}

async function textsOf(client: Client, index: string, ids: readonly string[], { signal }: Cancellable): Promise<readonly StoredDocument[]> {
  const answer: unknown = await client.transport.request(
    { method: 'POST', path: `/${encodeURIComponent(index)}/_mget`, body: { ids } },
    { signal, headers: { [AS_TEXT]: 'true', 'content-type': 'application/json', accept: 'application/json' } },
  )
  const docs = typeof answer === 'string' ? elementsOf(membersOf(answer)?.get('docs') ?? '') : null
  if (docs === null) throw new AfluenteError('unavailable', 'unreadable', `Elasticsearch: the answer to _mget of ${index} can't be read.`)
  return docs.flatMap((text) => {
    const members = membersOf(text)
    const [id, version, source] = ['_id', '_version', '_source'].map((name) => members?.get(name))
    return id === undefined || version === undefined || source === undefined ? [] : [{ id, version: Number(version), source }]
  })
}

function itemOf({ id, source, version }: StoredDocument): BulkItem {
  return { action: `{"index":{"_id":${id},"version":${version},"version_type":"external"}}`, document: onOneLine(source) }
}
