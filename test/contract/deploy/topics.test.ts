import { randomUUID } from 'node:crypto'
import { describe, expect, test } from 'vitest'
import { systemClock } from '../../../shared/adapters/clock.ts'
import { EVENTS_TOPIC, prepareTopics, wantedTopics } from '../../../shared/adapters/kafka/topics.ts'
import type { AnyPipeline } from '../../../shared/engine/define.ts'
import { eventually } from '../../support/poll.ts'
import { realKafka } from '../subscription/kafka-server.ts'

const kafka = realKafka()
const CONFIG = 2

/** A definition of one table of a name of its own. */
function definition(topics: Partial<AnyPipeline['topics']> = {}, name = `t${randomUUID().replaceAll('-', '')}`): AnyPipeline {
  return {
    tables: [{ schema: 'public', name, key: ['id'], columns: { id: 'uuid' } }],
    topics: { partitions: 2, maxMessageBytes: 1_048_576, retention: '7d', ...topics },
    consumers: {},
  }
}

async function configOf(topic: string): Promise<ReadonlyMap<string, string>> {
  const { resources } = await kafka.admin().describeConfigs({ includeSynonyms: false, resources: [{ type: CONFIG, name: topic }] })
  return new Map((resources[0]?.configEntries ?? []).map(({ configName, configValue }) => [configName, configValue]))
}

async function partitionsOf(topic: string): Promise<number> {
  const { topics } = await kafka.admin().fetchTopicMetadata({ topics: [topic] })
  return topics[0]?.partitions.length ?? 0
}

const prepared = (pipeline: AnyPipeline) => prepareTopics({ admin: kafka.admin(), clock: systemClock() }, pipeline, { signal: new AbortController().signal })

/** What was said about the topics of this test alone: the application's topic is shared. */
const about = (lines: readonly string[], name: string) => lines.filter((line) => line.includes(name) && !line.startsWith(EVENTS_TOPIC))

describe('topics', () => {
  test('are made with their dead letters, partitions, size and retention; a dead letter has room for its reason', async () => {
    const pipeline = definition()
    const name = pipeline.tables[0]?.name ?? ''
    await prepared(pipeline)
    const topics = await kafka.admin().listTopics()
    expect(topics).toEqual(expect.arrayContaining([`afluente.public.${name}`, `afluente.public.${name}.dlq`, EVENTS_TOPIC]))
    expect(await partitionsOf(`afluente.public.${name}`)).toBe(2)
    const config = await configOf(`afluente.public.${name}`)
    expect([config.get('max.message.bytes'), config.get('retention.ms')]).toEqual(['1048576', '604800000'])
    expect(Number((await configOf(`afluente.public.${name}.dlq`)).get('max.message.bytes'))).toBeGreaterThan(1_048_576)
  })

  test('prepared again, are left alone and nothing is said', async () => {
    const pipeline = definition()
    await prepared(pipeline)
    await eventually('nothing is said', async () => (await prepared(pipeline)).length === 0)
  })

  test('that are there with other settings are brought up to the definition, their other settings stay, and each change is said', async () => {
    const pipeline = definition()
    const name = pipeline.tables[0]?.name ?? ''
    const topic = `afluente.public.${name}`
    await kafka.admin().createTopics({
      waitForLeaders: false,
      topics: [
        {
          topic,
          numPartitions: 1,
          configEntries: [
            { name: 'min.cleanable.dirty.ratio', value: '0.25' },
            { name: 'retention.ms', value: '1000' },
          ],
        },
      ],
    })
    const said = about(await prepared(pipeline), name)
    expect(said).toContainEqual(expect.stringMatching(/retention\.ms 1000 → 604800000/))
    expect(said).toContainEqual(expect.stringMatching(/1 → 2 partitions/))
    await eventually('the brokers know the new settings', async () => about(await prepared(pipeline), name).length === 0)
    const config = await configOf(topic)
    expect([config.get('retention.ms'), config.get('min.cleanable.dirty.ratio')]).toEqual(['604800000', '0.25'])
    expect(await partitionsOf(topic)).toBe(2)
  })

  test('with more partitions than defined keep them, and it is said', async () => {
    const wide = definition({ partitions: 3 })
    const name = wide.tables[0]?.name ?? ''
    await prepared(wide)
    const said = about(await prepared(definition({}, name)), name)
    expect(said).toHaveLength(2)
    expect(said[0]).toMatch(/has 3 partitions, the definition says 2/)
    expect(await partitionsOf(`afluente.public.${name}`)).toBe(3)
  })

  test('of a definition are one a table and one for its dead letters, and the same for application events', () => {
    const names = wantedTopics(definition({}, 'things')).map(({ topic }) => topic)
    expect(names).toEqual(['afluente.public.things', 'afluente.public.things.dlq', 'afluente.eventos', 'afluente.eventos.dlq'])
  })
})
