import type { Kafka } from 'kafkajs'
import { kafkaClient } from '../../shared/adapters/kafka/connection.ts'
import { kafkaSettings } from '../../shared/config.ts'

const silent = { debug: () => undefined, info: () => undefined, warn: () => undefined, error: () => undefined }

/** A client for the stack's own questions. `passOn`: KAFKA_SSL and the like, where the brokers are somebody's own. Says nothing; failures come as rejections. */
export function stackKafka(brokers: readonly string[], passOn: Readonly<Record<string, string>>): Kafka {
  return kafkaClient(kafkaSettings({ ...passOn, KAFKA_BROKERS: brokers.join(',') }), { clientId: 'afluente-stack', log: silent, retries: 0 })
}
