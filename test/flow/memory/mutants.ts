/** The pipeline with one guard taken out, as the tools of this field have it. */
import { type MemoryAnalytics, placeOf } from '../../../shared/adapters/memory/analytics.ts'
import type { Outbox } from '../../../shared/ports/outbox.ts'
import type { Sink, WriteReport } from '../../../shared/ports/sink.ts'
import type { Subscription } from '../../../shared/ports/subscription.ts'
import type { Tampering } from './world.ts'

/** Last arrival wins: the sink forgets the version of a row right before it writes it. */
function withoutVersionGuard(sink: Sink, analytics: MemoryAnalytics): Sink {
  return {
    ...sink,
    write: async (batch, options) => {
      const total = { accepted: 0, duplicate: 0, late: 0, rejected: [] as WriteReport['rejected'][number][] }
      for (const [index, event] of batch.events.entries()) {
        analytics.silver.get(event.table)?.delete(event.key)
        const report = await sink.write({ ...batch, events: [event] }, options)
        total.accepted += report.accepted
        total.duplicate += report.duplicate
        total.late += report.late
        total.rejected.push(...report.rejected.map((rejection) => ({ ...rejection, index })))
      }
      return total
    },
  }
}

/** Late events from before a truncate are taken as if there had been none. */
function withoutFloorInGuard(sink: Sink, analytics: MemoryAnalytics): Sink {
  return {
    ...sink,
    write: async (batch, options) => {
      const floors = [...analytics.floors]
      analytics.floors.clear()
      try {
        return await sink.write(batch, options)
      } finally {
        for (const [table, floor] of floors) analytics.floors.set(table, floor)
      }
    },
  }
}

/** The floor keeps out what comes, and what stands below it stays. */
function withoutSweep(sink: Sink): Sink {
  return { ...sink, sweepBelow: async () => ({ rows: 0, next: null }) }
}

/** The first step of a sweep is taken for all of it. */
function sweepingOnce(sink: Sink): Sink {
  return { ...sink, sweepBelow: async (sweep, options) => ({ ...(await sink.sweepBelow(sweep, options)), next: null }) }
}

/** A deleted row is really gone, and with it the version that kept older events out. */
function withoutTombstones(sink: Sink, analytics: MemoryAnalytics): Sink {
  return {
    ...sink,
    write: async (batch, options) => {
      const report = await sink.write(batch, options)
      for (const rows of analytics.silver.values()) for (const [key, row] of rows) if (row.after === null) rows.delete(key)
      return report
    },
  }
}

/** Whoever comes may write, whatever epoch it says. */
function withoutEpochCheck(sink: Sink, analytics: MemoryAnalytics): Sink {
  return {
    ...sink,
    write: (batch, options) => sink.write({ ...batch, fence: { ...batch.fence, epoch: analytics.epochs.get(placeOf(batch.fence)) ?? 0 } }, options),
  }
}

/** Counts progress, and has forgotten the batch. */
function forgetful(sink: Sink): Sink {
  return { ...sink, keep: async () => {} }
}

/** Any epoch may delete from the outbox. */
function withoutOutboxEpoch(outbox: Outbox): Outbox {
  let latest = 0
  return {
    ...outbox,
    claim: async (request, options) => {
      const claim = await outbox.claim(request, options)
      if (claim.status === 'held') latest = Math.max(latest, claim.epoch)
      return claim
    },
    acknowledge: (shard, _, versions, options) => outbox.acknowledge(shard, latest, versions, options),
  }
}

/** `id > last`: what commits late below the highest version ever read is never read. */
function byCursor(outbox: Outbox): Outbox {
  let last = 0
  return {
    ...outbox,
    claim: async (request, options) => {
      const claim = await outbox.claim({ ...request, floor: Math.max(request.floor, last) }, options)
      if (claim.status === 'held') last = Math.max(last, ...claim.changes.map(({ version }) => version))
      return claim
    },
  }
}

/** Rows are deleted when they are read, before Kafka has them. */
function acknowledgingFirst(outbox: Outbox): Outbox {
  return {
    ...outbox,
    claim: async (request, options) => {
      const claim = await outbox.claim(request, options)
      if (claim.status === 'held')
        await outbox.acknowledge(
          request.shard,
          claim.epoch,
          claim.changes.map(({ version }) => version),
          options,
        )
      return claim
    },
  }
}

/** Offsets are committed when a batch arrives, before the sink has it. */
function committingFirst(subscription: Subscription): Subscription {
  return {
    run: (handle, options) => {
      let last = Promise.resolve()
      return subscription.run(async (batch, context) => {
        last = last.then(() => handle(batch, context)).catch(() => {})
      }, options)
    },
  }
}

export const mutants: Readonly<Record<string, Tampering>> = {
  'the version guard is off': { sink: withoutVersionGuard },
  'the floor is not in the guard': { sink: withoutFloorInGuard },
  'what stands below a floor is not swept': { sink: withoutSweep },
  'a sweep ends after its first step': { sink: sweepingOnce },
  'deletes leave no tombstone': { sink: withoutTombstones },
  'the sink takes writes of an epoch that is over': { sink: withoutEpochCheck },
  'bronze forgets what silver refused': { sink: forgetful },
  'the outbox takes acknowledgements of an epoch that is over': { outbox: withoutOutboxEpoch },
  'the outbox is read by a cursor': { outbox: byCursor },
  'rows are acknowledged before they are published': { outbox: acknowledgingFirst },
  'offsets are committed before the sink has the batch': { subscription: committingFirst },
}
