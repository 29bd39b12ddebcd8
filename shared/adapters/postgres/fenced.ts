import { AfluenteError } from '../../engine/errors.ts'
import type { Fence } from '../../ports/sink.ts'

/** Locks the row that says who may write, from $1 to $4: whoever takes the partition over waits for this statement, or this one finds nothing. */
export const FENCE = `select from ops.consumer_progress
  where consumer = $1 and topic = $2 and "partition" = $3 and epoch = $4
  for no key update`

/** What a writer gets whose epoch is over. */
export function fenced({ consumer, topic, partition, epoch }: Fence): AfluenteError {
  return new AfluenteError(
    'fenced',
    'epoch',
    `${consumer} no longer holds ${topic}, partition ${partition}: its epoch ${epoch} is over. Nothing was written; the holder of the later epoch goes on.`,
  )
}
