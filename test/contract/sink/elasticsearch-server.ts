/** A real Elasticsearch for a test file, and what its tests ask of it. */
import { mkdtemp, rm } from 'node:fs/promises'
import { join, resolve } from 'node:path'
import type { Client } from '@elastic/elasticsearch'
import { afterAll, beforeAll } from 'vitest'
import { startStack } from '../../../infra/local/stack.ts'
import { elasticsearchClient } from '../../../shared/adapters/elasticsearch/client.ts'
import { prepareIndices } from '../../../shared/adapters/elasticsearch/prepare.ts'
import { definePipeline } from '../../../shared/engine/define.ts'
import { type Columns, type SourceTable, table } from '../../../shared/tables/table.ts'

const never = new AbortController().signal

/** Starts one before the file's tests, unless AFLUENTE_TEST_ELASTICSEARCH_URL names one that runs; the indices tests make are theirs alone. */
export function realElasticsearch(): { readonly client: () => Client; readonly url: () => string } {
  let url = process.env['AFLUENTE_TEST_ELASTICSEARCH_URL'] ?? ''
  let stop = async (): Promise<void> => {}
  beforeAll(async () => {
    if (url !== '') return
    const home = await mkdtemp(join(resolve('.'), '.afluente-test-'))
    const stack = await startStack({ home, ports: 'free', only: ['elasticsearch'] })
    url = stack.info.elasticsearch.url
    stop = async () => {
      await stack.stop()
      await rm(home, { recursive: true, force: true })
    }
  })
  afterAll(() => stop())
  return { client: () => elasticsearchClient({ url }), url: () => url }
}

/** A name that no other test has. */
export function uniqueName(): string {
  return `t${crypto.randomUUID().replaceAll('-', '')}`
}

/** A table of a name of its own with its index, ready to be written. */
export async function tableWithIndex(client: Client, columns: Columns, fields: Record<string, 'text' | 'flattened' | 'object'> = {}) {
  const of: SourceTable = table({ schema: 'public', name: uniqueName(), key: Object.keys(columns).slice(0, 1), columns })
  const indices = { [of.name]: { version: 1, fields } }
  await prepareIndices({ client, floors: async () => [] }, pipelineOf(of, indices), () => {}, { signal: never })
  return { table: of, indices, index: `${of.name}-v1` }
}

export function pipelineOf(of: SourceTable, indices: Record<string, { readonly version: number }>) {
  const topic = `afluente.${of.schema}.${of.name}`
  const pipeline = definePipeline({ tables: [], topics: { partitions: 1, maxMessageBytes: 8_388_608, retention: '7d' }, consumers: {} })
  return {
    ...pipeline,
    tables: [of],
    consumers: { elasticsearch: { reads: [topic], sink: { kind: 'elasticsearch', indices }, mode: 'continuous', instances: 1 } },
  } as const
}

/** What people see: the living documents by the alias, refreshed first. */
export async function living(client: Client, alias: string): Promise<readonly Record<string, unknown>[]> {
  await client.indices.refresh({ index: alias })
  const { hits } = await client.search<Record<string, unknown>>({ index: alias, size: 1_000 })
  return hits.hits.map((hit) => hit._source ?? {})
}
