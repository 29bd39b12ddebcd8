/** Moves one batch of a topic's partition into a consumer's sink. The offset is committed by the subscription once this resolves. */
import type { Clock } from '../ports/clock.ts'
import type { Control } from '../ports/control.ts'
import type { Log } from '../ports/log.ts'
import type { Publisher } from '../ports/publisher.ts'
import type { Fence, Sink } from '../ports/sink.ts'
import type { BatchContext, HandleBatch, RecordBatch } from '../ports/subscription.ts'
import type { SourceTable } from '../tables/table.ts'
import { createApply, type Offsets } from './apply.ts'
import { createBurial } from './dead-letters.ts'
import type { Persist } from './persist.ts'
import { assertShape } from './shape.ts'

export interface DeliverDeps {
  readonly consumer: string
  /** Unique to this run of the consumer. */
  readonly owner: string
  readonly tables: readonly SourceTable[]
  readonly sink: Sink
  readonly control: Control
  readonly publisher: Publisher
  readonly persist: Persist
  readonly clock: Clock
  readonly log: Log
}

/**
 * Promises: when it resolves, every record of the batch is in the sink or is a dead letter; a record that can not be
 * applied holds up none of the others. A sink that is down is waited for. Throws `fenced` when somebody else holds the
 * partition, and whatever was under way when the context's signal aborts; the batch then has to come again.
 */
export function createDeliver(deps: DeliverDeps): HandleBatch {
  const { control, persist } = deps
  const bury = createBurial(deps)
  const apply = createApply({ ...deps, assertShape })
  const held = new Map<string, { readonly generation: string; readonly epoch: number }>()

  /** The epoch is taken once a generation: taking it shuts out whoever held the partition before. */
  const fenceOf = async ({ topic, partition, generation }: RecordBatch, context: BatchContext): Promise<Fence> => {
    const at = `${topic}:${partition}`
    const present = held.get(at)
    if (present?.generation === generation) return { consumer: deps.consumer, topic, partition, epoch: present.epoch }
    const epoch = await persist(at, () => control.take({ consumer: deps.consumer, topic, partition, owner: `${deps.owner}/${generation}` }, context), context)
    held.set(at, { generation, epoch })
    return { consumer: deps.consumer, topic, partition, epoch }
  }

  return async (batch, context) => {
    const fence = await fenceOf(batch, context)
    const offsets = offsetsOf(batch)
    const { letters } = await apply({ topic: batch.topic, records: batch.records, fence, offsets }, context)
    await bury(letters, fence, offsets.next, context)
  }
}

function offsetsOf({ records }: RecordBatch): Offsets {
  return { first: records[0]?.offset ?? '0', next: String(BigInt(records.at(-1)?.offset ?? '-1') + 1n) }
}
