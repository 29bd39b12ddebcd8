/** I8: whoever begins a call under an epoch when a later one has been given out must be refused. Put around the ports of every process of a world. */
import type { Control } from '../../../shared/ports/control.ts'
import type { Outbox } from '../../../shared/ports/outbox.ts'
import type { Fence, Sink } from '../../../shared/ports/sink.ts'

export interface FenceWatch {
  outbox(outbox: Outbox): Outbox
  sink(sink: Sink): Sink
  control(control: Control): Control
}

export function watchFences(violations: string[]): FenceWatch {
  const given = new Map<string, number>()
  const placeOf = ({ consumer, partition, topic }: Pick<Fence, 'consumer' | 'topic' | 'partition'>) => `${consumer}: ${topic}:${partition}`
  const give = (place: string, epoch: number) => given.set(place, Math.max(epoch, given.get(place) ?? 0))

  const under = async <T>(what: string, place: string, epoch: number, work: () => Promise<T>, done: (value: T) => boolean = () => true): Promise<T> => {
    const present = given.get(place) ?? 0
    const value = await work()
    if (epoch < present && done(value)) violations.push(`${place}: ${what} under epoch ${epoch}, when ${present} had been given out`)
    return value
  }
  const shardOf = (shard: number) => `shard ${shard}`

  return {
    outbox: (outbox) => ({
      ...outbox,
      claim: async (request, options) => {
        const claim = await outbox.claim(request, options)
        if (claim.status === 'held') give(shardOf(request.shard), claim.epoch)
        return claim
      },
      acknowledge: (shard, epoch, versions, options) =>
        under(
          'acknowledged',
          shardOf(shard),
          epoch,
          () => outbox.acknowledge(shard, epoch, versions, options),
          ({ status }) => status === 'done',
        ),
      release: (shard, epoch, options) =>
        under(
          'released',
          shardOf(shard),
          epoch,
          () => outbox.release(shard, epoch, options),
          ({ status }) => status === 'done',
        ),
    }),
    sink: (sink) => ({
      write: (batch, options) => under('written', placeOf(batch.fence), batch.fence.epoch, () => sink.write(batch, options)),
      sweepBelow: (sweep, options) => under('swept', placeOf(sweep.fence), sweep.fence.epoch, () => sink.sweepBelow(sweep, options)),
      keep: (letters, fence, options) => under('kept', placeOf(fence), fence.epoch, () => sink.keep(letters, fence, options)),
    }),
    control: (control) => ({
      ...control,
      take: async (of, options) => {
        const epoch = await control.take(of, options)
        give(placeOf(of), epoch)
        return epoch
      },
      advance: (fence, ...of) => under('told', placeOf(fence), fence.epoch, () => control.advance(fence, ...of)),
      bury: (letters, fence, ...of) => under('buried', placeOf(fence), fence.epoch, () => control.bury(letters, fence, ...of)),
      raiseFloor: (floor, fence, options) => under('raised', placeOf(fence), fence.epoch, () => control.raiseFloor(floor, fence, options)),
    }),
  }
}
