import { randomUUID } from 'node:crypto'
import { afterAll, beforeAll, describe, expect, test } from 'vitest'
import { kafkaClient } from '../../../shared/adapters/kafka/connection.ts'
import { newTopics } from '../../../shared/adapters/kafka/new-topics.ts'
import { installProduceEncoding } from '../../../shared/adapters/kafka/produce-encoding.ts'
import { kafkaPublisher } from '../../../shared/adapters/kafka/publisher.ts'
import type { Fields } from '../../../shared/ports/log.ts'
import type { Publisher } from '../../../shared/ports/publisher.ts'
import { kafkaServer } from './kafka-server.ts'
import { publisherContract } from './suite.ts'

const signal = new AbortController().signal
const server = kafkaServer()
const lines: { readonly event: string; readonly fields: Fields | undefined }[] = []
const log = { info: () => {}, warn: (event: string, fields?: Fields) => void lines.push({ event, fields }), error: () => {} }
const client = () => kafkaClient(server.settings(), { clientId: 'test-publisher', log })

let publisher: Publisher
beforeAll(() => {
  publisher = kafkaPublisher({ kafka: client() })
})
afterAll(() => publisher.close())

publisherContract(() => ({ publisher, makeTopic: server.makeTopic, read: server.read }))

const message = (topic: string, key = '["a"]', value = '{}') => ({ topic, key, value, headers: { ce_id: 'x' } })

describe('the publisher on Kafka', () => {
  test('writes its own record batches: kafkajs still looks as it did', () => {
    expect(installProduceEncoding()).toBe(true)
  })

  test('a topic that is not there is a fault that says what to do', async () => {
    await expect(publisher.publish([message(`missing-${randomUUID()}`)], { signal })).rejects.toMatchObject({
      kind: 'misconfigured',
      code: 'UNKNOWN_TOPIC_OR_PARTITION',
    })
    const topic = `there-${randomUUID()}`
    await server.makeTopic(topic, 1_000_000)
    await publisher.publish([message(topic)], { signal })
    expect(await server.read(topic, 1)).toHaveLength(1)
  })

  test('a topic that is not there is made, so that one table never holds up the others', async () => {
    const [there, missing] = [`there-${randomUUID()}`, `missing-${randomUUID()}`]
    await server.makeTopic(there, 1_000_000)
    const kafka = client()
    const making = kafkaPublisher({ kafka, makeTopics: newTopics({ kafka, log, settings: { partitions: 3, maxMessageBytes: 2_000_000, retention: '1h' } }) })
    // Just after it was made, brokers may not know it yet: `unavailable`, which capture tries again.
    await expect
      .poll(
        () =>
          making.publish([message(there), message(missing)], { signal }).then(
            () => 'published',
            (error: unknown) => error,
          ),
        { timeout: 20_000 },
      )
      .toBe('published')
    await making.close()
    expect((await server.read(missing, 1)).map((record) => record.key)).toContain('["a"]')
    expect(lines.filter((line) => line.event === 'kafka.topic-made').map((line) => line.fields?.['topic'])).toEqual([missing])
    const admin = client().admin()
    await admin.connect()
    const { topics } = await admin.fetchTopicMetadata({ topics: [missing] })
    await admin.disconnect()
    expect(topics[0]?.partitions).toHaveLength(3)
  })

  test('no broker there is unavailable, quickly, and a later one is found', async () => {
    const away = kafkaPublisher({
      kafka: kafkaClient({ brokers: ['127.0.0.1:1'], ssl: false, ca: undefined, sasl: undefined }, { clientId: 'test', log, retries: 1 }),
    })
    await expect(away.connect({ signal })).rejects.toMatchObject({ kind: 'unavailable' })
    await expect(away.publish([message('any')], { signal })).rejects.toMatchObject({ kind: 'unavailable' })
    await away.close()
  })

  test('after it was closed it opens a new session when it is needed', async () => {
    const topic = `again-${randomUUID()}`
    await server.makeTopic(topic, 1_000_000)
    const mine = kafkaPublisher({ kafka: client() })
    await mine.publish([message(topic)], { signal })
    await mine.close()
    await mine.publish([message(topic)], { signal })
    await mine.close()
    expect(await server.read(topic, 2)).toHaveLength(2)
  })

  test('a caller who gives up is let go at once', async () => {
    const stop = new AbortController()
    const away = kafkaPublisher({
      kafka: kafkaClient({ brokers: ['127.0.0.1:1'], ssl: false, ca: undefined, sasl: undefined }, { clientId: 'test', log, retries: 20 }),
    })
    const publishing = away.publish([message('any')], { signal: stop.signal })
    stop.abort(new Error('enough'))
    await expect(publishing).rejects.toThrow('enough')
  })
})
