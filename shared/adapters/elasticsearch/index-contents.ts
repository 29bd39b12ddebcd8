/** The documents of a table as a reconcile reads them: sums of `afluente.check` over ranges of `afluente.key`, and keys with versions. */
import type { Client } from '@elastic/elasticsearch'
import type { AnyElasticsearchSink } from '../../engine/define.ts'
import { AfluenteError } from '../../engine/errors.ts'
import { documentIdOf } from '../../mappings/document.ts'
import { aboveFloor, aliasOf, indexNameOf } from '../../mappings/index-mapping.ts'
import type { Cancellable } from '../../ports/cancellable.ts'
import type { IndexContents, IndexCopy, IndexSum } from '../../ports/reconcile.ts'
import type { SourceTable } from '../../tables/table.ts'
import { holdersOf } from './alias.ts'
import { itemsFault, requestFault } from './faults.ts'

export interface IndexContentsDeps {
  readonly client: Client
  readonly indices: AnyElasticsearchSink['indices']
}

/** A request's worth of ranges. */
const RANGES_AT_ONCE = 128

interface Bounds {
  readonly gte?: string
  readonly lt?: string
}

export function elasticsearchContents({ client, indices }: IndexContentsDeps): IndexContents {
  const indexOf = (table: SourceTable) => indexNameOf(table, indices[table.name]?.version ?? 1)

  const asked = async <T>(what: string, table: SourceTable, options: Cancellable, work: (index: string) => Promise<T>): Promise<T> => {
    let index = indexOf(table)
    try {
      // Whichever the alias leads to: after a swap that may be another one than the definition's.
      index = Object.keys(await holdersOf(client, aliasOf(table), options))[0] ?? index
      return await work(index)
    } catch (error) {
      throw error instanceof AfluenteError ? error : requestFault(`${what} ${index}`, error)
    }
  }

  return {
    settle: (table, { signal }) => asked('refreshing', table, { signal }, async (index) => void (await client.indices.refresh({ index }, { signal }))),
    sums: (table, { boundaries, floor, from, to }, { signal }) =>
      asked('summing up', table, { signal }, async (index) => {
        const sums: IndexSum[] = []
        for (let first = from; first < to; first += RANGES_AT_ONCE) {
          const end = Math.min(to, first + RANGES_AT_ONCE)
          const ranges = Array.from({ length: end - first }, (_, nth) => ({ range: { 'afluente.key': boundsOf(boundaries, first + nth) } }))
          const { aggregations } = await client.search(
            {
              index,
              size: 0,
              track_total_hits: false,
              query: shown(floor, { ...boundsOf(boundaries, first), lt: boundsOf(boundaries, end - 1).lt }),
              aggs: { ranges: { filters: { filters: ranges }, aggs: { check: { sum: { field: 'afluente.check' } } } } },
            },
            { signal },
          )
          const buckets = memberOf(memberOf(aggregations, 'ranges'), 'buckets')
          if (!Array.isArray(buckets) || buckets.length !== ranges.length) throw unreadable(index)
          sums.push(...buckets.map((bucket, nth) => ({ range: first + nth, ...sumOf(bucket, index) })))
        }
        return sums
      }),
    open: (table, { after, boundaries, floor, limit, range }, { signal }) =>
      asked('reading keys of', table, { signal }, async (index) => {
        const { hits } = await client.search(
          {
            index,
            size: limit,
            track_total_hits: false,
            _source: false,
            docvalue_fields: ['afluente.key', 'afluente.version'],
            query: shown(floor, boundsOf(boundaries, range)),
            sort: [{ 'afluente.key': 'asc' }],
            ...(after === null ? {} : { search_after: [after] }),
          },
          { signal },
        )
        return hits.hits.map(({ fields }) => {
          const [key, version] = [firstOf(fields, 'afluente.key'), firstOf(fields, 'afluente.version')]
          if (typeof key !== 'string' || typeof version !== 'number') throw unreadable(index)
          return { key, version }
        })
      }),
    find: (table, keys, floor, { signal }) =>
      asked('reading documents of', table, { signal }, async (index) => {
        const { docs } = await client.mget({ index, ids: keys.map(documentIdOf), _source_includes: ['afluente.version', 'afluente.deleted'] }, { signal })
        const error = docs.map((doc) => memberOf(doc, 'error')).find((one) => one !== undefined)
        if (error !== undefined) throw unread(index, error)
        return docs.flatMap((doc, nth) => copyOf(doc, keys[nth] ?? '', floor))
      }),
  }
}

/** What the alias shows, as its filter says it. */
function shown(floor: number, { gte, lt }: { readonly gte?: string | undefined; readonly lt?: string | undefined }) {
  const bounds = { ...(gte === undefined ? {} : { gte }), ...(lt === undefined ? {} : { lt }) }
  return { bool: { filter: [{ term: { 'afluente.deleted': false } }, { range: { 'afluente.key': bounds } }, ...(floor === 0 ? [] : [aboveFloor(floor)])] } }
}

/** Range 0 lies below the first boundary, each other one begins with its own. */
function boundsOf(boundaries: readonly string[], range: number): Bounds {
  const [gte, lt] = [boundaries[range - 1], boundaries[range]]
  return { ...(gte === undefined ? {} : { gte }), ...(lt === undefined ? {} : { lt }) }
}

/** A sum is a double that printed itself whole: below 2^53 it is exact. */
function sumOf(bucket: unknown, index: string): { readonly rows: number; readonly check: bigint } {
  const rows = memberOf(bucket, 'doc_count')
  const check = memberOf(memberOf(bucket, 'check'), 'value')
  if (typeof rows !== 'number' || typeof check !== 'number') throw unreadable(index)
  return { rows, check: BigInt(Math.round(check)) }
}

function copyOf(doc: unknown, key: string, floor: number): readonly IndexCopy[] {
  const envelope = memberOf(memberOf(doc, '_source'), 'afluente')
  const version = memberOf(envelope, 'version')
  return typeof version === 'number' ? [{ key, version, living: memberOf(envelope, 'deleted') === false && version > floor }] : []
}

/** The request is well, and a document could not be looked for: what isn't found is no error. */
function unread(index: string, error: unknown): AfluenteError {
  const type = memberOf(error, 'type')
  return type === 'index_not_found_exception' || type === 'index_closed_exception'
    ? itemsFault('no-index', index, type)
    : itemsFault('overloaded', index, typeof type === 'string' ? type : 'unknown')
}

function firstOf(fields: unknown, name: string): unknown {
  const values = memberOf(fields, name)
  return Array.isArray(values) ? values[0] : undefined
}

function memberOf(value: unknown, name: string): unknown {
  return typeof value === 'object' && value !== null ? Reflect.get(value, name) : undefined
}

function unreadable(index: string): AfluenteError {
  return new AfluenteError(
    'misconfigured',
    'unreadable-answer',
    `Elasticsearch answers for ${index} otherwise than this version expects: it wants 8 or 9, with the mapping that npm run deploy makes.`,
  )
}
