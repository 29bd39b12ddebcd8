/** A real Kafka for a test file: its own one, unless AFLUENTE_TEST_KAFKA_BROKERS names one that runs. */
import { randomUUID } from 'node:crypto'
import { mkdtemp, rm } from 'node:fs/promises'
import { join, resolve } from 'node:path'
import { type Admin, Kafka, logLevel, type Producer } from 'kafkajs'
import { afterAll, beforeAll } from 'vitest'
import { startStack } from '../../../infra/local/stack.ts'
import { systemClock } from '../../../shared/adapters/clock.ts'
import { kafkaClient } from '../../../shared/adapters/kafka/connection.ts'
import { kafkaFault } from '../../../shared/adapters/kafka/faults.ts'
import { kafkaSubscription } from '../../../shared/adapters/kafka/subscription.ts'
import type { Log } from '../../../shared/ports/log.ts'
import { eventually } from '../../support/poll.ts'
import type { SubscriptionSubject } from './subject.ts'

export interface RealKafka {
  readonly admin: () => Admin
  /** Commits an offset of all four partitions for the group, as a member of it would. */
  readonly commit: (group: string, topic: string, offset: string) => Promise<void>
  readonly producer: () => Producer
  /** A topic of four partitions and a group of its own. */
  readonly subject: (log?: Log) => Promise<SubscriptionSubject & { readonly topic: string; readonly group: string }>
}

const quiet: Log = { info: () => {}, warn: () => {}, error: () => {} }
const LARGEST = 8 * 1024 * 1024

export function realKafka(): RealKafka {
  let brokers = (process.env['AFLUENTE_TEST_KAFKA_BROKERS'] ?? '').split(',').filter((broker) => broker !== '')
  let admin: Admin | undefined
  let producer: Producer | undefined
  let end = async () => {}

  beforeAll(async () => {
    if (brokers.length === 0) {
      const home = await mkdtemp(join(resolve('.'), '.afluente-test-'))
      const stack = await startStack({ home, ports: 'free', only: ['kafka'] })
      brokers = [...stack.info.kafka.brokers]
      end = async () => {
        await stack.stop()
        await rm(home, { recursive: true, force: true })
      }
    }
    const client = new Kafka({ clientId: 'test', brokers, logLevel: logLevel.NOTHING })
    admin = client.admin()
    // Idempotent: a retry just after a topic was made would write records twice, and look like a redelivery.
    producer = client.producer({ allowAutoTopicCreation: false, idempotent: true, maxInFlightRequests: 1 })
    await Promise.all([admin.connect(), producer.connect()])
  })
  afterAll(async () => {
    await Promise.allSettled([admin?.disconnect(), producer?.disconnect()])
    await end()
  })

  const there = <T>(value: T | undefined): T => {
    if (value === undefined) throw new Error('Kafka is not up yet: ask inside a test.')
    return value
  }
  return {
    admin: () => there(admin),
    commit: async (groupId, topic, offset) => {
      const consumer = new Kafka({ clientId: 'test', brokers, logLevel: logLevel.NOTHING }).consumer({ groupId, maxWaitTimeInMs: 200 })
      await consumer.subscribe({ topics: [topic] })
      const joined = new Promise<void>((resolve) => {
        consumer.on(consumer.events.GROUP_JOIN, () => {
          // Else it fetches, finds the offset out of range, and puts another one in its place.
          consumer.pause([{ topic }])
          resolve()
        })
      })
      await consumer.run({ autoCommit: false, eachMessage: async () => {} })
      await joined
      await consumer.commitOffsets([0, 1, 2, 3].map((partition) => ({ topic, partition, offset })))
      await consumer.disconnect()
    },
    producer: () => there(producer),
    subject: async (log = quiet) => {
      const topic = `things-${randomUUID()}`
      const group = `group-${randomUUID()}`
      await there(admin).createTopics({
        waitForLeaders: true,
        topics: [{ topic, numPartitions: 4, configEntries: [{ name: 'max.message.bytes', value: String(LARGEST) }] }],
      })
      // The broker reads its record of groups part by part when it comes up; until then it answers for none of the part.
      await eventually('the group has its coordinator', () => there(admin).fetchOffsets({ groupId: group, topics: [topic] }))
      const kafka = () => kafkaClient({ brokers, ssl: false, ca: undefined, sasl: undefined }, { clientId: 'test-subscription', log: quiet })
      return {
        topic,
        group,
        member: () => kafkaSubscription({ kafka, groupId: group, topics: [topic], maxMessageBytes: LARGEST, clock: systemClock(), log, faultOf: kafkaFault }),
        publish: async (records) => {
          await there(producer).send({
            topic,
            acks: -1,
            messages: records.map(({ headers, ...record }) => ({ ...record, ...(headers === undefined ? {} : { headers: { ...headers } }) })),
          })
        },
        committed: async () => {
          const [own] = await there(admin).fetchOffsets({ groupId: group, topics: [topic] })
          return new Map((own?.partitions ?? []).flatMap(({ partition, offset }) => (Number(offset) < 0 ? [] : [[partition, Number(offset)] as const])))
        },
      }
    },
  }
}
