/** The ports of a process, each call of them a boundary with its name. That every method of every port has one is checked by the compiler. */
import type { MemoryGroup } from '../../../shared/adapters/memory/group.ts'
import type { CaptureDeps } from '../../../shared/engine/capture.ts'
import type { LogRecord } from '../../../shared/events/envelope.ts'
import type { Control } from '../../../shared/ports/control.ts'
import type { Outbox } from '../../../shared/ports/outbox.ts'
import type { Publisher } from '../../../shared/ports/publisher.ts'
import type { Sink } from '../../../shared/ports/sink.ts'
import type { HandleBatch, RecordBatch, Subscription } from '../../../shared/ports/subscription.ts'
import type { Boundary, CaptureBoundary, DeliverBoundary } from './boundaries.ts'
import type { Process } from './process.ts'

/** Whatever goes through it has a name: a process, or what stands in for one. */
export interface Through<B extends Boundary = Boundary> {
  call<T>(boundary: B, work: () => Promise<T>): Promise<T>
}

/** The outbox of one run of capture: which claim it is shows in what is asked, and in whether the shard was let go before. */
export function outboxOf({ call }: Through<CaptureBoundary>, outbox: Outbox): Outbox {
  let released = false
  const kindOf = ({ beside, floor }: Parameters<Outbox['claim']>[0]): CaptureBoundary => {
    if (floor === Number.MAX_SAFE_INTEGER) return 'capture.renew'
    if (beside.length > 0) return 'capture.claim-beside'
    return released ? 'capture.claim-again' : 'capture.claim'
  }
  return {
    claim: async (request, options) => {
      const kind = kindOf(request)
      released = false
      return call(kind, () => outbox.claim(request, options))
    },
    acknowledge: (shard, epoch, versions, options) => call('capture.acknowledge', () => outbox.acknowledge(shard, epoch, versions, options)),
    release: async (shard, epoch, options) => {
      released = true
      return call('capture.release', () => outbox.release(shard, epoch, options))
    },
    // The sweep's, not capture's.
    backlog: outbox.backlog,
  }
}

export function capturePublisherOf({ call }: Through<CaptureBoundary>, publisher: Publisher): Publisher {
  return {
    connect: (options) => call('capture.connect', () => publisher.connect(options)),
    publish: (messages, options) => {
      const keysAlone = messages.every(({ headers }) => headers['ce_oversized'] !== undefined)
      return call(keysAlone ? 'capture.publish-keys' : 'capture.publish', () => publisher.publish(messages, options))
    },
    // Whoever runs captures closes it, after the run.
    close: () => publisher.close(),
  }
}

export function successorOf({ call }: Through<CaptureBoundary>, start: CaptureDeps['startSuccessor']): CaptureDeps['startSuccessor'] {
  return (shard, options) => call('capture.hand-over', () => start(shard, options))
}

/** Where deliver sends its dead letters. */
export function lettersPublisherOf({ call }: Through<DeliverBoundary>, publisher: Publisher): Publisher {
  return {
    connect: (options) => publisher.connect(options),
    publish: (messages, options) => call('deliver.bury-topic', () => publisher.publish(messages, options)),
    close: () => publisher.close(),
  }
}

export function sinkOf({ call }: Through<DeliverBoundary>, sink: Sink): Sink {
  return {
    write: (batch, options) => call('deliver.write', () => sink.write(batch, options)),
    sweepBelow: (sweep, options) => call('deliver.sweep', () => sink.sweepBelow(sweep, options)),
    keep: (letters, fence, options) => call('deliver.bury-bronze', () => sink.keep(letters, fence, options)),
  }
}

export function controlOf({ call }: Through<DeliverBoundary>, control: Control): Control {
  return {
    take: (of, options) => call('deliver.take', () => control.take(of, options)),
    advance: (fence, nextOffset, consumed, report, options) => call('deliver.advance', () => control.advance(fence, nextOffset, consumed, report, options)),
    bury: (letters, fence, nextOffset, options) => call('deliver.bury-ops', () => control.bury(letters, fence, nextOffset, options)),
    raiseFloor: (floor, fence, options) => call('deliver.raise-floor', () => control.raiseFloor(floor, fence, options)),
    // Those only read.
    floors: (options) => control.floors(options),
    progress: (options) => control.progress(options),
  }
}

/** The run itself is no step, the handing over of each batch is one, and reading its records is another. */
export function subscriptionOf({ call, instant }: Process, subscription: Subscription): Subscription {
  const reading = (batch: RecordBatch): RecordBatch => {
    const at = instant('deliver.decode')
    const [first, last] = [batch.records[0], batch.records.at(-1)]
    const records = batch.records.map((record) => {
      if (record !== first && record !== last) return record
      return noticed(record, () => {
        if (record === first) at('before')
        if (record === last) at('after')
      })
    })
    return { ...batch, records }
  }
  return {
    run: (handle: HandleBatch, options) => subscription.run((batch, context) => call('deliver.batch', async () => handle(reading(batch), context)), options),
  }
}

/** A member of the group: its commits are steps. */
export function groupOf({ call }: Through<DeliverBoundary>, group: MemoryGroup): MemoryGroup {
  return {
    ...group,
    join: (topics, name) => {
      const member = group.join(topics, name)
      return { ...member, commit: (...of) => call('deliver.commit', () => member.commit(...of)) }
    },
  }
}

/** Calls `onRead` when the record's key is read for the first time. */
function noticed(record: LogRecord, onRead: () => void): LogRecord {
  let read = false
  return Object.defineProperty({ ...record }, 'key', {
    enumerable: true,
    get: () => {
      if (!read) {
        read = true
        onRead()
      }
      return record.key
    },
  })
}
