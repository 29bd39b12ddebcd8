/** A real Kafka for a test file: its own one, unless AFLUENTE_TEST_KAFKA_BROKERS names one that runs. */
import { mkdtemp, rm } from 'node:fs/promises'
import { join, resolve } from 'node:path'
import { Kafka, logLevel } from 'kafkajs'
import { afterAll, beforeAll } from 'vitest'
import { startStack } from '../../../infra/local/stack.ts'
import type { KafkaSettings } from '../../../shared/config.ts'
import { readTopic } from './read-topic.ts'

export interface KafkaServer {
  readonly settings: () => KafkaSettings
  makeTopic(name: string, maxMessageBytes: number): Promise<void>
  read(topic: string, count: number): ReturnType<typeof readTopic>
}

export function kafkaServer(): KafkaServer {
  let brokers = (process.env['AFLUENTE_TEST_KAFKA_BROKERS'] ?? '').split(',').filter((broker) => broker !== '')
  let end = async () => {}
  const client = () => new Kafka({ clientId: 'test', brokers, logLevel: logLevel.NOTHING })
  beforeAll(async () => {
    if (brokers.length > 0) return
    const home = await mkdtemp(join(resolve('.'), '.afluente-test-'))
    const stack = await startStack({ home, ports: 'free', only: ['kafka'] })
    brokers = [...stack.info.kafka.brokers]
    end = async () => {
      await stack.stop()
      await rm(home, { recursive: true, force: true })
    }
  })
  afterAll(() => end())
  return {
    settings: () => ({ brokers, ssl: false, ca: undefined, sasl: undefined }),
    makeTopic: async (topic, maxMessageBytes) => {
      const admin = client().admin()
      await admin.connect()
      await admin.createTopics({ topics: [{ topic, numPartitions: 4, configEntries: [{ name: 'max.message.bytes', value: String(maxMessageBytes) }] }] })
      await admin.disconnect()
    },
    read: (topic, count) => readTopic(client(), topic, count),
  }
}
