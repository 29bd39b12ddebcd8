import { systemClock } from '../../../shared/adapters/clock.ts'
import { memoryGroup } from '../../../shared/adapters/memory/group.ts'
import { memorySubscription } from '../../../shared/adapters/memory/subscription.ts'
import { memoryTopics } from '../../../shared/adapters/memory/topics.ts'
import { subscriptionSuite } from './suite.ts'

const TOPIC = 'afluente.public.things'

subscriptionSuite(async () => {
  const topics = memoryTopics({ clock: systemClock() })
  const group = memoryGroup({ partitions: topics.partitions })
  return {
    member: () => memorySubscription({ topics, group, subscribe: [TOPIC], batchRecords: 50 }),
    publish: async (records) => {
      for (const record of records) topics.appendRaw(TOPIC, record)
    },
    committed: async () =>
      new Map(
        [0, 1, 2, 3].flatMap((partition) => {
          const offset = group.committed({ topic: TOPIC, partition })
          return offset === null ? [] : [[partition, offset] as const]
        }),
      ),
  }
})
