/**
 * Turns what `pipeline.ts` says into types and checks. The types catch a wrong name while it is written;
 * `faultsOf` finds what types can't see, all of it at once, before anything connects.
 */
import type { EtlJob } from '../tables/etl-job.ts'
import { type Columns, qualifiedName, type SourceTable } from '../tables/table.ts'
import type { Duration } from './duration.ts'
import type { ReconcileSchedule } from './reconcile-schedule.ts'

type AnyTable = { readonly schema: string; readonly name: string; readonly key: readonly string[]; readonly columns: Columns }

/** The topic of a table: `afluente.<schema>.<table>`. */
export type TopicOf<T> = T extends { readonly schema: infer S extends string; readonly name: infer N extends string } ? `afluente.${S}.${N}` : never

/** How a column is indexed when its type's default is not what is wanted. `object` indexes json fields, `unindexed` only stores. */
export type FieldKind = (typeof fieldKinds)[number]
export const fieldKinds = ['text', 'keyword', 'flattened', 'object', 'unindexed'] as const

type Indices<T extends AnyTable> = {
  readonly [K in T as K['name']]?: {
    /** Raise it when mappings change: a new concrete index `<table>-v<version>` is made. */
    readonly version: number
    readonly fields?: { readonly [C in keyof K['columns'] & string]?: FieldKind }
  }
}

export interface PostgresSink {
  readonly kind: 'postgres'
  /** Keep every event as it came in `bronze.events`. */
  readonly bronze: boolean
  /** Keep the present row of each key in `silver.<table>`. */
  readonly silver: boolean
}

export interface ElasticsearchSink<T extends AnyTable = AnyTable> {
  readonly kind: 'elasticsearch'
  readonly indices: Indices<T>
}

export const modes = ['continuous', 'available-now'] as const

export interface Consumer<T extends AnyTable = AnyTable> {
  readonly reads: readonly TopicOf<T>[]
  readonly sink: PostgresSink | ElasticsearchSink<T>
  /** `continuous` keeps reading; `available-now` stops when it has read what there was when it began. */
  readonly mode: (typeof modes)[number]
  /** Durable Objects that share the consumer's group, and so its partitions. */
  readonly instances: number
}

export interface Topics {
  readonly partitions: number
  readonly maxMessageBytes: number
  readonly retention: Duration
}

export interface Capture {
  /**
   * Slices of the outbox by hash of the key, 1 to 64; each has one holder at a time, so their number is how many captures can
   * work side by side. One moves thousands of rows a second, in the order of each key with any number. Turn it up when the
   * outbox grows while its capture is never idle; the next deploy (or start) sets it in the source database, and only then the
   * functions are deployed. Turning it up or down moves what waits to its new shard; nothing is lost or sent out of order.
   * Capture stands still for as long as that takes (a second for each hundred thousand changes, about); users' writes for a tenth
   * of a second, about. A transaction that has written captured tables and stays open for five seconds makes the deploy stop
   * with its name, before the functions.
   */
  readonly shards: number
}

export interface Pipeline<T extends AnyTable = AnyTable> {
  readonly tables: readonly T[]
  readonly topics: Topics
  /** Left out: one shard. */
  readonly capture?: Capture
  readonly consumers: Readonly<Record<string, Consumer<T>>>
  /** How often each table is compared with its copies by itself. Left out: once a day, repairing nothing. */
  readonly reconcile?: ReconcileSchedule | 'never'
  /** Jobs that copy what can only be read into silver, by name. */
  readonly etl?: Readonly<Record<string, EtlJob>>
}

/** A pipeline with its names forgotten: what the engine runs. */
export interface AnyPipeline {
  readonly tables: readonly SourceTable[]
  readonly topics: Topics
  readonly capture?: Capture
  readonly consumers: Readonly<Record<string, AnyConsumer>>
  readonly reconcile?: ReconcileSchedule | 'never'
  readonly etl?: Readonly<Record<string, EtlJob>>
}

export interface AnyConsumer {
  readonly reads: readonly string[]
  readonly sink: PostgresSink | AnyElasticsearchSink
  readonly mode: (typeof modes)[number]
  readonly instances: number
}

export interface AnyElasticsearchSink {
  readonly kind: 'elasticsearch'
  readonly indices: Readonly<Record<string, AnyIndex | undefined>>
}

export interface AnyIndex {
  readonly version: number
  readonly fields?: Readonly<Record<string, FieldKind | undefined>>
}

export function definePipeline<const T extends AnyTable>(definition: Pipeline<T>): Pipeline<T> {
  return definition
}

/** What Kafka takes as the name of a topic. */
export const TOPIC_NAME = /^(?!\.{1,2}$)[A-Za-z0-9._-]{1,249}$/

/** The topic of a source table. */
export function topicOf(table: { readonly schema: string; readonly name: string }): string {
  return `afluente.${qualifiedName(table)}`
}

/** How many shards the outbox has, numbered from 0. */
export function shardsOf({ capture }: Pick<AnyPipeline, 'capture'>): number {
  return capture?.shards ?? 1
}

/** Where the events of a topic go that a consumer can not apply. */
export function deadLetterTopicOf(topic: string): string {
  return `${topic}.dlq`
}

/** The Kafka consumer group of a consumer. */
export function groupOf(consumer: string): string {
  return `afluente.${consumer}`
}
