/**
 * Shadows of indices: another concrete index beside the one that the alias leads to, with the mapping as it is defined now. A swap moves the alias,
 * and with it readers and writers, at once.
 */
import type { Client } from '@elastic/elasticsearch'
import type { AnyElasticsearchSink } from '../../engine/define.ts'
import { actionFor, AfluenteError, isAfluenteError } from '../../engine/errors.ts'
import { aliasFilterOf, aliasOf, floorOfFilter, indexNameOf, templateOf } from '../../mappings/index-mapping.ts'
import type { Cancellable } from '../../ports/cancellable.ts'
import type { Clock } from '../../ports/clock.ts'
import type { Control } from '../../ports/control.ts'
import type { ShadowNames, Shadows, Swapped } from '../../ports/shadows.ts'
import type { Fence } from '../../ports/sink.ts'
import { qualifiedName, type SourceTable } from '../../tables/table.ts'
import { type Holders, holdAliasToFloor, holdersOf } from './alias.ts'
import { bulkInto } from './bulk.ts'
import { compareIndices } from './comparison.ts'
import { errorTypeOf, requestFault, statusOf } from './faults.ts'
import { copyNewer } from './follow.ts'
import { liveIndex } from './live-index.ts'
import { elasticsearchSink } from './sink.ts'

export interface ElasticsearchShadowsDeps {
  readonly client: Client
  readonly control: Pick<Control, 'advance' | 'floors'>
  readonly clock: Clock
  /** 0 ≤ n < 1 */
  readonly random: () => number
  readonly indices: AnyElasticsearchSink['indices']
}

/** Nothing has been seen yet: operations are numbered from 0. */
const BEGINNING = -1
const NOTHING = { accepted: 0, duplicate: 0, late: 0, rejected: [] }

export function elasticsearchShadows({ client, control, clock, random, indices }: ElasticsearchShadowsDeps): Shadows {
  const made = new Map<string, string>()
  const bulk = bulkInto({ client, clock, random })
  const floorOf = async (table: SourceTable, options: Cancellable) =>
    (await control.floors(options)).find((floor) => floor.table === qualifiedName(table))?.version ?? 0

  /** A write block is answered once every write that was under way has ended; while it is there the stream waits, as for any sink that is not ready. */
  const block = (index: string, options: Cancellable) => client.indices.addBlock({ index, block: 'write' }, options)

  const moveAlias = async (table: SourceTable, { live, shadow }: ShadowNames, before: Holders, fence: Fence, options: Cancellable) => {
    const alias = aliasOf(table)
    const filter = aliasFilterOf(Math.max(await floorOf(table, options), ...Object.values(before).map(floorOfFilter)))
    // Who was given up meanwhile is told so here.
    await control.advance(fence, '0', 0, NOTHING, options)
    await client.indices.updateAliases({ actions: [{ remove: { index: live, alias, must_exist: true } }, { add: { index: shadow, alias, filter } }] }, options)
  }

  const swap = async (table: SourceTable, names: ShadowNames, fence: Fence, from: number, options: Cancellable): Promise<Swapped> => {
    const alias = aliasOf(table)
    const before = await holdersOf(client, alias, options)
    let copied = 0
    let at = from
    const copyRest = async () => {
      await block(names.live, options)
      for (let ended = false; !ended;) {
        const step = await copyNewer(client, bulk, names, at, options)
        copied += step.copied
        ;({ next: at, ended } = step)
      }
      await client.indices.refresh({ index: names.shadow }, options)
    }
    try {
      await copyRest()
      if (!(names.shadow in before)) await moveAlias(table, names, before, fence, options)
      await holdAliasToFloor(client, alias, () => floorOf(table, options), options)
      // A run that was given up may have opened the live one meanwhile, or moved the alias itself: now nobody is led there any more.
      await copyRest()
      return { status: 'swapped', copied }
    } catch (error) {
      // Where the alias has moved, the old one stays blocked: nobody writes there any more. Who is fenced has a successor, whose block it is.
      if (actionFor(error) !== 'stop') await letWritersOn(client, names.live, alias)
      throw error
    }
  }

  return {
    sink: elasticsearchSink({
      client,
      control,
      clock,
      random,
      indices,
      target: ({ name }) => {
        const index = made.get(name)
        if (index !== undefined) return index
        throw new AfluenteError('misconfigured', 'no-shadow', `Elasticsearch: the shadow of ${name} was not made yet.`)
      },
    }),
    make: (table, options) =>
      asked(`making a shadow of ${table.name}`, async () => {
        const definition = indices[table.name] ?? { version: 1 }
        const names = await liveIndex(client, aliasOf(table), indexNameOf(table, definition.version), options)
        const { settings, mappings } = templateOf(table, definition).template
        await client.indices.create({ index: names.shadow, settings, mappings }, options).catch((error: unknown) => {
          if (errorTypeOf(error) !== 'resource_already_exists_exception') throw error
        })
        made.set(table.name, names.shadow)
        return names
      }),
    compare: ({ table, names, since, told }, options) =>
      asked(`comparing ${names.live} with ${names.shadow}`, async () =>
        compareIndices(client, { ...names, floor: await floorOf(table, options), sinceMs: Date.parse(since), told }, options),
      ),
    follow: ({ table, names, from }, options) =>
      asked(`copying from ${names.live} to ${names.shadow}`, async () => {
        // Blocks are left by a swap that was killed, and by the one that made this one the former.
        if (from === null && names.live in (await holdersOf(client, aliasOf(table), options))) {
          await unblock(client, names.live, options)
          await unblock(client, names.shadow, options)
        }
        const { copied, ended, next } = await copyNewer(client, bulk, names, from === null ? BEGINNING : Number(from), options)
        return { copied, ended, next: String(next) }
      }),
    swap: ({ table, names, fence, from }, options) =>
      asked(`swapping ${names.live} and ${names.shadow}`, () => swap(table, names, fence, Number(from), options)),
    drop: ({ table, names }, options) =>
      asked(`removing ${names.shadow}`, async () => {
        if (names.shadow in (await holdersOf(client, aliasOf(table), options)))
          throw new AfluenteError('refused', 'live', `Elasticsearch: the alias ${aliasOf(table)} leads to ${names.shadow}: it is live, and was not removed.`)
        await client.indices.delete({ index: names.shadow }, options).catch((error: unknown) => {
          if (statusOf(error) !== 404) throw error
        })
      }),
  }
}

const NEVER = new AbortController().signal

/** Whoever can't do it says so as what is tried again: as long as the job runs, its next attempt opens the index first. */
async function letWritersOn(client: Client, live: string, alias: string): Promise<void> {
  const options = { signal: NEVER }
  try {
    if (live in (await holdersOf(client, alias, options))) await unblock(client, live, options)
  } catch (cause) {
    const why = requestFault(`letting writers into ${live} again`, cause).message
    throw new AfluenteError('unavailable', 'still-blocked', `${why} Until then nothing is written there.`, { cause })
  }
}

async function unblock(client: Client, index: string, options: Cancellable): Promise<void> {
  await client.indices.putSettings({ index, settings: { 'index.blocks.write': null } }, options)
}

async function asked<T>(what: string, work: () => Promise<T>): Promise<T> {
  try {
    return await work()
  } catch (error) {
    throw isAfluenteError(error) ? error : requestFault(what, error)
  }
}
