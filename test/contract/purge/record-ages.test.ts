/** How old the records of a topic are, asked of a real Kafka. */
import { expect, test } from 'vitest'
import { kafkaClient } from '../../../shared/adapters/kafka/connection.ts'
import { kafkaFault } from '../../../shared/adapters/kafka/faults.ts'
import { kafkaRecordAges } from '../../../shared/adapters/kafka/record-ages.ts'
import { kafkaServer } from '../publisher/kafka-server.ts'

const server = kafkaServer()
const options = { signal: new AbortController().signal }
const log = { info: () => {}, warn: () => {}, error: () => {} }
const HOUR = 3_600_000
const now = Date.now()

function open() {
  const kafka = () => kafkaClient(server.settings(), { clientId: 'test', log, retries: 0 })
  return { kafka, ages: kafkaRecordAges({ kafka, faultOf: kafkaFault }) }
}

async function topicWith(records: readonly { readonly partition: number; readonly hoursAgo: number }[]) {
  const { kafka } = open()
  const topic = `t${crypto.randomUUID()}`
  await server.makeTopic(topic, 1_000_000)
  const producer = kafka().producer()
  await producer.connect()
  // One by one: the first of a partition is the oldest, as it is published.
  for (const { partition, hoursAgo } of records) await producer.send({ topic, messages: [{ partition, value: 'x', timestamp: String(now - hoursAgo * HOUR) }] })
  await producer.disconnect()
  return topic
}

test('an empty topic, or one with younger records alone, holds nothing from before the moment', async () => {
  const { ages } = open()
  for (const topic of [
    await topicWith([]),
    await topicWith([
      { partition: 0, hoursAgo: 1 },
      { partition: 3, hoursAgo: 0 },
    ]),
  ])
    // prettier-ignore
    expect(await ages.since(topic, now - 2 * HOUR, options)).toBe(now - 2 * HOUR)
})

test('the oldest record of any partition counts, to the hour and never too late', async () => {
  const { ages } = open()
  for (const hoursAgo of [3, 31, 500, 50_000]) {
    const topic = await topicWith([{ partition: 0, hoursAgo: 1 }, { partition: 2, hoursAgo }, { partition: 2, hoursAgo: 1 }]) // prettier-ignore
    const since = await ages.since(topic, now - 2 * HOUR, options)
    expect(since).toBeLessThanOrEqual(now - hoursAgo * HOUR)
    expect(since).toBeGreaterThanOrEqual(now - (hoursAgo + 1) * HOUR)
  }
})

test('what was dropped from the topic counts no more', async () => {
  const { ages, kafka } = open()
  const topic = await topicWith([{ partition: 1, hoursAgo: 90 }, { partition: 1, hoursAgo: 1 }]) // prettier-ignore
  const admin = kafka().admin()
  await admin.connect()
  await admin.fetchTopicOffsets(topic)
  await admin.deleteTopicRecords({ topic, partitions: [{ partition: 1, offset: '1' }] })
  await admin.disconnect()
  expect(await ages.since(topic, now - 2 * HOUR, options)).toBe(now - 2 * HOUR)
})

test('a topic that is not there is a fault, not an empty one', async () => {
  await expect(open().ages.since('t-that-nobody-made', now, options)).rejects.toMatchObject({ kind: 'misconfigured' })
})
