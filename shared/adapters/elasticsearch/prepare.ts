import type { Client } from '@elastic/elasticsearch'
import type { AnyPipeline } from '../../engine/define.ts'
import { topicOf } from '../../engine/define.ts'
import { AfluenteError } from '../../engine/errors.ts'
import { aboveFloor, aliasFilterOf, aliasOf, floorOfFilter, type IndexDefinition, indexNameOf, templateOf } from '../../mappings/index-mapping.ts'
import type { Cancellable } from '../../ports/cancellable.ts'
import type { Floor } from '../../ports/control.ts'
import { qualifiedName, type SourceTable } from '../../tables/table.ts'
import { holdAliasToFloor, holdersOf } from './alias.ts'
import { isOfVersion, shadowIndexOf } from './live-index.ts'
import { differingFields } from './mapping-drift.ts'
import { errorTypeOf, requestFault, statusOf } from './faults.ts'

export interface PrepareStep {
  readonly index: string
  readonly did: 'made' | 'found' | 'fields-added' | 'alias-moved' | 'alias-waits'
  /** One sentence for people. */
  readonly message: string
}

export interface PrepareDeps {
  readonly client: Client
  /** The floors of all tables, as they are now: asked for each alias that is made, and again after it was made. */
  readonly floors: (options: Cancellable) => Promise<readonly Floor[]>
}

/**
 * Makes what the definition wants of Elasticsearch: a template, the concrete index and the filtered alias of each
 * table. Idempotent, and safe beside others that do the same. An index that is there keeps its documents: fields that
 * can be added are added, others are `misconfigured` with their names. After a raised `version` the alias, and with it every write, stays with
 * the old index while that holds documents: a replay fills the new one as a shadow, and a swap moves the alias. The alias's filter has the table's floor, and never a lower one
 * than it had. Errors: `unavailable`, `misconfigured`.
 */
export async function prepareIndices(
  { client, floors }: PrepareDeps,
  pipeline: AnyPipeline,
  onStep: (step: PrepareStep) => void,
  { signal }: Cancellable,
): Promise<void> {
  for (const { table, definition } of wantedIndices(pipeline)) {
    const named = wanted(() => indexNameOf(table, definition.version))
    const present = async () => (await floors({ signal })).find((floor) => floor.table === qualifiedName(table))?.version ?? 0
    let index = named
    try {
      index = await indexFor(client, aliasOf(table), named, signal)
      onStep(await prepareOne(client, index, table, definition, signal))
      const moved = await moveAlias(client, index, aliasOf(table), await present(), signal)
      if (moved !== null) onStep(moved)
      await holdAliasToFloor(client, aliasOf(table), present, { signal })
    } catch (error) {
      if (error instanceof AfluenteError) throw error
      throw requestFault(`preparing the index ${index}`, error)
    }
  }
}

/** After a swap the neighbour of the definition's name may be the one that is live. Where the alias is gone nobody can say which: the other one is out of date. */
async function indexFor(client: Client, alias: string, named: string, signal: AbortSignal): Promise<string> {
  const holders = Object.keys(await holdersOf(client, alias, { signal }))
  if (holders.length > 0) return holders.find((holder) => isOfVersion(holder, named)) ?? named
  const neighbour = shadowIndexOf(named)
  if (!(await client.indices.exists({ index: neighbour }, { signal }))) return named
  if (!(await client.indices.exists({ index: named }, { signal }))) return neighbour
  throw new AfluenteError(
    'misconfigured',
    'alias',
    `Elasticsearch: the alias ${alias} is gone, and ${named} and ${neighbour} are both there: only one of them is up to date. Remove the other one, or give the alias back by hand; then deploy again and reconcile the table.`,
  )
}

function wantedIndices({ tables, consumers }: AnyPipeline): readonly { readonly table: SourceTable; readonly definition: IndexDefinition }[] {
  return Object.values(consumers).flatMap(({ sink, reads }) =>
    sink.kind !== 'elasticsearch'
      ? []
      : tables.flatMap((table) => {
          const definition = sink.indices[table.name]
          return definition === undefined || !reads.includes(topicOf(table)) ? [] : [{ table, definition }]
        }),
  )
}

