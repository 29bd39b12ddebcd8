import { randomUUID } from 'node:crypto'
import type { Kafka } from 'kafkajs'
import type { LogRecord } from '../../../shared/events/envelope.ts'
import { eventually } from '../../support/poll.ts'

/** Everything that stands on a topic once `count` records are there and the ends of its partitions are reached; each partition in order. */
export async function readTopic(kafka: Kafka, topic: string, count: number): Promise<readonly LogRecord[]> {
  const admin = kafka.admin()
  const consumer = kafka.consumer({ groupId: `reader-${randomUUID()}`, maxWaitTimeInMs: 100 })
  const records: LogRecord[] = []
  await Promise.all([admin.connect(), consumer.connect()])
  try {
    await consumer.subscribe({ topics: [topic], fromBeginning: true })
    await consumer.run({
      eachMessage: async ({ message, partition }) => {
        const headers = Object.fromEntries(Object.entries(message.headers ?? {}).map(([name, value]) => [name, value?.toString()]))
        records.push({
          topic,
          partition,
          offset: message.offset,
          timestampMs: Number(message.timestamp),
          key: message.key?.toString() ?? null,
          value: message.value?.toString() ?? null,
          headers,
        })
      },
    })
    await eventually(`${count} records of ${topic} are read`, async () => {
      const ends = await admin.fetchTopicOffsets(topic)
      const all = ends.reduce((sum, { high, low }) => sum + Number(high) - Number(low), 0)
      return all >= count && records.length >= all
    })
    return records
  } finally {
    await Promise.all([admin.disconnect(), consumer.disconnect()])
  }
}
