import { AfluenteError } from '../../engine/errors.ts'
import type { Fence } from '../../ports/sink.ts'

/** What a writer gets whose epoch is over. */
export function fenced({ consumer, topic, partition, epoch }: Fence): AfluenteError {
  return new AfluenteError(
    'fenced',
    'epoch',
    `${consumer} no longer holds ${topic}, partition ${partition}: its epoch ${epoch} is over. Nothing was written; the holder of the later epoch goes on.`,
  )
}