async function prepareOne(client: Client, index: string, table: SourceTable, definition: IndexDefinition, signal: AbortSignal): Promise<PrepareStep> {
  const template = { ...wanted(() => templateOf(table, definition)), index_patterns: [index] }
  const { properties } = template.template.mappings
  const name = `afluente-${index}`
  const found = await orNothing(client.indices.getMapping({ index }, { signal }))
  const differing = found === null ? [] : differingFields(properties, found[index]?.mappings.properties)
  if (found === null || differing.length > 0 || !(await client.indices.existsIndexTemplate({ name }, { signal }))) {
    await understood(index, client.indices.putIndexTemplate({ name, ...template }, { signal }))
  }
  if (found === null) return makeIndex(client, index, signal)
  if (differing.length === 0) return { index, did: 'found', message: `The index ${index} is as defined.` }
  try {
    await client.indices.putMapping({ index, properties }, { signal })
  } catch (error) {
    if (statusOf(error) !== 400) throw error
    const text = `Elasticsearch: the index ${index} exists with another mapping of ${differing.join(', ')}, which can't be changed in place. Raise the index's version in shared/pipeline.ts: a new index is made beside it.`
    throw new AfluenteError('misconfigured', 'mapping-drift', text, { cause: error })
  }
  return {
    index,
    did: 'fields-added',
    message: `The index ${index} was told of ${differing.join(', ')}; older documents are found by them once they are sent again.`,
  }
}

async function makeIndex(client: Client, index: string, signal: AbortSignal): Promise<PrepareStep> {
  try {
    await client.indices.create({ index }, { signal })
    return { index, did: 'made', message: `The index ${index} was made.` }
  } catch (error) {
    if (errorTypeOf(error) !== 'resource_already_exists_exception') throw error
    return { index, did: 'found', message: `Somebody else made the index ${index} just now.` }
  }
}

/** Null when the alias already leads to the index. A filter that has a floor keeps it, though nobody else knew of it any more. */
async function moveAlias(client: Client, index: string, alias: string, floor: number, signal: AbortSignal): Promise<PrepareStep | null> {
  const held = await holdersOf(client, alias, { signal })
  const others = Object.keys(held).filter((name) => name !== index)
  const highest = Math.max(floor, ...Object.values(held).map(floorOfFilter))
  const filter = aliasFilterOf(highest)
  if (others.length === 0 && index in held && JSON.stringify(held[index]) === JSON.stringify(filter)) return null
  if (others.length > 0) {
    await client.indices.refresh({ index: others }, { signal })
    // The dead of before the floor need no successor.
    const { count } = await client.count({ index: others, query: aboveFloor(highest) }, { signal })
    if (count > 0) {
      const message = `The alias ${alias}, and what is written by it, stays with ${others.join(', ')} (${count} documents). Fill ${index} beside it, look, and move the alias: npx afluente replay --table ${alias} --into <consumer> --shadow, then npx afluente shadow swap ${alias}.`
      return { index, did: 'alias-waits', message }
    }
  }
  const remove = others.map((name) => ({ remove: { index: name, alias } }))
  await client.indices.updateAliases({ actions: [...remove, { add: { index, alias, filter } }] }, { signal })
  return { index, did: 'alias-moved', message: `The alias ${alias} leads to ${index}.` }
}

/** The server is asked by trying: what it has no type or setting for, it names. Its reason holds nothing but the definition's own words. */
async function understood(index: string, request: Promise<unknown>): Promise<void> {
  try {
    await request
  } catch (error) {
    if (statusOf(error) !== 400) throw error
    const reason = error instanceof Error ? error.message : 'no reason given'
    throw new AfluenteError(
      'misconfigured',
      errorTypeOf(error) ?? 'template',
      `Elasticsearch: the server doesn't understand the definition of ${index}: ${reason}. Choose another field kind in shared/pipeline.ts.`,
      { cause: error },
    )
  }
}

function wanted<T>(make: () => T): T {
  try {
    return make()
  } catch (error) {
    if (!(error instanceof RangeError)) throw error
    throw new AfluenteError('misconfigured', 'definition', `shared/pipeline.ts: ${error.message}`, { cause: error })
  }
}

async function orNothing<T>(request: Promise<T>): Promise<T | null> {
  try {
    return await request
  } catch (error) {
    if (statusOf(error) === 404) return null
    throw error
  }
}
