import { expect, test } from 'vitest'
import { indices } from '../../../infra/deploy/indices.ts'
import { postgresControl } from '../../../shared/adapters/postgres/control.ts'
import { aliasFilterOf } from '../../../shared/mappings/index-mapping.ts'
import { pipelineOf, realElasticsearch, tableWithIndex } from '../sink/elasticsearch-server.ts'
import { realPostgres } from '../sink/postgres-server.ts'

const postgres = realPostgres()
const server = realElasticsearch()
const { signal } = new AbortController()

test('a deploy gives each alias the floor that the analytics database knows, so that no truncated row comes back with it', async () => {
  const { table, indices: wanted, index } = await tableWithIndex(server.client(), { id: 'text' })
  const analyticsUrl = await postgres.analytics()
  const control = postgresControl({ db: postgres.pool(analyticsUrl) })
  const place = { consumer: 'c', topic: 't', partition: 0 }
  const fence = { ...place, epoch: await control.take({ ...place, owner: 'o' }, { signal }) }
  await control.raiseFloor({ table: `public.${table.name}`, version: 1_795_370_400_000_005, occurredAt: '2026-11-22T18:00:00Z' }, fence, { signal })

  const lines: string[] = []
  const deploy = () =>
    indices({ pipeline: pipelineOf(table, wanted), elasticsearch: { url: server.url() }, analyticsUrl, signal, onLine: (text) => lines.push(text) })
  await deploy()
  const held = await server.client().indices.getAlias({ name: table.name })
  expect(held[index]?.aliases[table.name]?.filter).toEqual(aliasFilterOf(1_795_370_400_000_005))
  lines.length = 0
  await deploy()
  expect(lines).toEqual([`The index ${index} is as defined.`])
})
