/** Checks a definition before anything connects. Types catch wrong names; this catches what types can't see. */
import { APPLICATION_TOPIC } from '../events/application-event.ts'
import { isColumnType, plainTypes, qualifiedName, type SourceTable } from '../tables/table.ts'
import { type AnyConsumer, type AnyElasticsearchSink, type AnyPipeline, deadLetterTopicOf, fieldKinds, modes, shardsOf, TOPIC_NAME, topicOf } from './define.ts'
import { milliseconds } from './duration.ts'
import { AfluenteError } from './errors.ts'
import { etlFaults } from './etl-faults.ts'

/** What Elasticsearch takes as the name of an index and its alias. */
const INDEX_NAME = /^[a-z0-9][^A-Z\\/*?"<>| ,#:]{0,199}$/
const CONSUMER_NAME = /^[a-z][a-z0-9_-]{0,39}$/
/** Silver's own columns, and the object beside a document's fields. */
const RESERVED = new Set(['_version', '_deleted_at', '_event_id', '_synced_at', 'afluente'])

/** Every fault of the definition in plain words; an empty list is a good one. */
export function faultsOf(pipeline: AnyPipeline): readonly string[] {
  const topics = new Set(pipeline.tables.map(topicOf))
  return [
    ...duplicates(pipeline.tables.map(qualifiedName)).map((name) => `tables: ${name} stands in the list twice.`),
    ...duplicates(pipeline.tables.map((table) => table.name)).map(
      (name) => `tables: two tables are named ${name}; silver and the index are named by the table alone, so one of them needs another name.`,
    ),
    ...pipeline.tables.flatMap(tableFaults),
    ...topicFaults(pipeline),
    ...captureFaults(pipeline),
    ...reconcileFaults(pipeline),
    ...[...topics]
      .filter((topic) => topics.has(deadLetterTopicOf(topic)))
      .map((topic) => `tables: ${deadLetterTopicOf(topic)} would be a table's topic and hold the dead letters of ${topic}.`),
    ...(Object.keys(pipeline.consumers).length === 0 ? ['consumers: there are none; nothing would be delivered.'] : []),
    ...Object.entries(pipeline.consumers).flatMap(([name, consumer]) => consumerFaults(name, consumer, topics, pipeline.tables)),
    ...etlFaults(pipeline.etl ?? {}, {
      tables: pipeline.tables.map(({ name }) => name),
      topics: [...topics, APPLICATION_TOPIC].flatMap((topic) => [topic, deadLetterTopicOf(topic)]),
    }),
  ]
}

/** What the settings are read with, so that faults of environment and definition are told together. */
export function demandsOf(pipeline: AnyPipeline) {
  return {
    writersToElasticsearch: Object.entries(pipeline.consumers).flatMap(([name, { sink }]) => (sink.kind === 'elasticsearch' ? [name] : [])),
    readersOfChatwoot: Object.entries(pipeline.etl ?? {}).flatMap(([name, { source }]) => (source.database === 'chatwoot' ? [name] : [])),
    definitionFaults: faultsOf(pipeline),
  }
}

/** Throws `misconfigured` with the whole list when there is any fault. */
export function assertSound(pipeline: AnyPipeline): void {
  const faults = faultsOf(pipeline)
  if (faults.length === 0) return
  const list = faults.map((fault) => `  - ${fault}`).join('\n')
  throw new AfluenteError('misconfigured', 'definition', `shared/pipeline.ts has ${faults.length} fault(s):\n${list}`)
}

function tableFaults(table: SourceTable): string[] {
  const name = qualifiedName(table)
  const columns = Object.keys(table.columns)
  return [
    ...(TOPIC_NAME.test(deadLetterTopicOf(topicOf(table)))
      ? []
      : [`${name}: '${topicOf(table)}' can't be a Kafka topic with dead letters of its own; use letters, digits, dot, dash, underscore, at most 245.`]),
    ...(columns.length === 0 ? [`${name}: it has no columns.`] : []),
    ...Object.entries(table.columns)
      .filter(([, type]) => !isColumnType(type))
      .map(([column, type]) => `${name}.${column}: '${type}' is no type; there are ${plainTypes.join(', ')}, numeric(p,s), and arrays of them like text[].`),
    ...(table.key.length === 0 ? [`${name}: it has no key; name the columns of its primary key.`] : []),
    ...duplicates(table.key).map((column) => `${name}: the key names ${column} twice.`),
    ...table.key
      .filter((column) => !columns.includes(column))
      .map((column) => `${name}: the key names ${column}, which is none of its columns (${columns.join(', ')}).`),
    ...columns.filter((column) => RESERVED.has(column)).map((column) => `${name}: a column may not be named ${column}; the sinks use that name.`),
  ]
}

function topicFaults({ topics }: AnyPipeline): string[] {
  return [
    ...(isWhole(topics.partitions, 1, 1_000) ? [] : [`topics.partitions: ${topics.partitions} is not a whole number from 1 to 1000.`]),
    ...(isWhole(topics.maxMessageBytes, 65_536, 104_857_600) ? [] : [`topics.maxMessageBytes: ${topics.maxMessageBytes} is not between 64 KiB and 100 MiB.`]),
    ...durationFaults('topics.retention', topics.retention),
  ]
}

function captureFaults(pipeline: AnyPipeline): string[] {
  const shards = shardsOf(pipeline)
  return isWhole(shards, 1, 64) ? [] : [`capture.shards: ${shards} is not a whole number from 1 to 64.`]
}

function reconcileFaults({ reconcile }: AnyPipeline): string[] {
  if (reconcile === undefined || reconcile === 'never') return []
  try {
    return milliseconds(reconcile.every) >= 60_000
      ? []
      : [`reconcile.every: '${reconcile.every}' is less than a minute, which is how often the Worker's cron looks.`]
  } catch {
    return [`reconcile.every: '${reconcile.every}' is no length of time; write a number and s, m, h or d: '24h'.`]
  }
}

function consumerFaults(name: string, consumer: AnyConsumer, topics: ReadonlySet<string>, tables: readonly SourceTable[]): string[] {
  const at = `consumers.${name}`
  return [
    ...(CONSUMER_NAME.test(name) ? [] : [`${at}: a consumer's name is lower-case letters, digits, dash or underscore, at most 40.`]),
    ...(consumer.reads.length === 0 ? [`${at}: it reads no topic.`] : []),
    ...duplicates(consumer.reads).map((topic) => `${at}: it reads ${topic} twice.`),
    ...consumer.reads.filter((topic) => !topics.has(topic)).map((topic) => `${at}: there is no topic ${topic}; there are ${[...topics].join(', ')}.`),
    ...(isWhole(consumer.instances, 1, 64) ? [] : [`${at}.instances: ${consumer.instances} is not a whole number from 1 to 64.`]),
    ...(isOneOf(modes, consumer.mode) ? [] : [`${at}.mode: '${consumer.mode}' is no mode; there are ${modes.join(', ')}.`]),
    ...sinkFaults(at, consumer, tables),
  ]
}

function sinkFaults(at: string, consumer: AnyConsumer, tables: readonly SourceTable[]): string[] {
  const kind: string = consumer.sink.kind
  if (consumer.sink.kind === 'postgres') return postgresFaults(at, consumer.sink)
  if (consumer.sink.kind === 'elasticsearch') return indexFaults(at, consumer.sink, consumer.reads, tables)
  return [`${at}.sink: '${kind}' is no kind of sink; there are postgres, elasticsearch.`]
}

function postgresFaults(at: string, sink: { readonly bronze: boolean; readonly silver: boolean }): string[] {
  return sink.bronze || sink.silver ? [] : [`${at}.sink: it keeps neither bronze nor silver.`]
}

function indexFaults(at: string, { indices }: AnyElasticsearchSink, reads: readonly string[], tables: readonly SourceTable[]): string[] {
  const read = tables.filter((table) => reads.includes(topicOf(table)))
  const missing = read.filter((table) => indices[table.name] === undefined)
  return [
    ...read
      .filter((table) => !INDEX_NAME.test(table.name))
      .map((table) => `${at}.sink: '${table.name}' can't be an Elasticsearch index; its name must be lower-case and begin with a letter or digit.`),
    ...missing.map((table) => `${at}.sink: it reads ${topicOf(table)} but has no index for ${table.name}.`),
    ...Object.entries(indices).flatMap(([name, index]) => {
      const table = read.find((candidate) => candidate.name === name)
      if (table === undefined) return [`${at}.sink.indices.${name}: the consumer reads no table of that name.`]
      const kinds = Object.entries(index?.fields ?? {}).filter(([, kind]) => kind !== undefined && !isOneOf(fieldKinds, kind))
      const unknown = Object.keys(index?.fields ?? {}).filter((field) => !Object.hasOwn(table.columns, field))
      return [
        ...(isWhole(index?.version ?? 0, 1, 9_999) ? [] : [`${at}.sink.indices.${name}.version: it must be a whole number from 1.`]),
        ...kinds.map(([field, kind]) => `${at}.sink.indices.${name}.fields.${field}: '${kind}' is no kind of field; there are ${fieldKinds.join(', ')}.`),
        ...unknown.map(
          (field) => `${at}.sink.indices.${name}: ${field} is no column of ${qualifiedName(table)}; it has ${Object.keys(table.columns).join(', ')}.`,
        ),
      ]
    }),
  ]
}

function durationFaults(at: string, duration: string): string[] {
  try {
    return milliseconds(duration) > 0 ? [] : [`${at}: ${duration} keeps nothing.`]
  } catch (error) {
    return [`${at}: ${error instanceof Error ? error.message : 'not a duration'}`]
  }
}

/** For what the compiler has not seen: Node runs a definition with its types taken away. */
function isOneOf(list: readonly string[], text: string): boolean {
  return list.includes(text)
}

function isWhole(value: number, least: number, most: number): boolean {
  return Number.isInteger(value) && value >= least && value <= most
}

function duplicates(names: readonly string[]): string[] {
  return [...new Set(names.filter((name, at) => names.indexOf(name) !== at))]
}
