/** Looks at what must never go back while everything breaks: versions in the index, ends and committed offsets of the topics. And at whatever else is to be looked at often. */
import { setTimeout as sleep } from 'node:timers/promises'
import { type FlowReader, lagOf, type Place } from './flow.ts'
import { indexNames } from './index-documents.ts'
import type { World } from './world.ts'

export interface Samples {
  /** How many looks succeeded; a look at what is down gives nothing. */
  readonly looks: Record<'index' | 'topics' | 'settled', number>
  /** In words: what went back. */
  readonly wentBack: readonly string[]
  /** As it was seen last: undefined before that. */
  readonly outbox: number | undefined
  readonly lag: number | undefined
}

export interface Sampler {
  readonly samples: Samples
  stop(): Promise<void>
}

const EVERY_MS = 500

export function startSampler(world: World, flow: FlowReader, looks: readonly (() => Promise<void>)[]): Sampler {
  const counts = { index: 0, topics: 0, settled: 0 }
  const wentBack: string[] = []
  let outbox: number | undefined
  let ends: readonly Place[] | undefined
  let settled: readonly Place[] | undefined
  const stopping = new AbortController()
  const versions = new Map<string, number>()
  const offsets = new Map<string, bigint>()

  const seen = (what: string, places: readonly Place[]): void => {
    for (const { consumer, topic, partition, offset } of places) {
      const at = `${what} of ${consumer === undefined ? '' : `${consumer}, `}${topic}, partition ${partition}`
      const before = offsets.get(at) ?? -1n
      if (offset < before) wentBack.push(`${at}: ${before}, then ${offset}`)
      offsets.set(at, offset)
    }
  }
  const lookAtTopics = async (): Promise<void> => {
    const offsets = await flow.offsets()
    ends = offsets.ends
    counts.topics += 1
    seen('end', offsets.ends)
    seen('committed offset', offsets.committed)
  }
  const lookAtSettled = async (): Promise<void> => {
    settled = await flow.settled()
    counts.settled += 1
    seen('settled offset', settled)
  }
  const lookAtOutbox = async (): Promise<void> => {
    outbox = await flow.outbox()
  }
  const lookAtIndex = async (): Promise<void> => {
    for (const index of Object.values(indexNames)) {
      const response = await fetch(`${world.info.elasticsearch.url}/${index}/_search?version=true&_source=false&size=10000`, {
        signal: AbortSignal.timeout(2_000),
      })
      if (!response.ok) return
      const { hits } = (await response.json()) as { hits: { hits: readonly { _id: string; _version: number }[] } }
      for (const { _id, _version } of hits.hits) {
        const at = `${index} ${_id}`
        const before = versions.get(at) ?? 0
        if (_version < before) wentBack.push(`${at}: version ${before}, then ${_version}`)
        versions.set(at, _version)
      }
    }
    counts.index += 1
  }
  const loop = async (look: () => Promise<void>): Promise<void> => {
    while (!stopping.signal.aborted) {
      await look().catch(() => undefined)
      await sleep(EVERY_MS, undefined, { signal: stopping.signal }).catch(() => undefined)
    }
  }
  const running = Promise.all([lookAtTopics, lookAtSettled, lookAtOutbox, lookAtIndex, ...looks].map(loop))
  return {
    samples: {
      looks: counts,
      wentBack,
      get outbox() {
        return outbox
      },
      get lag() {
        return ends === undefined || settled === undefined ? undefined : lagOf(ends, settled)
      },
    },
    stop: async () => {
      stopping.abort()
      await running
    },
  }
}
