/**
 * Whatever captures do to each other, the log says what was committed, in the order of each key.
 * `TEST_MANY_SECONDS=60` makes each of them last a minute.
 */
import { randomUUID } from 'node:crypto'
import { afterAll, beforeAll, describe, expect, test } from 'vitest'
import { kafkaClient } from '../../../shared/adapters/kafka/connection.ts'
import { kafkaPublisher } from '../../../shared/adapters/kafka/publisher.ts'
import { startPostgres, type TestPostgres } from '../../support/postgres.ts'
import { openSource } from '../../support/source.ts'
import { kafkaServer } from '../publisher/kafka-server.ts'
import { manyAtOnce, type ManyOptions, type ManyResult } from './many-at-once.ts'
import { holding, type Step, steps } from './pauses.ts'

const seconds = Number(process.env['TEST_MANY_SECONDS'] ?? '1')
const timeoutMs = (seconds + 60) * 1_000
const log = { info: () => {}, warn: () => {}, error: () => {} }

let postgres: TestPostgres
beforeAll(async () => {
  postgres = await startPostgres()
})
afterAll(() => postgres?.stop())
const kafka = kafkaServer()

async function run(options: Omit<ManyOptions, 'source' | 'writeMs' | 'seed'>): Promise<ManyResult> {
  const source = await openSource(postgres)
  try {
    const result = await manyAtOnce({ ...options, source, writeMs: seconds * 1_000, seed: 20_261_122 + options.shards })
    const { counts, epochs, events, paused, repeats } = result
    const pauses = [...paused].map(([step, { overtaken, times }]) => `${step} ${times}/${overtaken}`).join(', ')
    console.info(JSON.stringify({ shards: options.shards, kafka: options.kafka !== undefined, events, repeats, epochs, ...counts, pauses }))
    return result
  } finally {
    await source.close()
  }
}

function expectSound({ broken, brokenLeases, counts, events, paused }: ManyResult, at: readonly Step[]): void {
  expect({ broken, brokenLeases }).toEqual({ broken: [], brokenLeases: [] })
  expect(events).toBe(counts['committed'])
  expect(counts['rollbacks']).toBeGreaterThan(0)
  expect([...paused.keys()].toSorted()).toEqual(at.toSorted())
  // A pause that nobody used proves nothing.
  expect(at.filter((step) => holding.has(step) && (paused.get(step)?.overtaken ?? 0) === 0)).toEqual([])
}

describe('ten writers on fifty hot keys, and a capture paused past its lease at each step in turn', () => {
  test.each([1, 4, 8])(
    'with %i shards and as many captures: versions grow in commit order, nothing is missing, nothing else is there',
    async (shards) => expectSound(await run({ shards }), steps),
    timeoutMs,
  )

  test(
    'and on a real Kafka',
    async () => {
      const topic = `hot-${randomUUID()}`
      await kafka.makeTopic(topic, 1_048_576)
      const publisher = () => kafkaPublisher({ kafka: kafkaClient(kafka.settings(), { clientId: 'many', log }) })
      const at = ['claim answered with rows', 'publish asked', 'publish answered', 'acknowledge asked'] as const
      expectSound(await run({ shards: 4, at, kafka: { topic, publisher, read: (count) => kafka.read(topic, count) } }), at)
    },
    timeoutMs,
  )
})
