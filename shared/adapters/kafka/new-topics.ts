/** Makes a topic that events already wait for: a table that is captured but not in the definition, or a cluster nobody has prepared. */
import type { Kafka } from 'kafkajs'
import type { Topics } from '../../engine/define.ts'
import type { Cancellable } from '../../ports/cancellable.ts'
import type { Log } from '../../ports/log.ts'
import { wantedTopic } from './topics.ts'

export interface NewTopicsDeps {
  readonly kafka: Kafka
  readonly settings: Topics
  readonly log: Log
}

/** Makes those of the topics that are not there, as the definition sets topics up. Brokers may hear of them a moment later. Throws kafkajs's errors. */
export type MakeTopics = (topics: readonly string[], options: Cancellable) => Promise<void>

export function newTopics({ kafka, log, settings }: NewTopicsDeps): MakeTopics {
  return async (topics, { signal }) => {
    const admin = kafka.admin()
    try {
      await admin.connect()
      const there = new Set(await admin.listTopics())
      const missing = topics.filter((topic) => !there.has(topic))
      signal.throwIfAborted()
      if (missing.length === 0) return
      await admin.createTopics({
        waitForLeaders: false,
        topics: missing.map((topic) => {
          const { config, partitions } = wantedTopic(topic, settings, settings.maxMessageBytes)
          return { topic, numPartitions: partitions, configEntries: Object.entries(config).map(([name, value]) => ({ name, value })) }
        }),
      })
      for (const topic of missing) log.warn('kafka.topic-made', { topic, hint: 'It is not in shared/pipeline.ts: nothing reads it yet.' })
    } finally {
      await admin.disconnect()
    }
  }
}
