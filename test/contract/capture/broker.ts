/**
 * A log as Kafka keeps it: partitions, to which requests are appended in the order in which they arrive. A request takes its
 * time, now and then much of it, and may break after a part of it was written.
 */
import { setTimeout as sleep } from 'node:timers/promises'
import { keyPartitioner } from '../../../shared/adapters/kafka/partitioner.ts'
import { AfluenteError } from '../../../shared/engine/errors.ts'
import type { OutboundMessage } from '../../../shared/events/envelope.ts'
import type { Publisher } from '../../../shared/ports/publisher.ts'

/** What stands on a topic, as far as its order and truth go. */
export interface Logged {
  readonly partition: number
  readonly key: string | null
  readonly value: string | null
  readonly headers: Readonly<Record<string, { toString(): string } | undefined>>
}

export interface Broker {
  readonly records: readonly Logged[]
  readonly publisher: Publisher
}

const PARTITIONS = 4

export interface BrokerDeps {
  readonly random: () => number
  /** A slow request takes as long as that: the lease has to be renewed meanwhile. */
  readonly slowMs: number
}

/** Another publisher, whose requests are slow now and then. */
export function sometimesSlow(publisher: Publisher, { random, slowMs }: BrokerDeps): Publisher {
  return {
    ...publisher,
    publish: async (...of) => {
      await sleep(random() < 0.03 ? slowMs : 0)
      return publisher.publish(...of)
    },
  }
}

export function createBroker({ random, slowMs }: BrokerDeps): Broker {
  const records: Logged[] = []
  const partitionOf = keyPartitioner()
  const append = (messages: readonly OutboundMessage[]) => {
    for (const { headers, key, value } of messages) {
      records.push({ partition: partitionOf({ message: { key }, partitionMetadata: Array.from({ length: PARTITIONS }) }), key, value, headers })
    }
  }
  return {
    records,
    publisher: {
      connect: async () => {},
      publish: async (messages) => {
        await sleep(random() < 0.03 ? slowMs : 1 + random() * 4)
        const breaks = random() < 0.02
        append(breaks ? messages.slice(0, Math.floor(random() * messages.length)) : messages)
        await sleep(random() * 2)
        if (breaks) throw new AfluenteError('unavailable', 'test', 'The connection broke.')
        return { tooLarge: [] }
      },
      close: async () => {},
    },
  }
}
