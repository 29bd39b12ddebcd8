/** As many captures as there are shards, each going from shard to shard, and others that come when one stands still or hands over. */
import { randomUUID } from 'node:crypto'
import { systemClock } from '../../../shared/adapters/clock.ts'
import { createBudget } from '../../../shared/engine/budget.ts'
import { type CaptureDeps, captureShard, type Ending } from '../../../shared/engine/capture.ts'
import type { CaptureLimits } from '../../../shared/engine/capture-limits.ts'
import type { Clock } from '../../../shared/ports/clock.ts'
import type { Log } from '../../../shared/ports/log.ts'
import type { Outbox } from '../../../shared/ports/outbox.ts'
import type { Publisher } from '../../../shared/ports/publisher.ts'
import type { Deed } from './lease-history.ts'
import { createPlace, pausable, type Place, type PlaceDeps } from './pauses.ts'

const SILENT: Log = { info: () => {}, warn: () => {}, error: () => {} }

/** The product's figures, shortened, so that a pause outlives a lease quickly; small batches and requests, so that there are many. */
export const limits: CaptureLimits = {
  leaseMs: 300,
  waitMs: 40,
  paceMs: 4,
  lingerMs: 60,
  takeOverMs: 500,
  maxRows: 40,
  maxBytes: 65_536,
  sendBytes: 1_500,
  maxMessageBytes: 1_048_576,
  attempts: 3,
  retryBaseMs: 10,
  retryMaxMs: 50,
}

/** A guard taken out, or nothing. */
export interface Tampering {
  readonly outbox?: (outbox: Outbox) => Outbox
  readonly clock?: (clock: Clock, place: Place) => Clock
}

export interface CrewDeps {
  readonly outbox: Outbox
  /** A session of its own for each capture. */
  readonly publisher: () => Publisher
  readonly random: () => number
  readonly shards: number
  readonly due: PlaceDeps['due']
  readonly tampering?: Tampering
}

export interface Crew {
  readonly deeds: readonly Deed[]
  /** How many runs ended how. */
  readonly endings: Partial<Record<Ending, number>>
  /** One more capture, for that shard alone, for as long as `until` has not resolved. */
  fresh(shard: number, until: Promise<void>): void
  /** Resolves when every capture has let go. */
  stop(): Promise<void>
}

export function startCrew({ due, outbox: plain, publisher: open, random, shards, tampering = {} }: CrewDeps): Crew {
  const deeds: Deed[] = []
  const endings: Partial<Record<Ending, number>> = {}
  const running = new Set<Promise<void>>()
  const publishers: Publisher[] = []
  const { signal } = new AbortController()
  const outbox = tampering.outbox?.(plain) ?? plain
  const base = systemClock()
  let stopping = false
  let places = 0

  const follow = (work: Promise<void>): void => {
    running.add(work)
    void work.finally(() => running.delete(work)).catch(() => undefined)
  }

  const newCapture = (): ((shard: number, successor: boolean) => Promise<Ending>) => {
    places += 1
    const place = createPlace({ name: `capture ${places}`, due })
    const clock = tampering.clock?.(base, place) ?? base
    const publisher = open()
    publishers.push(publisher)
    return async (shard, successor) => {
      const owner = randomUUID()
      place.shard = shard
      const budget = createBudget({
        clock,
        limits: { softWallMs: 500 + random() * 1_000, hardWallMs: 3_000, softCpuMs: 1e9, hardCpuMs: 1e9 },
        cost: { start: 0, call: 0, row: 0, kibibyte: 0 },
      })
      const deps: CaptureDeps = {
        outbox: {
          ...outbox,
          acknowledge: async (of, epoch, versions, options) => {
            const at = Date.now()
            const settled = await outbox.acknowledge(of, epoch, versions, options)
            if (settled.status === 'done') deeds.push({ what: 'acknowledge', shard: of, owner, epoch, at })
            return settled
          },
        },
        publisher,
        clock,
        log: SILENT,
        random,
        budget,
        limits,
        ref: 'test',
        startSuccessor: async (of) => follow(newCapture()(of, true).then(() => undefined)),
      }
      const paused = pausable(deps, place)
      const ending = await captureShard(
        { shard, owner, successor, signal, onLook: () => {} },
        {
          ...paused,
          publisher: {
            ...paused.publisher,
            publish: (...of) => {
              deeds.push({ what: 'publish', shard, owner, epoch: null, at: Date.now() })
              return paused.publisher.publish(...of)
            },
          },
        },
      )
      endings[ending] = (endings[ending] ?? 0) + 1
      return ending
    }
  }

  for (let number = 0; number < shards; number += 1) {
    const capture = newCapture()
    const work = async () => {
      for (let shard = number; !stopping; shard = Math.floor(random() * shards)) await capture(shard, false)
    }
    follow(work())
  }

  return {
    deeds,
    endings,
    fresh: (shard, until) => {
      const capture = newCapture()
      let over = false
      void until.then(() => (over = true))
      const work = async () => {
        while (!over && !stopping) await capture(shard, false)
      }
      follow(work())
    },
    stop: async () => {
      stopping = true
      while (running.size > 0) await Promise.all(running)
      await Promise.all(publishers.map((publisher) => publisher.close()))
    },
  }
}
