/** What an index has of one key: read by id, so that nothing need be refreshed and a deleted document shows as well. */
import type { Client } from '@elastic/elasticsearch'
import type { AnyElasticsearchSink } from '../../engine/define.ts'
import { documentIdOf } from '../../mappings/document.ts'
import { indexNameOf } from '../../mappings/index-mapping.ts'
import type { Copies, Copy } from '../../ports/traces.ts'
import { errorTypeOf, requestFault, statusOf } from './faults.ts'

export interface ElasticsearchCopiesDeps {
  readonly client: Client
  readonly indices: AnyElasticsearchSink['indices']
}

export function elasticsearchCopies({ client, indices }: ElasticsearchCopiesDeps): Copies {
  return {
    copy: async ({ key, table }, { signal }) => {
      const index = indexNameOf(table, indices[table.name]?.version ?? 1)
      try {
        const { _source } = await client.get({ index, id: documentIdOf(key), _source_includes: ['afluente'] }, { signal })
        return copyOf(_source)
      } catch (error) {
        // A missing document has no error of its own; a missing index has.
        if (statusOf(error) === 404 && errorTypeOf(error) === null) return null
        throw requestFault(`reading a document of ${index}`, error)
      }
    },
  }
}

function copyOf(source: unknown): Copy | null {
  const envelope = memberOf(source, 'afluente')
  const version = memberOf(envelope, 'version')
  if (typeof version !== 'number') return null
  return {
    version,
    eventId: textOf(memberOf(envelope, 'event_id')),
    deleted: memberOf(envelope, 'deleted') === true,
    syncedAt: textOf(memberOf(envelope, 'synced_at')),
  }
}

function memberOf(value: unknown, name: string): unknown {
  return typeof value === 'object' && value !== null ? Reflect.get(value, name) : undefined
}

function textOf(value: unknown): string | null {
  return typeof value === 'string' ? value : null
}
