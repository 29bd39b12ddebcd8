/**
 * Makes the topics of a definition, and brings those that are there up to it. Promises: running it again changes nothing;
 * nothing is ever deleted, and settings the definition doesn't speak of stay as they are. Every change is said in plain words.
 */
import type { Admin, ConfigResourceTypes, ConfigSource } from 'kafkajs'
import { type AnyPipeline, deadLetterTopicOf, topicOf } from '../../engine/define.ts'
import { milliseconds } from '../../engine/duration.ts'

// kafkajs is CommonJS, and Node sees only its first few exports by name: these two enums are not among them.
const TOPIC: ConfigResourceTypes.TOPIC = 2
const TOPIC_CONFIG: ConfigSource.TOPIC_CONFIG = 1

/** Application events. */
export const EVENTS_TOPIC = 'afluente.eventos'

/** A dead letter is its record with the reason in headers, and must fit where the record itself just fitted. */
const REASON_BYTES = 256 * 1024

export interface WantedTopic {
  readonly topic: string
  readonly partitions: number
  readonly config: Readonly<Record<string, string>>
}

/** The topics a definition needs: one a table, each with its dead letters, and the application's own events. */
export function wantedTopics({ tables, topics }: AnyPipeline): readonly WantedTopic[] {
  const wanted = (topic: string, maxMessageBytes: number): WantedTopic => ({
    topic,
    partitions: topics.partitions,
    config: {
      'max.message.bytes': String(maxMessageBytes),
      'retention.ms': String(milliseconds(topics.retention)),
      'cleanup.policy': 'delete',
    },
  })
  return [...tables.map(topicOf), EVENTS_TOPIC].flatMap((topic) => [
    wanted(topic, topics.maxMessageBytes),
    wanted(deadLetterTopicOf(topic), topics.maxMessageBytes + REASON_BYTES),
  ])
}

/** Resolves with one line for each thing that was done or that a person should know; none when all was as wanted. `admin` is connected. */
export async function prepareTopics(admin: Admin, pipeline: AnyPipeline): Promise<readonly string[]> {
  const wanted = wantedTopics(pipeline)
  const there = new Set(await admin.listTopics())
  const missing = wanted.filter(({ topic }) => !there.has(topic))
  const present = wanted.filter(({ topic }) => there.has(topic))
  if (missing.length > 0) {
    await admin.createTopics({
      waitForLeaders: true,
      topics: missing.map(({ topic, partitions, config }) => ({
        topic,
        numPartitions: partitions,
        configEntries: Object.entries(config).map(([name, value]) => ({ name, value })),
      })),
    })
  }
  return [
    ...(missing.length > 0 ? [`created ${missing.map(({ topic }) => topic).join(', ')}`] : []),
    ...(await preparePartitions(admin, present)),
    ...(await prepareConfigs(admin, present)),
  ]
}

async function preparePartitions(admin: Admin, present: readonly WantedTopic[]): Promise<string[]> {
  if (present.length === 0) return []
  const { topics } = await admin.fetchTopicMetadata({ topics: present.map(({ topic }) => topic) })
  const partitionsOf = new Map(topics.map(({ name, partitions }) => [name, partitions.length]))
  const differing = present.flatMap(({ topic, partitions }) => {
    const now = partitionsOf.get(topic) ?? partitions
    return now === partitions ? [] : [{ topic, wanted: partitions, now }]
  })
  const fewer = differing.filter(({ now, wanted }) => now < wanted)
  if (fewer.length > 0) await admin.createPartitions({ topicPartitions: fewer.map(({ topic, wanted }) => ({ topic, count: wanted })) })
  return differing.map(({ topic, now, wanted }) =>
    now < wanted
      ? `${topic}: ${now} → ${wanted} partitions; keys move between them, and the versions keep each row right`
      : `${topic}: has ${now} partitions, the definition says ${wanted}; Kafka can't take partitions away, so they stay`,
  )
}

async function prepareConfigs(admin: Admin, present: readonly WantedTopic[]): Promise<string[]> {
  if (present.length === 0) return []
  const { resources } = await admin.describeConfigs({
    includeSynonyms: false,
    resources: present.map(({ topic }) => ({ type: TOPIC, name: topic })),
  })
  const changes = present.flatMap(({ topic, config }) => {
    const entries = resources.find((resource) => resource.resourceName === topic)?.configEntries ?? []
    const now = new Map(entries.map((entry) => [entry.configName, entry.configValue]))
    const differing = Object.entries(config).filter(([name, value]) => now.get(name) !== value)
    // Altering replaces all of a topic's own settings: those that others made must be sent along.
    const own = entries.filter((entry) => entry.configSource === TOPIC_CONFIG).map((entry) => [entry.configName, entry.configValue] as const)
    return differing.length === 0 ? [] : [{ topic, differing, now, all: { ...Object.fromEntries(own), ...config } }]
  })
  if (changes.length > 0) {
    await admin.alterConfigs({
      validateOnly: false,
      resources: changes.map(({ topic, all }) => ({
        type: TOPIC,
        name: topic,
        configEntries: Object.entries(all).map(([name, value]) => ({ name, value })),
      })),
    })
  }
  return changes.flatMap(({ topic, differing, now }) => differing.map(([name, value]) => `${topic}: ${name} ${now.get(name) ?? 'unset'} → ${value}`))
}
