/** Compares two indices document by document: each page of the one with the same ids of the other. */
import type { Client, estypes } from '@elastic/elasticsearch'
import { aliasFilterOf } from '../../mappings/index-mapping.ts'
import { kindOf } from '../../mappings/masked-record.ts'
import type { Cancellable } from '../../ports/cancellable.ts'
import type { Difference, DifferenceKind, Differences, ShadowNames } from '../../ports/shadows.ts'

export interface Comparison extends ShadowNames {
  /** The table's floor: what is at or below it is not there. */
  readonly floor: number
  /** When the replay began, in milliseconds. */
  readonly sinceMs: number
  readonly told: (rows: number) => Promise<void>
}

const PAGE = 500
const SAMPLES = 5
const KEEP_ALIVE = '2m'
/** What was written into the live one shortly before the replay began may have reached bronze after it was read; and two clocks are compared. */
const BEFORE_SINCE_MS = 60_000

interface Document {
  readonly key: string
  readonly version: number
  readonly syncedMs: number
  readonly living: boolean
  readonly source: Readonly<Record<string, unknown>>
}

export async function compareIndices(client: Client, of: Comparison, options: Cancellable): Promise<Differences> {
  const { floor, live, shadow, sinceMs, told } = of
  await client.indices.refresh({ index: [live, shadow] }, options)
  const counts = { live: 0, shadow: 0, newer: 0, onlyLive: 0, onlyShadow: 0, different: 0 }
  const samples: Record<DifferenceKind, Difference[]> = { onlyLive: [], onlyShadow: [], different: [] }
  const isNewer = (one: Document | undefined, other: Document | undefined) =>
    one !== undefined && one.version > (other?.version ?? 0) && one.syncedMs >= sinceMs - BEFORE_SINCE_MS
  const note = (kind: DifferenceKind | 'newer' | 'same', here: Document | undefined, there: Document | undefined) => {
    if (kind === 'same') return
    counts[kind] += 1
    if (kind !== 'newer' && samples[kind].length < SAMPLES) samples[kind].push(differenceOf(here, there))
  }
  let rows = 0

  for await (const page of pages(client, live, floor, options)) {
    const others = await documents(client, shadow, [...page.keys()], floor, options)
    for (const [id, here] of page) {
      const there = others.get(id)
      counts.live += 1
      const kind = there?.living === true ? (isSame(here, there) ? 'same' : 'different') : 'onlyLive'
      note(kind !== 'same' && isNewer(here, there) ? 'newer' : kind, here, there)
    }
    await told((rows += page.size))
  }
  for await (const page of pages(client, shadow, floor, options)) {
    const others = await documents(client, live, [...page.keys()], floor, options)
    for (const [id, there] of page) {
      const here = others.get(id)
      counts.shadow += 1
      if (here?.living !== true) note(isNewer(here, there) ? 'newer' : 'onlyShadow', here, there)
    }
    await told((rows += page.size))
  }
  return { ...counts, samples }
}

/** The living documents of an index as they were at one moment. */
async function* pages(client: Client, index: string, floor: number, options: Cancellable): AsyncGenerator<ReadonlyMap<string, Document>> {
  const { id } = await client.openPointInTime({ index, keep_alive: KEEP_ALIVE }, options)
  try {
    let after: estypes.SortResults | undefined
    for (;;) {
      const { hits } = await client.search<Record<string, unknown>>(
        {
          pit: { id, keep_alive: KEEP_ALIVE },
          size: PAGE,
          query: aliasFilterOf(floor),
          sort: ['_shard_doc'],
          track_total_hits: false,
          ...(after === undefined ? {} : { search_after: after }),
        },
        options,
      )
      if (hits.hits.length === 0) return
      after = hits.hits.at(-1)?.sort
      yield new Map(hits.hits.map(({ _id, _source }) => [_id ?? '', documentOf(_source, floor)] as const))
    }
  } finally {
    await client.closePointInTime({ id }).catch(() => undefined)
  }
}

async function documents(client: Client, index: string, ids: readonly string[], floor: number, options: Cancellable): Promise<ReadonlyMap<string, Document>> {
  const { docs } = await client.mget<Record<string, unknown>>({ index, ids: [...ids] }, options)
  return new Map(docs.flatMap((doc) => ('found' in doc && doc.found ? [[doc._id, documentOf(doc._source, floor)] as const] : [])))
}

function documentOf(source: Readonly<Record<string, unknown>> | undefined, floor: number): Document {
  const envelope = new Map(Object.entries(objectOf(source?.['afluente'])))
  const version = Number(envelope.get('version') ?? 0)
  return {
    key: String(envelope.get('key')),
    version,
    syncedMs: Date.parse(String(envelope.get('synced_at'))),
    living: envelope.get('deleted') !== true && version > floor,
    source: source ?? {},
  }
}

function isSame(here: Document, there: Document): boolean {
  return here.version === there.version && differing(here, there).length === 0
}

/** The columns whose values are not the same JSON. */
function differing(here: Document, there: Document): readonly string[] {
  const names = new Set([...Object.keys(here.source), ...Object.keys(there.source)])
  return [...names].filter((name) => name !== 'afluente' && JSON.stringify(here.source[name]) !== JSON.stringify(there.source[name]))
}

function differenceOf(here: Document | undefined, there: Document | undefined): Difference {
  const both = here?.living === true && there?.living === true ? { here, there } : null
  const columns =
    both === null
      ? []
      : differing(both.here, both.there).map(
          (name) => [name, { live: kindOf(both.here.source[name] ?? null), shadow: kindOf(both.there.source[name] ?? null) }] as const,
        )
  return {
    key: here?.key ?? there?.key ?? '',
    liveVersion: here?.living === true ? here.version : null,
    shadowVersion: there?.living === true ? there.version : null,
    columns: Object.fromEntries(columns),
  }
}

function objectOf(value: unknown): Readonly<Record<string, unknown>> {
  return typeof value === 'object' && value !== null ? { ...value } : {}
}
