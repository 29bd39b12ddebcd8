/** The Worker as it runs in workerd, against a Kafka that wants a password. TLS under a CA of one's own is what workerd can't do; the Worker refuses KAFKA_CA. */
import { type ChildProcess, spawn } from 'node:child_process'
import { once } from 'node:events'
import { createInterface } from 'node:readline'
import { type Admin, Kafka, logLevel } from 'kafkajs'
import { afterAll, afterEach, beforeAll, expect, test } from 'vitest'
import { deadLetterTopicOf, groupOf, topicOf } from '../../../shared/engine/define.ts'
import { pipeline } from '../../../shared/pipeline.ts'
import { eventually } from '../../support/poll.ts'
import { type SecureKafka, startSecureKafka } from '../../support/secure-kafka.ts'

const TOKEN = 'the-api-token-of-tests'
const away = '127.0.0.1:9'

let kafka: SecureKafka
let admin: Admin
let child: ChildProcess | undefined

beforeAll(async () => {
  kafka = await startSecureKafka()
  admin = new Kafka({ brokers: [kafka.plain], logLevel: logLevel.NOTHING }).admin()
  await admin.connect()
  const topics = pipeline.tables.map(topicOf).flatMap((topic) => [topic, deadLetterTopicOf(topic)])
  await admin.createTopics({ waitForLeaders: true, topics: topics.map((topic) => ({ topic, numPartitions: pipeline.topics.partitions })) })
})
afterEach(async () => {
  if (child?.exitCode === null && child.signalCode === null) {
    child.kill('SIGTERM')
    await once(child, 'exit')
  }
})
afterAll(async () => {
  await admin.disconnect()
  await kafka.stop()
})

/** The Worker's URL. Everything but Kafka is away. */
async function startWorker(environment: Readonly<Record<string, string>>): Promise<string> {
  child = spawn(process.execPath, ['infra/local/worker/main.ts'], {
    stdio: ['ignore', 'pipe', 'ignore'],
    env: {
      PATH: process.env['PATH'],
      HOME: process.env['HOME'],
      KAFKA_BROKERS: kafka.sasl,
      KAFKA_USERNAME: kafka.username,
      KAFKA_PASSWORD: kafka.password,
      SUPABASE_URL: `http://${away}`,
      SUPABASE_SERVICE_ROLE_KEY: 'the-service-role-key',
      ANALYTICS_DATABASE_URL: `postgres://nobody:secret@${away}/analytics`,
      ELASTICSEARCH_URL: `http://${away}`,
      CHATWOOT_DATABASE_URL: `postgres://nobody:secret@${away}/chatwoot`,
      AFLUENTE_WEBHOOK_SECRET: 'the-webhook-secret',
      AFLUENTE_API_TOKEN: TOKEN,
      ...environment,
    },
  })
  if (child.stdout === null) throw new Error('The Worker has no output.')
  for await (const line of createInterface({ input: child.stdout })) {
    const said = JSON.parse(line.startsWith('{') ? line : '{}') as { ready?: boolean; port?: number }
    if (said.ready === true) {
      child.stdout.resume()
      return `http://127.0.0.1:${said.port}`
    }
  }
  throw new Error('The Worker ended before it was ready.')
}

const wake = async (url: string) => {
  const response = await fetch(`${url}/api/consumers/postgres/wake`, { method: 'POST', headers: { authorization: `Bearer ${TOKEN}` } })
  return (await response.json()) as { instances: { state: string; reason: string }[] }
}

test.for(['scram-sha-256', 'scram-sha-512', 'plain'])('a consumer in workerd joins its group with %s', async (KAFKA_SASL_MECHANISM) => {
  await eventually('the group has no member left', async () => (await admin.describeGroups([groupOf('postgres')])).groups[0]?.members.length === 0)
  const url = await startWorker({ KAFKA_SASL_MECHANISM })
  await wake(url)
  await eventually('the group has its member', async () => {
    const { groups } = await admin.describeGroups([groupOf('postgres')])
    return groups[0]?.state === 'Stable' && groups[0].members.length === 1
  })
})

test('a wrong password halts it with a reason that names the variable, and no value', async () => {
  const url = await startWorker({ KAFKA_SASL_MECHANISM: 'scram-sha-256', KAFKA_PASSWORD: 'not-the-password-at-all' })
  const [instance] = await eventually('the consumer is halted', async () => {
    const { instances } = await wake(url)
    return instances[0]?.state === 'halted' ? instances : null
  })
  expect(instance?.reason).toContain('KAFKA_PASSWORD')
  expect(instance?.reason).not.toContain('not-the-password-at-all')
})
