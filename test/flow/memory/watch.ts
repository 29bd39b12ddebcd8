/** Looks at each write as it happens: what may never be, not even for a moment. */
import { placeOf } from '../../../shared/adapters/memory/analytics.ts'
import type { Control } from '../../../shared/ports/control.ts'
import type { Outbox } from '../../../shared/ports/outbox.ts'
import type { Fence, Sink } from '../../../shared/ports/sink.ts'
import type { Side } from '../../support/failpoints/setting.ts'

/** I8: after an epoch has moved on, nothing is deleted from the outbox under the old one. */
export function watchedOutbox(outbox: Outbox, violations: string[]): Outbox {
  let latest = 0
  return {
    ...outbox,
    claim: async (request, options) => {
      const claim = await outbox.claim(request, options)
      if (claim.status === 'held') latest = Math.max(latest, claim.epoch)
      return claim
    },
    acknowledge: async (shard, epoch, versions, options) => {
      const settled = await outbox.acknowledge(shard, epoch, versions, options)
      if (settled.status === 'done' && epoch < latest) violations.push(`the outbox took an acknowledgement of epoch ${epoch} under epoch ${latest}`)
      return settled
    },
  }
}

/** Watches whatever processes write into one side. I3, I7, I8: no row's version and no recorded or committed offset goes down, nothing is written under an old epoch. */
export function sinkWatcher({ name, analytics, group }: Side, violations: string[]): (sink: Sink) => Sink {
  const versions = new Map<string, number>()
  const offsets = new Map<string, number>()

  const raise = (seen: Map<string, number>, what: string, value: number) => {
    const before = seen.get(what) ?? 0
    if (value < before) violations.push(`${name}: ${what} went from ${before} back to ${value}`)
    seen.set(what, Math.max(before, value))
  }

  const look = (topic: string, partition: number) => {
    for (const [table, rows] of analytics.silver) {
      for (const [key, row] of rows) raise(versions, `the version of ${table} ${key}`, row.version)
      for (const known of versions.keys())
        if (known.startsWith('the version of') && !rows.has(known.replace(`the version of ${table} `, ''))) violations.push(`${name}: ${known} is gone`)
    }
    for (const [table, { version }] of analytics.floors) raise(versions, `the floor of ${table}`, version)
    for (const [place, { nextOffset }] of analytics.progress) raise(offsets, `progress at ${place}`, Number(nextOffset))
    raise(offsets, `the committed offset of ${topic}:${partition}`, group.committed({ topic, partition }) ?? 0)
  }

  /** An index knows no epochs; what is counted of its batches does, see below. */
  const epochOf = (fence: Fence) => (name === 'postgres' ? (analytics.epochs.get(placeOf(fence)) ?? 0) : 0)

  return (sink) => ({
    ...sink,
    sweepBelow: async (sweep, options) => {
      const swept = await sink.sweepBelow(sweep, options)
      const { fence } = sweep
      const present = epochOf(fence)
      if (fence.epoch < present) violations.push(`${name}: a sweep went on under epoch ${fence.epoch}, when ${present} held ${fence.topic}:${fence.partition}`)
      look(fence.topic, fence.partition)
      return swept
    },
    write: async (batch, options) => {
      const report = await sink.write(batch, options)
      const { fence } = batch
      const present = epochOf(fence)
      if (fence.epoch < present)
        violations.push(`${name}: a batch was written under epoch ${fence.epoch}, when ${present} held ${fence.topic}:${fence.partition}`)
      const settled = report.accepted + report.duplicate + report.late + report.rejected.length
      if (settled !== batch.events.length) violations.push(`${name}: of ${batch.events.length} events ${settled} were counted`)
      look(fence.topic, fence.partition)
      return report
    },
  })
}

/** I8: after an epoch has moved on, nothing is counted or buried and no floor is raised under the old one. */
export function watchedControl(control: Control, { name, analytics }: Side, violations: string[]): Control {
  const done = async <T>(what: string, fence: Fence, work: Promise<T>): Promise<T> => {
    const value = await work
    const present = analytics.epochs.get(placeOf(fence)) ?? 0
    if (fence.epoch < present) violations.push(`${name}: ${what} under epoch ${fence.epoch}, when ${present} held ${fence.topic}:${fence.partition}`)
    return value
  }
  return {
    ...control,
    advance: (fence, ...of) => done('progress was told', fence, control.advance(fence, ...of)),
    bury: (letters, fence, ...of) => done('a letter was buried', fence, control.bury(letters, fence, ...of)),
    raiseFloor: (floor, fence, options) => done('a floor was raised', fence, control.raiseFloor(floor, fence, options)),
  }
}
