/** What an index has of one key: read by id, so that nothing need be refreshed and a deleted document shows as well. */
import type { Client } from '@elastic/elasticsearch'
import { documentIdOf } from '../../mappings/document.ts'
import { aliasOf } from '../../mappings/index-mapping.ts'
import type { Copies, Copy } from '../../ports/traces.ts'
import { errorTypeOf, requestFault, statusOf } from './faults.ts'

export function elasticsearchCopies({ client }: { readonly client: Client }): Copies {
  return {
    copy: async ({ key, table }, { signal }) => {
      // By the alias, which is where the sink writes: reading by id knows no filter.
      const index = aliasOf(table)
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
