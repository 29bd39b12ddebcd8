/**
 * Makes everything ready that a definition needs before its functions run: tables, topics, indices. Run at every deploy
 * and every local start; running it again changes nothing. Nothing is ever deleted.
 */
import { Kafka, type KafkaConfig, logLevel } from 'kafkajs'
import { elasticsearchClient, type ElasticsearchSettings } from '../../shared/adapters/elasticsearch/client.ts'
import { prepareIndices } from '../../shared/adapters/elasticsearch/prepare.ts'
import { prepareTopics } from '../../shared/adapters/kafka/topics.ts'
import type { KafkaSettings } from '../../shared/config.ts'
import type { AnyPipeline } from '../../shared/engine/define.ts'
import { assertSound } from '../../shared/engine/definition-faults.ts'
import { AfluenteError } from '../../shared/engine/errors.ts'
import { migrate } from './migrate.ts'

export interface PrepareOptions {
  readonly pipeline: AnyPipeline
  readonly analyticsUrl: string
  readonly kafka: KafkaSettings
  /** Left out where the definition has no Elasticsearch, or none is there yet. */
  readonly elasticsearch?: ElasticsearchSettings | undefined
  /** Told what was done, a line at a time. */
  readonly onStep: (text: string) => void
  readonly signal?: AbortSignal
}

/** Throws `misconfigured` with all faults of a wrong definition before anything connects, and `unavailable` with the part that can't be reached. */
export async function prepare({ pipeline, analyticsUrl, kafka, elasticsearch, onStep, signal = new AbortController().signal }: PrepareOptions): Promise<void> {
  assertSound(pipeline)
  const outcomes = await Promise.allSettled([
    migrate(analyticsUrl).then((files) => onStep(files.length === 0 ? 'analytics database: up to date' : `analytics database: applied ${files.join(', ')}`)),
    topics(kafka, pipeline).then((lines) => lines.forEach((line) => onStep(`topics: ${line}`))),
    elasticsearch === undefined
      ? undefined
      : prepareIndices(elasticsearchClient(elasticsearch), pipeline, ({ message }) => onStep(`elasticsearch: ${message}`), { signal }),
  ])
  const faults = outcomes.flatMap((outcome) => (outcome.status === 'rejected' ? [outcome.reason as unknown] : []))
  if (faults.length === 1) throw faults[0]
  if (faults.length > 1) {
    const texts = faults.map((fault) => `  - ${fault instanceof Error ? fault.message : String(fault)}`)
    throw new AfluenteError('unavailable', 'prepare', `${faults.length} parts could not be prepared:\n${texts.join('\n')}`, { cause: faults[0] })
  }
}

async function topics(settings: KafkaSettings, pipeline: AnyPipeline): Promise<readonly string[]> {
  const admin = new Kafka(kafkaConfig(settings)).admin()
  try {
    await admin.connect()
    const lines = await prepareTopics(admin, pipeline)
    return lines.length === 0 ? ['up to date'] : lines
  } catch (error) {
    const reason = error instanceof Error ? error.message : 'unknown reason'
    throw new AfluenteError(
      'unavailable',
      'kafka',
      `Topics could not be prepared at ${settings.brokers.join(', ')}: ${reason}. Check KAFKA_BROKERS, and that the brokers run.`,
      {
        cause: error,
      },
    )
  } finally {
    await admin.disconnect().catch(() => undefined)
  }
}

function kafkaConfig({ brokers, ssl, ca, sasl }: KafkaSettings): KafkaConfig {
  const base = { clientId: 'afluente-prepare', brokers: [...brokers], ssl: ca === undefined ? ssl : { ca }, logLevel: logLevel.NOTHING, retry: { retries: 5 } }
  if (sasl === undefined) return base
  const { username, password } = sasl
  const { mechanism } = sasl
  // One branch a mechanism: kafkajs has a type for each.
  if (mechanism === 'plain') return { ...base, sasl: { mechanism, username, password } }
  if (mechanism === 'scram-sha-256') return { ...base, sasl: { mechanism, username, password } }
  return { ...base, sasl: { mechanism, username, password } }
}
