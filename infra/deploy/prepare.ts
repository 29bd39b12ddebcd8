/**
 * Makes everything ready that a definition needs before its functions run: tables, topics, indices. Run at every deploy
 * and every local start; running it again changes nothing. Nothing is ever deleted.
 */
import { Kafka, logLevel } from 'kafkajs'
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
  /** Told what was done, a line at a time. */
  readonly onStep: (text: string) => void
}

/** Throws `misconfigured` with all faults of a wrong definition before anything connects, and `unavailable` with the part that can't be reached. */
export async function prepare({ pipeline, analyticsUrl, kafka, onStep }: PrepareOptions): Promise<void> {
  assertSound(pipeline)
  const files = await migrate(analyticsUrl)
  onStep(files.length === 0 ? 'analytics database: up to date' : `analytics database: applied ${files.join(', ')}`)
  for (const line of await topics(kafka, pipeline)) onStep(`topics: ${line}`)
}

async function topics({ brokers, ssl, ca, sasl }: KafkaSettings, pipeline: AnyPipeline): Promise<readonly string[]> {
  const kafka = new Kafka({ clientId: 'afluente-prepare', brokers: [...brokers], ssl: ca === undefined ? ssl : { ca }, ...(sasl === undefined ? {} : { sasl }), logLevel: logLevel.NOTHING })
  const admin = kafka.admin()
  try {
    await admin.connect()
    const lines = await prepareTopics(admin, pipeline)
    return lines.length === 0 ? ['up to date'] : lines
  } catch (error) {
    throw new AfluenteError('unavailable', 'kafka', `Topics could not be prepared at ${brokers.join(', ')}: ${error instanceof Error ? error.message : 'unknown reason'}. Check KAFKA_BROKERS, and that the brokers run.`, { cause: error })
  } finally {
    await admin.disconnect().catch(() => undefined)
  }
}
