/** The tombstones of an index, and what stands below its table's floor: hidden by the alias's filter, purged for good here. */
import type { Client, estypes } from '@elastic/elasticsearch'
import type { AnyElasticsearchSink } from '../../engine/define.ts'
import { AfluenteError } from '../../engine/errors.ts'
import { aliasOf, floorOfFilter, indexNameOf, tombstonesOf } from '../../mappings/index-mapping.ts'
import type { Cancellable } from '../../ports/cancellable.ts'
import type { Purges, Tombstones } from '../../ports/purges.ts'
import { holdersOf } from './alias.ts'
import { requestFault } from './faults.ts'

export interface ElasticsearchTombstonesDeps {
  readonly client: Client
  readonly indices: AnyElasticsearchSink['indices']
  readonly purges: Pick<Purges, 'count'>
  /** How many documents a step purges at most. */
  readonly atOnce?: number
}

/**
 * Found by a search, deleted as they were found: a document that was written meanwhile stays. Counted after each step, so one that is killed
 * in between has purged what it doesn't tell. (Not `_delete_by_query`: a module that not every Elasticsearch has.)
 */
export function elasticsearchTombstones({ client, indices, purges, atOnce = 5_000 }: ElasticsearchTombstonesDeps): Tombstones {
  return {
    purge: async ({ table, hold, before }, { signal }) => {
      // Whichever the alias leads to: after a swap that may be another one than the definition's.
      let index = indexNameOf(table, indices[table.name]?.version ?? 1)
      const step = async () => {
        try {
          const holders = await holdersOf(client, aliasOf(table), { signal })
          index = Object.keys(holders)[0] ?? index
          const floor = floorOfFilter(holders[index])
          const asked = { index, size: atOnce, query: tombstonesOf(before, floor), _source: false, seq_no_primary_term: true, sort: ['_doc'] }
          const { hits } = (await client.search({ ...asked, track_total_hits: false }, { signal })).hits
          return { found: hits.length, statuses: await deleted(index, hits, { signal }) }
        } catch (error) {
          throw requestFault(`purging deleted documents of ${index}`, error)
        }
      }
      const { found, statuses } = await step()
      const count = (of: (status: number) => boolean) => statuses.filter(of).length
      const rows = count((status) => status >= 200 && status < 300)
      const next = found < atOnce ? null : 0
      await purges.count(hold, { rows, next, before }, { signal })
      const failed = count((status) => (status < 200 || status >= 300) && status !== CHANGED && status !== GONE)
      if (failed > 0)
        throw new AfluenteError('unavailable', 'purge-failed', `Elasticsearch did not purge ${failed} document(s) of ${index}. They are tried again.`)
      return { rows, next }
    },
  }

  /** The status of each deletion. Refreshed, so that the next step's search finds others. */
  async function deleted(index: string, hits: readonly Hit[], options: Cancellable): Promise<readonly number[]> {
    const operations = hits.map(({ _id, _primary_term, _seq_no }) => ({ delete: { _id, if_seq_no: _seq_no, if_primary_term: _primary_term } }))
    if (operations.length === 0) return []
    const { items } = await client.bulk({ index, operations, refresh: true, filter_path: 'items.*.status' }, options)
    return items.map((item) => item.delete?.status ?? 0)
  }
}

type Hit = Pick<estypes.SearchHit, '_id' | '_primary_term' | '_seq_no'>

const CHANGED = 409
const GONE = 404
