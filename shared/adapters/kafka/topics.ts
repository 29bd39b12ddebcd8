/**
 * Makes the topics of a definition, and brings those that are there up to it. Promises: running it again changes nothing;
 * nothing is ever deleted, and settings the definition doesn't speak of stay as they are. Every change is said in plain words.
 */
import type { Admin, ConfigResourceTypes, ConfigSource } from 'kafkajs'
import { type AnyPipeline, deadLetterTopicOf, type Topics, topicOf } from '../../engine/define.ts'
import { milliseconds } from '../../engine/duration.ts'
import { AfluenteError } from '../../engine/errors.ts'
import type { Cancellable } from '../../ports/cancellable.ts'
import type { Clock } from '../../ports/clock.ts'

// kafkajs is CommonJS, and Node sees only its first few exports by name: these two enums are not among them.
const TOPIC: ConfigResourceTypes.TOPIC = 2
const TOPIC_CONFIG: ConfigSource.TOPIC_CONFIG = 1

/** Application events. */
export const EVENTS_TOPIC = 'afluente.eventos'

/** A dead letter is its record with the reason in headers, and must fit where the record itself just fitted. */
const REASON_BYTES = 256 * 1024

/** How long the brokers may take to hear of a new topic. */
const SETTLE_MS = 15_000

export interface WantedTopic {
  readonly topic: string
  readonly partitions: number
  readonly config: Readonly<Record<string, string>>
}

/** A topic as the definition sets topics up. */
export function wantedTopic(topic: string, { partitions, retention }: Topics, maxMessageBytes: number): WantedTopic {
  return {
    topic,
    partitions,
    config: {
      'max.message.bytes': String(maxMessageBytes),
      'retention.ms': String(milliseconds(retention)),
      'cleanup.policy': 'delete',
    },
  }
}

/** The topics a definition needs: one a table, each with its dead letters, the application's own events, and those that ETL jobs publish to. */
export function wantedTopics({ etl = {}, tables, topics }: AnyPipeline): readonly WantedTopic[] {
  return [
    ...[...tables.map(topicOf), EVENTS_TOPIC].flatMap((topic) => [
      wantedTopic(topic, topics, topics.maxMessageBytes),
      wantedTopic(deadLetterTopicOf(topic), topics, topics.maxMessageBytes + REASON_BYTES),
    ]),
    ...Object.values(etl).flatMap(({ topic }) => (topic === undefined ? [] : [wantedTopic(topic, topics, topics.maxMessageBytes)])),
  ]
}

export interface PrepareTopicsDeps {
  /** Connected. */
  readonly admin: Admin
  readonly clock: Clock
}

/** Resolves with one line for each thing that was done or that a person should know; none when all was as wanted. All topics can be written to then. */
export async function prepareTopics(deps: PrepareTopicsDeps, pipeline: AnyPipeline, { signal }: Cancellable): Promise<readonly string[]> {
  const { admin } = deps
  const wanted = wantedTopics(pipeline)
  const there = new Set(await admin.listTopics())
  const missing = wanted.filter(({ topic }) => !there.has(topic))
  const present = wanted.filter(({ topic }) => there.has(topic))
  if (missing.length > 0) {
    const topics = missing.map(({ topic, partitions, config }) => ({ topic, numPartitions: partitions, configEntries: entriesOf(config) }))
    // kafkajs's own waiting gives up when a broker hasn't heard of the topic yet.
    await admin.createTopics({ waitForLeaders: false, topics })
  }
  const partitions = await partitionCounts(deps, wanted, () => 1, signal)
  return [
    ...(missing.length > 0 ? [`created ${missing.map(({ topic }) => topic).join(', ')}`] : []),
    ...(await preparePartitions(deps, present, partitions, signal)),
    ...(await prepareConfigs(admin, present)),
  ]
}

/** How many partitions each topic has, once every broker knows it and each partition has a leader. */
async function partitionCounts(
  { admin, clock }: PrepareTopicsDeps,
  wanted: readonly WantedTopic[],
  least: (topic: WantedTopic) => number,
  signal: AbortSignal,
): Promise<ReadonlyMap<string, number>> {
  const names = wanted.map(({ topic }) => topic)
  for (const until = clock.now() + SETTLE_MS; ; await clock.sleep(50, { signal })) {
    signal.throwIfAborted()
    const topics = await admin.fetchTopicMetadata({ topics: names }).then(
      (metadata) => metadata.topics,
      (error: unknown) => {
        if (!isUnsettled(error) || clock.now() > until) throw error
        return []
      },
    )
    const counts = new Map(
      topics.filter(({ partitions }) => partitions.every(({ leader }) => leader >= 0)).map(({ name, partitions }) => [name, partitions.length]),
    )
    if (wanted.every((topic) => (counts.get(topic.topic) ?? 0) >= least(topic))) return counts
    if (clock.now() > until)
      throw new AfluenteError(
        'unavailable',
        'topics-unsettled',
        `Kafka made no leader for every partition of ${names.join(', ')} in ${SETTLE_MS} ms. Look whether all its brokers run.`,
      )
  }
}

function isUnsettled(error: unknown): boolean {
  return error instanceof Error && 'type' in error && (error.type === 'UNKNOWN_TOPIC_OR_PARTITION' || error.type === 'LEADER_NOT_AVAILABLE')
}

async function preparePartitions(
  deps: PrepareTopicsDeps,
  present: readonly WantedTopic[],
  counts: ReadonlyMap<string, number>,
  signal: AbortSignal,
): Promise<string[]> {
  const differing = present.flatMap((wanted) => {
    const now = counts.get(wanted.topic) ?? wanted.partitions
    return now === wanted.partitions ? [] : [{ ...wanted, now }]
  })
  const fewer = differing.filter(({ now, partitions }) => now < partitions)
  if (fewer.length > 0) {
    await deps.admin.createPartitions({ topicPartitions: fewer.map(({ topic, partitions }) => ({ topic, count: partitions })) })
    await partitionCounts(deps, fewer, ({ partitions }) => partitions, signal)
  }
  return differing.map(({ topic, now, partitions }) =>
    now < partitions
      ? `${topic}: ${now} → ${partitions} partitions; keys move between them, and the versions keep each row right`
      : `${topic}: has ${now} partitions, the definition says ${partitions}; Kafka can't take partitions away, so they stay`,
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
        configEntries: entriesOf(all),
      })),
    })
  }
  return changes.flatMap(({ topic, differing, now }) => differing.map(([name, value]) => `${topic}: ${name} ${now.get(name) ?? 'unset'} → ${value}`))
}

function entriesOf(config: Readonly<Record<string, string>>): { name: string; value: string }[] {
  return Object.entries(config).map(([name, value]) => ({ name, value }))
}
