import { execFile } from 'node:child_process'
import { randomUUID } from 'node:crypto'
import { promisify } from 'node:util'
import { Kafka, logLevel } from 'kafkajs'
import { afterAll, beforeAll, describe, expect, test } from 'vitest'
import { kafkaClient } from '../../../shared/adapters/kafka/connection.ts'
import { kafkaPublisher } from '../../../shared/adapters/kafka/publisher.ts'
import { type KafkaSettings, kafkaSettings } from '../../../shared/config.ts'
import { type SecureKafka, startSecureKafka } from '../../support/secure-kafka.ts'
import { readTopic } from './read-topic.ts'

const run = promisify(execFile)
const signal = new AbortController().signal

let kafka: SecureKafka
const topic = `secure-${randomUUID()}`
beforeAll(async () => {
  kafka = await startSecureKafka()
  const admin = open().admin()
  await admin.connect()
  await admin.createTopics({ topics: [{ topic, numPartitions: 4 }] })
  await admin.disconnect()
})
afterAll(() => kafka.stop())

const open = () => new Kafka({ brokers: [kafka.plain], logLevel: logLevel.NOTHING })
const environment = (change: Readonly<Record<string, string | undefined>> = {}): Record<string, string> =>
  Object.fromEntries(
    Object.entries({
      KAFKA_BROKERS: kafka.saslTls,
      KAFKA_SSL: 'true',
      KAFKA_CA: kafka.ca,
      KAFKA_SASL_MECHANISM: 'scram-sha-512',
      KAFKA_USERNAME: kafka.username,
      KAFKA_PASSWORD: kafka.password,
      ...change,
    }).flatMap(([name, value]) => (value === undefined ? [] : [[name, value]])),
  )

const said: string[] = []
const note = (event: string, fields: unknown) => void said.push(`${event} ${JSON.stringify(fields)}`)
const publishWith = async (settings: KafkaSettings, key: string) => {
  const publisher = kafkaPublisher({ kafka: kafkaClient(settings, { clientId: 'test', log: { info: note, warn: note, error: note }, retries: 1 }) })
  try {
    await publisher.publish([{ topic, key, value: '{}', headers: { ce_id: key } }], { signal })
  } finally {
    await publisher.close()
  }
}
const keys = async (atLeast: number) => (await readTopic(open(), topic, atLeast)).map((record) => record.key)

describe('Kafka with passwords and TLS', () => {
  test.for(['plain', 'scram-sha-256', 'scram-sha-512'])('%s over TLS under a CA of one’s own', async (KAFKA_SASL_MECHANISM) => {
    await publishWith(kafkaSettings(environment({ KAFKA_SASL_MECHANISM })), `tls ${KAFKA_SASL_MECHANISM}`)
    expect(await keys(1)).toContain(`tls ${KAFKA_SASL_MECHANISM}`)
  })

  test('scram without TLS', async () => {
    await publishWith(kafkaSettings(environment({ KAFKA_BROKERS: kafka.sasl, KAFKA_SSL: undefined, KAFKA_CA: undefined })), 'no tls')
    expect(await keys(1)).toContain('no tls')
  })

  test('from Deno, where capture runs', async () => {
    await run('node_modules/.bin/deno', ['run', '-A', '--no-check', '--no-lock', 'test/contract/publisher/publish-from-deno.ts', topic, 'from deno'], {
      env: { ...process.env, ...environment() },
    })
    expect(await keys(1)).toContain('from deno')
  })

  test('a wrong password says so, and shows none', async () => {
    const wrong = kafkaSettings(environment({ KAFKA_PASSWORD: 'not-the-password-at-all' }))
    await expect(publishWith(wrong, 'never')).rejects.toMatchObject({ kind: 'misconfigured', message: expect.stringContaining('KAFKA_PASSWORD') as string })
    expect(said.join('\n')).not.toContain('not-the-password-at-all')
  })

  test('a user that the broker does not know', async () => {
    const wrong = kafkaSettings(environment({ KAFKA_USERNAME: 'nobody' }))
    await expect(publishWith(wrong, 'never')).rejects.toMatchObject({ kind: 'misconfigured' })
  })

  test('a certificate that nobody vouches for is not trusted, and KAFKA_CA is named', async () => {
    const wrong = kafkaSettings(environment({ KAFKA_CA: undefined }))
    await expect(publishWith(wrong, 'never')).rejects.toMatchObject({ kind: 'misconfigured', message: expect.stringContaining('KAFKA_CA') as string })
  })

  test('nor by Deno', async () => {
    const { KAFKA_CA: _, ...without } = environment()
    const failed: unknown = await run(
      'node_modules/.bin/deno',
      ['run', '-A', '--no-check', '--no-lock', 'test/contract/publisher/publish-from-deno.ts', topic, 'never'],
      { env: { ...process.env, ...without } },
    ).catch((error: unknown) => error)
    expect(failed).toMatchObject({ stderr: expect.stringContaining('KAFKA_CA') as string })
  })

  test('nothing of that was written', async () => {
    expect(await keys(5)).not.toContain('never')
  })
})
