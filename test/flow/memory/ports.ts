/** The ports of a process: each call goes through the place where faults strike. */
import type { Control } from '../../../shared/ports/control.ts'
import type { Outbox } from '../../../shared/ports/outbox.ts'
import type { Publisher } from '../../../shared/ports/publisher.ts'
import type { Sink } from '../../../shared/ports/sink.ts'
import type { HandleBatch, Subscription } from '../../../shared/ports/subscription.ts'
import type { Process } from './process.ts'

export function outboxOf({ call }: Process, outbox: Outbox): Outbox {
  return {
    claim: (request, options) => call(() => outbox.claim(request, options)),
    acknowledge: (shard, epoch, versions, options) => call(() => outbox.acknowledge(shard, epoch, versions, options)),
    release: (shard, epoch, options) => call(() => outbox.release(shard, epoch, options)),
    backlog: (options) => call(() => outbox.backlog(options)),
  }
}

export function publisherOf({ call }: Process, publisher: Publisher): Publisher {
  return {
    connect: (options) => call(() => publisher.connect(options)),
    publish: (messages, options) => call(() => publisher.publish(messages, options)),
    close: () => call(() => publisher.close()),
  }
}

export function sinkOf({ call }: Process, sink: Sink): Sink {
  return {
    write: (batch, options) => call(() => sink.write(batch, options)),
    sweepBelow: (sweep, options) => call(() => sink.sweepBelow(sweep, options)),
    keep: (letters, fence, options) => call(() => sink.keep(letters, fence, options)),
  }
}

export function controlOf({ call }: Process, control: Control): Control {
  return {
    take: (of, options) => call(() => control.take(of, options)),
    advance: (fence, nextOffset, consumed, report, options) => call(() => control.advance(fence, nextOffset, consumed, report, options)),
    bury: (letters, fence, nextOffset, options) => call(() => control.bury(letters, fence, nextOffset, options)),
    raiseFloor: (floor, fence, options) => call(() => control.raiseFloor(floor, fence, options)),
    floors: (options) => call(() => control.floors(options)),
    progress: (options) => call(() => control.progress(options)),
  }
}

/** The run itself is no call, the handing over of each batch is one: a fault there strikes before the handler has begun, or before its end is committed. */
export function subscriptionOf({ call }: Process, subscription: Subscription): Subscription {
  return { run: (handle: HandleBatch, options) => subscription.run((batch, context) => call(() => handle(batch, context)), options) }
}
